-- NAME: counts requests by route, and logs the slow ones.
--
-- An event plugin gets points about requests and matches after the answers were
-- sent. So no request waits for the plugin.
local ns = require("nearside")

local M = {
  api = 1, name = "NAME", version = "0.1.0",
  kinds = { "event" },
  events = { "monitoring_event" }, -- or "sending_event": a stored event
  -- permissions = { "http:127.0.0.1:8086" }, -- addresses for ns.http, ns.redis and ns.amqp
  schema = { -- of plugins.settings.NAME; M:initialize gets the settings with the defaults filled in
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
