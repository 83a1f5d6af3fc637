-- NAME: counts the ticks of a timer, and returns the count over HTTP.
--
-- A background plugin runs tasks and timers independently of requests, and serves
-- paths below /plugins/NAME/.
local ns = require("nearside")

local M = {
  api = 1, name = "NAME", version = "0.1.0",
  kinds = { "background" },
  -- permissions = { "redis:127.0.0.1:6379", "store" }, -- addresses for ns.http, ns.redis and ns.amqp; "store" for ns.store
  schema = { -- of plugins.settings.NAME; M:initialize gets the settings with the defaults filled in
    type = "object", additionalProperties = false,
    properties = { period = { type = "number", minimum = 0.1, default = 1 } }, -- seconds
  },
}

-- Handlers, tasks and timers share these variables. Only one of them runs at a time.
-- Another one can run only while a call waits (ns.sleep, http, redis, amqp, store).
local conf, ticks = nil, 0

function M:initialize(settings) conf = settings end

-- start begins the work and returns.
function M:start()
  ns.every(conf.period, function() ticks = ticks + 1 end)
  ns.route("GET", "/ticks", function(req)
    return 200, { ticks = ticks, asked_by = req.headers["user-agent"] } -- a table is sent as JSON
  end)
end

-- close is called at a reload and at shutdown. Tasks end without it.
function M:close(reason) ns.log.info("closed", { reason = reason, ticks = ticks }) end

return M
