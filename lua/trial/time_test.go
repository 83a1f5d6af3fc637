package trial

import (
	"testing"

	"nearside/lua/luatest"
)

// TestTrialOSTime checks that os.time, os.date and os.clock follow the time of
// the test.
func TestTrialOSTime(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("GET", "/x", function() return 200, {os = os.time(), ns = math.floor(ns.now()), date = os.date("!%Y-%m-%d"), hour = os.date("!*t").hour, clock = os.clock()} end)
end`), `
test.case("os.time is the test's time", function()
  local p = test.start()
  local a = p:request("GET", "/x").json
  test.equal({a.os - a.ns, a.date, a.hour, a.clock > 0}, {0, "2026-01-01", 0, true})
  test.equal(os.time(), a.os, "the test's own")
  test.clock.advance(3600)
  local b = p:request("GET", "/x").json
  test.equal({b.ns - a.ns, b.os - a.os, b.os - b.ns, b.hour, b.clock - a.clock}, {3600, 3600, 0, 1, 3600})
end)`)
}
