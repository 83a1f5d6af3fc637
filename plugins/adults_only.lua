-- adults_only: restricts all matches to objects that are known to be adults.
--
-- A prefilter narrows a candidate set before it is scanned, whichever matcher
-- answers. With on_error = "fail", a request is refused (12050) if the prefilter
-- fails. It is never answered without the prefilter.
local M = {
  api = 1, name = "adults_only", version = "1.0.0",
  kinds = { "matching" },
  matching = { on_error = "fail", order = 10 }, -- for all origins; runs before prefilters of order 100
  schema = {
    type = "object", additionalProperties = false,
    properties = { age = { type = "integer", minimum = 1, maximum = 255, default = 18 } },
  },
}

local age

function M:initialize(conf) age = conf.age end

-- prefilter runs once per candidate set, not once per reference. set:where tests
-- the whole column, a million rows in less than a millisecond. Rows without an age
-- do not pass.
function M:prefilter(req, set) return set:where("age", ">=", age) end

return M
