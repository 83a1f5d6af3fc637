-- background_sample: the background sample of the original services, as literally as possible.
local ns = require("nearside")

local M = {
  api = 1, name = "background_sample", version = "1.0.0",
  kinds = { "background" },
  temperature = 0,
}

local text = { ["Content-Type"] = "text/plain" }

local function teapot(req) return 418, "I am teapot", text end

local function version(req) return 200, "T800", text end

function M:_useful_job()
  while true do
    ns.sleep(1)
    self.temperature = math.min(100, self.temperature + 1)
    if self.temperature < 100 then
      ns.log.info("the water gets warmer", { temperature = self.temperature })
    else
      ns.log.info("the water boils")
    end
  end
end

function M:start()
  ns.route("GET", "/teapot", teapot)
  ns.route("GET", "/teapot/version", version)
  ns.spawn(self._useful_job, self)
end

return M
