-- NAME: counts the seconds since it was started, and says so over HTTP.
--
-- A background plugin runs tasks and timers beside the requests, and serves
-- paths below /plugins/NAME/.
local ns = require("nearside")

local M = {
  api = 1, name = "NAME", version = "0.1.0",
  kinds = { "background" },
  -- permissions = { "redis:127.0.0.1:6379", "store" }, -- what ns.http, ns.redis, ns.amqp may reach; ns.store
  schema = { -- of plugins.settings.NAME; M:initialize gets it with the defaults filled in
    type = "object", additionalProperties = false,
    properties = { period = { type = "number", minimum = 0.1, default = 1 } }, -- seconds
  },
}

-- Handlers, tasks and timers share these variables. Only one of them runs at
-- a time; another one takes its turn when a call waits (ns.sleep, http, redis,
-- amqp, store), never in between.
local conf, ticks = nil, 0

function M:initialize(settings) conf = settings end

-- start begins the work and returns.
function M:start()
  ns.every(conf.period, function() ticks = ticks + 1 end)
  ns.route("GET", "/ticks", function(req)
    return 200, { ticks = ticks, asked_by = req.headers["user-agent"] } -- a table is sent as JSON
  end)
end

-- close is called before a reload and at the end; tasks end by themselves.
function M:close(reason) ns.log.info("closed", { reason = reason, ticks = ticks }) end

return M
