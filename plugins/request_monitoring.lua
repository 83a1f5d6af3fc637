-- request_monitoring: sends points about requests to an HTTP object store.
--
-- The bucket is made at the start: 201 says that it is new, 409 that it was
-- there. A batch of points becomes one object. When the store does not answer,
-- the batch is lost, and the next one is tried again.
local ns = require("nearside")

local M = {
  api = 1, name = "request_monitoring", version = "1.0.0",
  kinds = { "event" },
  events = { "monitoring_event" },
  -- The store's address is a setting, so any may be reached. A copy of this
  -- file for one place says "http:127.0.0.1:5020".
  permissions = { "http:*" },
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "http://127.0.0.1:5020" },
      bucket = { type = "string", pattern = "^[A-Za-z0-9_-]+$", default = "plugin_test_bucket" },
      series = { type = "array", items = { type = "string" }, default = { "requests", "errors" } },
    },
  },
}

local conf, wanted = nil, {}

function M:initialize(settings)
  conf = settings
  for _, name in ipairs(conf.series) do wanted[name] = true end
  local answer, err = ns.http.post(conf.url .. "/1/buckets", { query = { bucket = conf.bucket } })
  if not answer then error("the bucket: " .. err) end -- an error here keeps the plugin from starting
  if answer.status ~= 201 and answer.status ~= 409 then
    error("the bucket: status " .. answer.status .. ": " .. answer.body)
  end
end

function M:handle_event(points)
  local chosen = {}
  for _, p in ipairs(points) do
    if wanted[p.series] then
      chosen[#chosen + 1] = { series = p.series, time = p.time, tags = p.tags, fields = p.fields }
    end
  end
  if #chosen == 0 then return end
  local answer, err = ns.http.post(conf.url .. "/1/buckets/" .. conf.bucket .. "/objects", { json = { points = chosen } })
  if not answer or answer.status ~= 201 then
    ns.log.warn("points were lost", { count = #chosen, reason = err or ("status " .. answer.status) })
  end
end

return M
