-- Run with: nearside plugin test NAME
local test = require("nearside.test")

test.case("counts", function()
  local plugin = test.start({ period = 10 })
  test.clock.advance(35) -- takes no time; what happens meanwhile has happened when it returns
  local answer = plugin:request("GET", "/ticks", { headers = { ["user-agent"] = "test" } })
  test.equal(answer.status, 200)
  test.equal(answer.json, { ticks = 3, asked_by = "test" })
end)

test.case("says goodbye", function()
  local plugin = test.start()
  plugin:close()
  test.equal(test.log.lines()[1].message, "closed")
end)
