-- NAME: matches only adults.
--
-- A matching plugin is asked within a request, on the request's time: keep it
-- short, and use the set's operators, which work on whole columns. A loop over
-- rows in Lua is a thousand times slower.
local ns = require("nearside")

local M = {
  api = 1, name = "NAME", version = "0.1.0",
  kinds = { "matching" },
  matching = {
    origins = { "faces" }, -- what it is for; what is left out means any
    on_error = "fail",     -- a request fails rather than be answered without this ("skip": it is answered)
    order = 100,           -- of prefilters, before the name
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

-- With match(req, set) a plugin answers itself, and with cost(req) it says how
-- cheaply: see thin_list among the shipped plugins.

return M
