-- resource_monitor: watches memory, load and queue of the process, and warns.
local ns = require("nearside")

local M = {
  api = 1, name = "resource_monitor", version = "1.0.0",
  kinds = { "background" },
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      period = { type = "number", minimum = 1, default = 10 },         -- seconds
      rss = { type = "number", exclusiveMinimum = 0, default = 64e9 }, -- warn above this many bytes
      queue = { type = "integer", minimum = 0, default = 1000 },       -- warn above this many waiting sub-requests
    },
  },
}

local conf, load, last, before
local warned = {}

-- check warns once when a value rises above its bound, and logs when it is normal
-- again.
local function check(name, value)
  local high = value > conf[name]
  if high and not warned[name] then ns.log.warn(name .. " is high", { value = value, bound = conf[name] }) end
  if warned[name] and not high then ns.log.info(name .. " is normal again", { value = value }) end
  warned[name] = high
end

local function check_all()
  local now = ns.resource()
  local seconds = ns.monotonic() - before
  if last and seconds > 0 then load:set((now.cpu - last.cpu) / seconds) end
  last, before = now, ns.monotonic()
  check("rss", now.rss)
  check("queue", now.queue)
end

function M:initialize(settings)
  conf, before = settings, ns.monotonic()
  load = ns.metrics.gauge("cpu_load", "Cores in use, over the last period.")
end

function M:start()
  check_all()
  ns.every(conf.period, check_all)
  ns.route("GET", "/now", function() return 200, ns.resource() end)
end

return M
