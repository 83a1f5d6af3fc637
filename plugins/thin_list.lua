-- thin_list: answers requests for nothing but a list itself, at a low cost.
--
-- Every matcher is asked for its cost, and the cheapest one answers. The local
-- matcher's is 100; this plugin takes list-only requests for 10, and leaves
-- all others alone by having no cost for them. What it does with a request, a
-- scan of the list's rows, the local matcher would do as well: put your own
-- way to an answer in its place.
local ns = require("nearside")

local M = {
  api = 1, name = "thin_list", version = "1.0.0",
  kinds = { "matching" },
  matching = { origins = { "faces" }, descriptors = { "face" }, orders = { "similarity" } },
  schema = {
    type = "object", additionalProperties = false,
    properties = { rows = { type = "integer", minimum = 1, default = 100000 } }, -- of a list that is thin
  },
}

-- cost is asked once for each candidate set: keep it short. nil is "cannot".
function M:cost(req)
  for name in pairs(req.filters) do
    if name ~= "list_id" and name ~= "account_id" then return nil end
  end
  if req.filters.list_id then return 10 end
end

-- match gives the answer for one reference. To decline is no failure: the next
-- cheapest matcher answers.
function M:match(req, set)
  if #set > ns.conf.rows then return nil end
  return set:scan(req.limit) -- {{id, distance, similarity}, ...}; the host checks and completes the rows
end

return M
