-- teapot: a minimal background plugin with a task and a route.
--
-- The task warms the pot. GET /plugins/teapot/teapot returns the temperature, with
-- status 418 of RFC 2324.
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

-- The task and the handler share this variable without a lock. Only one of them runs
-- at a time, and the other one can run only while a call waits, as in ns.sleep.
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
