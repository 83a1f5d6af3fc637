-- Run with: nearside plugin test NAME
local test = require("nearside.test")

local function request(seconds)
  return { series = "requests", time = test.clock.now(), tags = { route = "POST:/matcher/faces" }, fields = { execution_time = seconds } }
end

test.case("counts requests and logs the slow ones", function()
  local plugin = test.start({ slow = 0.5 })
  plugin:emit({ request(0.1), request(0.7), { series = "errors", tags = {}, fields = {} } })
  test.equal(test.metric("requests", { "POST:/matcher/faces" }), 2)
  local lines = test.log.lines()
  test.equal(#lines, 1)
  test.equal(lines[1].fields.seconds, 0.7)
end)

test.case("refuses wrong settings", function()
  test.fails(function() test.start({ slow = "very" }) end, "plugins.settings.NAME: slow")
end)
