-- request_monitoring: sends points about requests to an HTTP object store.
--
-- The bucket is created at the start: 201 means that it is new, 409 that it already
-- exists. A batch of points becomes one object. While the store does not answer, up
-- to 50,000 points wait. They are sent again with growing pauses.
local ns = require("nearside")

local M = {
  api = 1, name = "request_monitoring", version = "1.1.0",
  kinds = { "event" },
  events = { "monitoring_event" },
  -- The address of the store is a setting, so all addresses are permitted. In a copy
  -- of this file for one store, use "http:127.0.0.1:5020".
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

local conf, wanted, created, failing, backlog = nil, {}, false, false, nil

-- post returns true if the request must not be repeated: it succeeded, or count points
-- were refused, which is logged. Otherwise it returns nil and the reason. Without count,
-- it raises an error if the request was refused. accepted has the statuses of success.
local function post(path, options, accepted, count)
  local answer, err = ns.http.post(conf.url .. path, options)
  if not answer then return nil, err end
  if answer.status >= 500 or answer.status == 429 then return nil, "status " .. answer.status .. ": " .. answer.body end
  if not accepted[answer.status] then
    if not count then error("the bucket: status " .. answer.status .. ": " .. answer.body) end
    ns.log.warn("points were refused", { count = count, status = answer.status, reason = answer.body })
  end
  return true
end

-- send creates the bucket if necessary, and posts the points, if any.
local function send(points)
  local err
  if not created then created, err = post("/1/buckets", { query = { bucket = conf.bucket } }, { [201] = true, [409] = true }) end
  if created and #points > 0 then
    local done
    done, err = post("/1/buckets/" .. conf.bucket .. "/objects", { json = { points = points } }, { [201] = true }, #points)
    failing = not done
  end
  return err == nil, err
end

function M:initialize(settings)
  conf = settings
  for _, name in ipairs(conf.series) do wanted[name] = true end
  backlog = ns.batch({ size = 500, seconds = 1, max = 50000, flush = send })
  local ok, err = send({}) -- raises if the bucket is refused, and the plugin does not start
  if not ok then ns.log.warn("the bucket does not exist yet", { reason = err }) end
end

function M:handle_event(points)
  local chosen = {}
  for _, p in ipairs(points) do
    if wanted[p.series] then
      chosen[#chosen + 1] = { series = p.series, time = p.time, tags = p.tags, fields = p.fields }
    end
  end
  if #chosen == 0 then return end
  if not failing then
    local ok, err = send(chosen)
    if ok then return end
    failing = true
    ns.log.warn("points wait until the store answers", { count = #chosen, reason = err })
  end
  for _, p in ipairs(chosen) do backlog:add(p) end
end

return M
