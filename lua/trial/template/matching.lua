-- NAME: matches only adults.
--
-- The hooks of a matching plugin run within a request, so keep them short. Use the
-- methods of the set, which work on whole columns. A loop over rows in Lua is a
-- thousand times slower.
local ns = require("nearside")

local M = {
  api = 1, name = "NAME", version = "0.1.0",
  kinds = { "matching" },
  matching = {
    origins = { "faces" }, -- the candidate sets that the plugin is used for; without this field, all
    on_error = "fail",     -- if the plugin fails, the request fails ("skip": it is answered without the plugin)
    order = 100,           -- prefilters run in ascending order, and then by name
  },
  schema = { -- of plugins.settings.NAME
    type = "object", additionalProperties = false,
    properties = { age = { type = "integer", minimum = 0, maximum = 255, default = 18 } },
  },
}

local age

function M:initialize(conf) age = conf.age end

-- prefilter narrows a candidate set before it is scanned. Rows without the
-- field do not pass.
function M:prefilter(req, set)
  ns.log.debug("narrowing", { origin = req.origin, rows = #set })
  return set:where("age", ">=", age)
end

-- A plugin with match(req, set) can answer requests itself. cost(req) returns the
-- cost of its answer. See the shipped plugin thin_list.

return M
