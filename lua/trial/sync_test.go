package trial

import (
	"testing"

	"nearside/lua/luatest"
)

// TestCronInTests checks that cron follows the clock of the test, its zone and a reload, and
// that a call that takes longer than the period leaves times out.
func TestCronInTests(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  ns.cron("0 3 * * *", "Europe/Berlin", function() ns.log.info("berlin " .. ns.time.format(ns.now())) end)
  local n = 0
  local task = ns.cron("@hourly", nil, function() n = n + 1 ns.log.info("hour " .. n) ns.sleep(7000) end)
  ns.route("GET", "/stop", function() task:cancel() return 204 end)
end`), `
local function logged(prefix)
  local all = {}
  for _, l in ipairs(test.log.lines()) do if l.message:find(prefix, 1, true) == 1 then all[#all + 1] = l.message end end
  return all
end
test.case("times", function()
  local p = test.start()
  test.clock.advance(7199) -- until 01:59:59Z, 02:59:59 in Berlin
  test.equal(logged("berlin"), {})
  test.equal(logged("hour"), {"hour 1"})
  test.clock.advance(1)
  test.equal(logged("berlin"), {"berlin 2026-01-01T02:00:00Z"})
  test.clock.advance(2 * 3600) -- the call of 01:00 ended at 02:56:40
  test.equal(logged("hour"), {"hour 1", "hour 2"})
  p:reload()
  test.clock.advance(22 * 3600)
  test.equal(logged("berlin"), {"berlin 2026-01-01T02:00:00Z", "berlin 2026-01-02T02:00:00Z"})
  local n = #logged("hour")
  p:request("GET", "/stop")
  test.clock.advance(5 * 3600)
  test.equal(#logged("hour"), n)
end)`)
}

func TestSignals(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  local s, other = ns.signal(), ns.signal()
  local function log(...) ns.log.info(table.concat({ns.monotonic(), ...}, " ")) end
  ns.spawn(function()
    local v, err = s:wait(10)
    log("a", tostring(v), tostring(err))
    v = s:wait(100)
    log("a", v.x, tostring(v == M.shared))
    log("a", tostring(s:wait(100)))
  end)
  ns.spawn(function()
    ns.sleep(11)
    log("b", s:wait(100).x)
  end)
  ns.spawn(function()
    ns.sleep(20)
    M.shared = {x = "table"}
    log("woken", s:notify(M.shared))
    log("woken", s:notify()) -- a waits again only later
    log("woken", other:notify("old"), other:notify("new"))
    log("kept", other:wait(0))
    log("gone", tostring(other:wait(0)))
    log("false", tostring(s:notify(false)))
  end)
end`), `
test.case("signals", function()
  test.start()
  test.clock.advance(200)
  local all = {}
  for _, l in ipairs(test.log.lines()) do all[#all + 1] = l.message end
  table.sort(all)
  test.equal(all, {"10 a nil timeout", "20 a table true", "20 a true", "20 b table", "20 false 0", "20 gone nil", "20 kept new", "20 woken 0", "20 woken 0 0", "20 woken 2"})
end)`)
}

