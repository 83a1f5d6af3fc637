-- Run with: nearside plugin test NAME
local test = require("nearside.test")

test.case("counts the ticks of the timer", function()
  local plugin = test.start({ period = 10 })
  test.clock.advance(35) -- moves the clock of the test; all timers that are due have run when it returns
  local answer = plugin:request("GET", "/ticks", { headers = { ["user-agent"] = "test" } })
  test.equal(answer.status, 200)
  test.equal(answer.json, { ticks = 3, asked_by = "test" })
end)

test.case("logs a line at close", function()
  local plugin = test.start()
  plugin:close()
  test.equal(test.log.lines()[1].message, "closed")
end)
