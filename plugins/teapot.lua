-- teapot: the smallest background plugin: a task and a route.
--
-- While nobody asks, a task warms the pot. GET /plugins/teapot/teapot says how
-- warm it is, with the status that RFC 2324 has for it.
local ns = require("nearside")

local M = {
  api = 1, name = "teapot", version = "1.0.0",
  kinds = { "background" },
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      temperature = { type = "number", default = 20 }, -- at the start
      step = { type = "number", exclusiveMinimum = 0, default = 1 }, -- per second
    },
  },
}

-- The task and the handler share this variable. Nothing can change it between
-- two lines of either, but where a call waits: in ns.sleep.
local temperature

function M:initialize(conf) temperature = conf.temperature end

function M:start()
  ns.spawn(function()
    while temperature < 100 do
      ns.sleep(1)
      temperature = math.min(temperature + ns.conf.step, 100)
    end
    ns.log.info("the water boils")
  end)
  ns.route("GET", "/teapot", function()
    return 418, { message = "I am a teapot", temperature = temperature }, { ["Cache-Control"] = "no-store" }
  end)
end

return M
