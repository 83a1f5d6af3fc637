local test = require("nearside.test")

test.case("computes the load from processor time", function()
  test.resource({ cpu = 100 })
  test.start({ period = 10 })
  test.resource({ cpu = 115 })
  test.clock.advance(10)
  test.equal(test.metric("cpu_load"), 1.5)
  test.resource({ cpu = 120 })
  test.clock.advance(10)
  test.equal(test.metric("cpu_load"), 0.5)
end)

test.case("warns once, and logs when the value is normal again", function()
  test.start({ queue = 5, period = 1 })
  test.resource({ queue = 6 })
  test.clock.advance(3)
  test.resource({ queue = 5 })
  test.clock.advance(3)
  local logged = {}
  for i, line in ipairs(test.log.lines()) do logged[i] = line.level .. " " .. line.message end
  test.equal(logged, { "WARN queue is high", "INFO queue is normal again" })
end)

test.case("serves the current values", function()
  test.resource({ rows = 7 })
  test.equal(test.start():request("GET", "/now").json.rows, 7)
end)
