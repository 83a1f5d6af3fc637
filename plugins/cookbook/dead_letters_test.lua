local test = require("nearside.test")

local function dead() return test.redis.call("XRANGE", "jobs.dead", "-", "+") end

test.case("acknowledges what the service takes", function()
  test.http.handle(function() return { status = 201 } end)
  test.start()
  test.redis.call("XADD", "jobs", "*", "job", "a")
  test.equal(test.http.requests()[1].json, { job = "a" })
  test.equal({ #test.redis.pending("jobs", "nearside"), #dead() }, { 0, 0 })
end)

test.case("gives up what the service refuses, and what fails five times", function()
  local status = 400
  test.http.handle(function() return { status = status } end)
  test.start()
  test.redis.call("XADD", "jobs", "*", "job", "bad")
  test.equal(#dead(), 1)
  status = 503
  test.redis.call("XADD", "jobs", "*", "job", "unlucky")
  test.clock.advance(14)
  test.equal(#dead(), 1, "the fifth attempt is 15 s after the first")
  test.clock.advance(2)
  test.equal({ #dead(), #test.http.requests() }, { 2, 6 })
end)

test.case("waits as long as the service asks", function()
  test.http.handle(function() return { status = 429, headers = { ["Retry-After"] = "120" } } end)
  test.start()
  test.redis.call("XADD", "jobs", "*", "job", "a")
  test.clock.advance(119)
  test.equal(#test.http.requests(), 1)
  test.clock.advance(2)
  test.equal(#test.http.requests(), 2)
end)

test.case("puts dead letters back", function()
  local status = 400
  test.http.handle(function() return { status = status } end)
  local plugin = test.start()
  test.redis.call("XADD", "jobs", "*", "job", "a")
  status = 200
  test.equal(plugin:request("POST", "/redrive", { role = "admin" }).json, { count = 1 })
  test.clock.advance(1)
  test.equal({ #dead(), #test.http.requests(), test.http.requests()[2].json }, { 0, 2, { job = "a" } })
  test.fails(function() plugin:request("POST", "/redrive", { role = "write" }) end, "role")
end)
