-- NAME: counts requests by route, and logs the slow ones.
--
-- An event plugin gets points about requests and matches after their answers
-- have left: whatever it does, no request waits for it.
local ns = require("nearside")

local M = {
  api = 1, name = "NAME", version = "0.1.0",
  kinds = { "event" },
  events = { "monitoring_event" }, -- also: "sending_event", objects that were stored
  -- permissions = { "http:127.0.0.1:8086" }, -- what ns.http, ns.redis, ns.amqp may reach
  schema = { -- of plugins.settings.NAME; M:initialize gets it with the defaults filled in
    type = "object", additionalProperties = false,
    properties = { slow = { type = "number", minimum = 0, default = 1 } }, -- seconds
  },
}

local slow, counter

function M:initialize(conf)
  slow = conf.slow
  counter = ns.metrics.counter("requests", "Requests by route.", { "route" })
end

-- points: {{series, time, tags = {route, status_code, ...}, fields = {request_id, execution_time, ...}}, ...}
function M:handle_event(points)
  for _, p in ipairs(points) do
    if p.series == "requests" then
      counter:add(1, { route = p.tags.route })
      if p.fields.execution_time > slow then
        ns.log.warn("slow request", { route = p.tags.route, seconds = p.fields.execution_time })
      end
    end
  end
end

return M
