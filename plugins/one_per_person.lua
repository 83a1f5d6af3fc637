-- one_per_person: matches of faces have a minimum similarity, and show the best picture of
-- each person (external_id) with the number of pictures that were found.
--
-- request changes a match before it is answered, results the rows of the answer. For exact
-- numbers of all pictures, clients use group and count instead.
local M = {
  api = 1, name = "one_per_person", version = "1.0.0",
  kinds = { "matching" },
  matching = { origins = { "faces" }, on_error = "fail" },
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      threshold = { type = "number", minimum = 0, maximum = 1, default = 0.5 },
      hide = { type = "array", items = { type = "string" }, default = {}, description = "fields that answers do not show" },
    },
  },
}

local threshold, hidden

function M:initialize(conf) threshold, hidden = conf.threshold, conf.hide end

-- A client may ask for a higher similarity, but not for a lower one.
function M:request(req)
  for i, set in ipairs(req.sets) do
    if set.origin == "faces" and set.threshold < threshold then req:set_threshold(threshold, i) end
  end
end

function M:results(req, rows)
  local pictures = {}
  for i = 1, rows:len() do
    local person = rows:at(i).external_id
    if person then pictures[person] = (pictures[person] or 0) + 1 end
  end
  rows:group_by("external_id", 1):hide(unpack(hidden))
  return rows:add("pictures", function(row) return pictures[row.external_id] end) -- under "extra"
end

return M
