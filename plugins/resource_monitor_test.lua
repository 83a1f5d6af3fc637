local test = require("nearside.test")

test.case("load is processor time over time", function()
  test.resource({ cpu = 100 })
  test.start({ period = 10 })
  test.resource({ cpu = 115 })
  test.clock.advance(10)
  test.equal(test.metric("cpu_load"), 1.5)
end)

test.case("warns once, and tells when it is over", function()
  test.start({ queue = 5, period = 1 })
  test.resource({ queue = 6 })
  test.clock.advance(3)
  test.resource({ queue = 5 })
  test.clock.advance(3)
  local said = {}
  for i, line in ipairs(test.log.lines()) do said[i] = line.level .. " " .. line.message end
  test.equal(said, { "WARN queue is high", "INFO queue is normal again" })
end)

test.case("serves the figures", function()
  test.resource({ rows = 7 })
  test.equal(test.start():request("GET", "/now").json.rows, 7)
end)
