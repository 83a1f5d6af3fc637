-- adults_only: no match ever shows a face that is not known to be of age.
--
-- A prefilter narrows a candidate set before it is scanned, for whatever
-- matcher then answers. It is a rule here, not a convenience: on_error = "fail"
-- has a request refused (12050) rather than answered without it.
local M = {
  api = 1, name = "adults_only", version = "1.0.0",
  kinds = { "matching" },
  matching = { on_error = "fail", order = 10 }, -- of all origins; before prefilters of order 100
  schema = {
    type = "object", additionalProperties = false,
    properties = { age = { type = "integer", minimum = 1, maximum = 255, default = 18 } },
  },
}

local age

function M:initialize(conf) age = conf.age end

-- It runs once for a candidate set, however many references there are. where
-- works on the whole column, a million rows in a fraction of a millisecond;
-- rows without an age do not pass.
function M:prefilter(req, set) return set:where("age", ">=", age) end

return M
