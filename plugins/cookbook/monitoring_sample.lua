-- monitoring_sample: the event sample of the original services, as literally as possible.
local ns = require("nearside")

local Base = { events = { "monitoring_event" } }

function Base:handle_event(points)
  for _, point in ipairs(points) do self:_flush_point(point) end
end

local M = {
  api = 1, name = "monitoring_sample", version = "1.0.0",
  kinds = { "event" },
  permissions = { "http:127.0.0.1:5020" },
  url = "http://127.0.0.1:5020/1/buckets",
  bucket = "plugin_test_bucket",
}

function M:initialize()
  local answer = assert(ns.http.post(self.url, { query = { bucket = self.bucket } }))
  if answer.status ~= 201 and answer.status ~= 409 then error("the bucket was not created: " .. answer.body) end
end

function M:_flush_point(point)
  local answer, err = ns.http.post(self.url .. "/" .. self.bucket .. "/objects", {
    json = { series = point.series, time = point.time, tags = point.tags, fields = point.fields },
  })
  if not answer or answer.status ~= 201 then
    ns.log.error("a point was not sent", { reason = err or answer.body })
  end
end

return ns.extend(Base, M)
