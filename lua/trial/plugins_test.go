package trial

import (
	"strings"
	"testing"

	"nearside/lua/luatest"
)

// TestDegradedInTests checks that a test of a plugin can see that the plugin is degraded,
// and that it runs after the peer is up.
func TestDegradedInTests(t *testing.T) {
	got, err := runTrials(t, map[string]string{"p.lua": `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, permissions = {"http:*"}, required = false}
function M:initialize()
  local answer = assert(ns.http.get("http://peer/"))
  ns.ready(function() ns.log.info("ready") end)
end
return M`, "p_test.lua": `
local test = require("nearside.test")
test.case("starts later", function()
  local up = false
  test.http.handle(function() if up then return {status = 200} end return nil, "refused" end)
  local plugin = test.start()
  test.equal(plugin:status().state, "degraded")
  test.contains(plugin:status().reason, "refused")
  test.clock.advance(3.5)
  test.equal(#test.http.requests(), 3)
  up = true
  test.clock.advance(4)
  test.equal(plugin:status().state, "running")
  local lines = test.log.lines()
  test.equal(lines[#lines].message, "ready")
end)`})
	if err != nil || strings.Count(got, ": ok\n") != 1 {
		t.Error(got, err)
	}
}

// TestRefusedReaderBacksOff checks that the pauses between attempts grow while the server
// refuses a reader that has worked before. Here the key of the stream has become a string.
func TestRefusedReaderBacksOff(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
M.permissions = {"redis:*"}
function M:start()
  local r = assert(ns.redis.connect("redis://127.0.0.1:6379"))
  assert(r:xreadgroup({group = "g", stream = "s"}, print))
end`), `
test.case("pauses grow", function()
  local p = test.start()
  test.redis.call("SET", "s", "a string")
  test.clock.advance(60)
  local s = p:status()
  test.contains(s.last_error, "WRONGTYPE")
  test.ok(s.failures >= 8 and s.failures <= 20, s.failures .. " attempts in 60 s, want 8 to 20")
  test.equal(s.state, "degraded")
  test.redis.call("DEL", "s")
  test.clock.advance(10)
  test.equal(p:status().state, "running")
end)`)
}

// TestRedisDoubleRefusesFarTimes checks that a time to live that does not fit does not
// wrap around. The key would then expire at once.
func TestRedisDoubleRefusesFarTimes(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
M.permissions = {"redis:*"}
function M:start()
  local r = ns.redis.connect("redis://127.0.0.1:6379")
  for _, command in ipairs{{"EXPIRE", "k", "9223372036854775807"}, {"PEXPIRE", "k", "9223372036854775807"}, {"SET", "k", "v", "EX", "9223372036854775807"}} do
    r:call("SET", "k", "v")
    local reply, err = r:call(unpack(command))
    assert(reply == nil and err:find("invalid expire time"), tostring(err))
    assert(r:call("GET", "k") == "v")
  end
end`), `test.case("far", function() test.start() end)`)
}

// TestNumbersInRequests checks that a number in the query or a header of a test's request
// is written without an exponent.
func TestNumbersInRequests(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start() ns.route("GET", "/x", function(req) return 200, req.query.n .. " " .. req.headers.n end) end`), `
test.case("whole", function()
  local r = test.start():request("GET", "/x", {query = {n = 12345678}, headers = {n = 1e6}})
  test.equal(r.body, "12345678 1000000")
end)`)
}

// TestReplacedStateGivesMessagesBack checks that the message that a killed state was
// handling is delivered again. A message returns to RabbitMQ at once. An entry of a stream
// is claimed later, and its delivery counter includes the attempt.
func TestReplacedStateGivesMessagesBack(t *testing.T) {
	wantPass(t, `local ns = require('nearside')
local M = {api = 1, name = 'p', kinds = {'background'}, permissions = {"redis:r:6379", "amqp:mq:5672"}, limits = {memory = "4MiB"},
  schema = {properties = {redis = {type = "boolean"}}}}
local keep = {}
local function handle(source, n, attempt)
  if n == "2" and ns.kv.incr(source) == 1 then
    for i = 1, 200 do keep[i] = ("x"):rep(100000 + i) ns.sleep(0.01) end
  end
  return source .. n .. ":" .. attempt
end
function M:start()
  local r = assert(ns.redis.connect("redis://r"))
  local a = assert(ns.amqp.connect("amqp://mq"))
  assert(a:declare("queue", "q"))
  if ns.conf.redis then
    r:xreadgroup({group = "g", stream = "s"}, function(e) r:call("RPUSH", "done", handle("r", e.fields.n, e.attempt)) return true end)
  else
    assert(a:consume("q", function(m) r:call("RPUSH", "done", handle("a", m.body, m.attempt)) return true end))
  end
end
return M`, `
for _, redis in ipairs({true, false}) do
  test.case(redis and "redis" or "amqp", function()
    local p = test.start({redis = redis})
    for n = 1, 3 do
      if redis then test.redis.call("XADD", "s", "*", "n", n) else test.amqp.publish("", "q", tostring(n)) end
    end
    test.clock.advance(1)
    test.clock.advance(20)
    test.equal(test.redis.call("LRANGE", "done", 0, -1), redis and {"r1:1", "r3:1", "r2:2"} or {"a1:1", "a2:1", "a3:1"})
    test.equal(#test.redis.pending("s", "g"), 0)
    local status = p:status()
    test.equal({status.state, status.reason}, {"running", ""})
    test.contains(status.last_error, "holds more memory than its limit")
  end)
end`)
}