// TestLocks checks that one task at a time holds a lock, in order of arrival, and also across
// states, and that errors and ended states release it.
func TestLocks(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
M.states = 2
local function log(...) ns.log.info(table.concat({ns.monotonic(), ...}, " ")) end
function M:start(state)
  local name = "s" .. state.index
  ns.spawn(function()
    ns.sleep(state.index)
    local sum, list = ns.lock("x"):with(function(a, b) log(name, "in") ns.sleep(10) log(name, "out") return a + b, {a} end, 1, 2)
    log(name, "sum", sum, list[1])
  end)
  if state.index == 1 then
    ns.spawn(function()
      local l = ns.lock("x")
      ns.sleep(5)
      log("short", tostring(l:acquire(2)))
      log("other", tostring(ns.lock("y"):acquire(0)))
      log("second", tostring(l:acquire(100)))
      log("fails", tostring(pcall(function() ns.lock("z"):with(function() error("inside") end) end)))
      log("again", tostring(ns.lock("z"):acquire(0)))
      l:release()
      log("twice", tostring(pcall(l.release, l)))
    end)
  end
end`), `
test.case("locks", function()
  local p = test.start()
  test.clock.advance(200)
  -- The states run side by side, so each task has its own order.
  local function lines(task)
    local all = {}
    for _, l in ipairs(test.log.lines()) do
      if (l.message:match("^%d+ (s%d)") or "third") == task then all[#all + 1] = l.message end
    end
    return all
  end
  local third = {"7 short nil", "7 other true", "21 second true", "21 fails false", "21 again true", "21 twice false"}
  test.equal(lines("s1"), {"1 s1 in", "11 s1 out", "11 s1 sum 3 1"})
  test.equal(lines("s2"), {"11 s2 in", "21 s2 out", "21 s2 sum 3 1"})
  test.equal(lines("third"), third)
  p:reload() -- y and z were never released
  test.clock.advance(200)
  test.equal({#lines("s1"), #lines("s2")}, {6, 6})
  local all = lines("third")
  test.equal({#all, all[8], all[11]}, {12, "207 other true", "221 again true"})
end)`)
}

func TestSyncFaults(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  local function fails(want, fn, ...)
    local ok, err = pcall(fn, ...)
    assert(not ok and err:find(want, 1, true), tostring(err) .. ", want " .. want)
  end
  fails("1 to 256 bytes, got 0", ns.lock, "")
  fails("seconds must be from 0 to", function() ns.lock("x"):acquire(-1) end)
  fails("seconds must be from 0 to", function() ns.signal():wait(-1) end)
  fails("number expected", function() ns.signal():wait() end)
  fails("must have five fields", function() ns.cron("* * *", nil, print) end)
  fails("is unknown", function() ns.cron("* * * * *", "Mars", print) end)
  fails("function expected", function() ns.cron("* * * * *", nil) end)
  local r = ns.redis.connect("redis://r")
  fails("options.won: is missing", function() r:lease("k", 10, {}) end)
  fails("options.lost: is not a function", function() r:lease("k", 10, {won = print, lost = 1}) end)
  fails("options.wonn: is unknown", function() r:lease("k", 10, {wonn = print}) end)
  fails("ttl must be from 1 to 86400 seconds, got 0.5", function() r:lease("k", 0.5, {won = print}) end)
  fails("the key is empty", function() r:lease("", 10, {won = print}) end)
end
M.permissions = {"redis:*"}`), `test.case("faults", function() test.start() end)`)
}

// leasing is a plugin that competes for a lease and logs what happens.
var leasing = luatest.BackgroundPlugin(`
M.permissions = {"redis:*"}
function M:start()
  local r = ns.redis.connect("redis://r")
  local function log(...) ns.log.info(table.concat({ns.monotonic(), ...}, " ")) end
  local lease = r:lease("leader", 9, {
    won = function() log("won") while true do ns.sleep(1) ns.kv.incr("work") end end,
    lost = function(reason) log("lost", reason) end,
  })
  ns.route("GET", "/held", function() return 200, {held = lease:held(), work = ns.kv.get("work")} end)
  ns.route("GET", "/cancel", function() lease:cancel() return 204 end)
end`)

const leaseTest = `
local function lines()
  local all = {}
  for _, l in ipairs(test.log.lines()) do
    if l.message:find("^%d") then all[#all + 1] = l.message end
  end
  return all
end
`

func TestLease(t *testing.T) {
	wantPass(t, leasing, leaseTest+`
test.case("is renewed, and returned when the plugin ends", function()
  local p = test.start()
  test.equal(lines(), {"0 won"})
  test.ok(p:request("GET", "/held").json.held)
  local token = test.redis.call("GET", "leader")
  test.equal(test.redis.call("PTTL", "leader"), 9000)
  test.clock.advance(100)
  test.equal({test.redis.call("GET", "leader"), test.redis.call("PTTL", "leader") > 6000, p:request("GET", "/held").json.work}, {token, true, 100})
  p:close()
  test.equal({lines()[2], test.redis.call("EXISTS", "leader")}, {"100 lost the lease has ended", 0})
end)

test.case("is not taken while another client holds the key", function()
  test.redis.call("SET", "leader", "other", "PX", 20000)
  local p = test.start()
  test.clock.advance(19)
  test.equal({lines(), p:request("GET", "/held").json.held}, {{}, false})
  test.clock.advance(4)
  test.equal(lines(), {"21 won"})
end)

test.case("is lost when another client has the key; the task of won ends", function()
  local p = test.start()
  test.clock.advance(10)
  test.redis.call("SET", "leader", "other", "PX", 30000)
  test.clock.advance(3)
  test.equal(lines(), {"0 won", "12 lost another client holds the key, or it was deleted"})
  test.equal({test.redis.call("GET", "leader"), p:request("GET", "/held").json.held}, {"other", false})
  local work = p:request("GET", "/held").json.work
  test.clock.advance(20)
  test.equal(p:request("GET", "/held").json.work, work)
end)

test.case("is given up before it expires while the server is down", function()
  local p = test.start()
  test.clock.advance(10)
  test.redis.down("down")
  test.clock.advance(7)
  test.equal({lines(), p:request("GET", "/held").json.held}, {{"0 won"}, true})
  test.clock.advance(0.2)
  test.equal({lines(), p:request("GET", "/held").json.held}, {{"0 won", "17.1 lost the key was not renewed in time"}, false})
  test.ok(test.redis.call("PTTL", "leader") > 0)
  test.equal(p:status().failures, 1)
  test.redis.down()
  test.clock.advance(10)
  test.equal(#lines(), 3)
  p:request("GET", "/cancel")
  test.clock.advance(0)
  test.equal({lines()[4]:match("lost.*"), test.redis.call("EXISTS", "leader")}, {"lost the lease has ended", 0})
end)

test.case("passes to the next generation at a reload", function()
  local p = test.start()
  test.clock.advance(10)
  p:reload()
  test.clock.advance(3)
  local all = lines()
  test.equal({#all, all[2], all[3]:match("won")}, {3, "10 lost the lease has ended", "won"})
end)`)
}
