package vm

import (
	"context"
	"fmt"
	"testing"
)

// unitsOf returns the average number of units that one execution of body is charged.
func unitsOf(t *testing.T, setup, body string) int {
	t.Helper()
	const times = 500
	s := newState(t)
	fn := loadFunction(t, s, fmt.Sprintf("local ns = require('test')\n%s\nreturn function(n) for i = 1, n do %s end end", setup, body))
	before := s.Counters().Instructions
	if _, err := s.Call(context.Background(), generous, fn, times); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return int(s.Counters().Instructions-before) / times
}

// TestChargesMatchTheWork checks that the charge of each body is about its time in
// units. Otherwise a tight loop of the body would end long after its slice. low is
// half of the measured value, which is the processor time of the body divided by
// the time of a calibrated unit. The values were measured on one machine; on other
// machines the proportions are almost the same.
func TestChargesMatchTheWork(t *testing.T) {
	chains := "local t, k = {x = function() end}, 'x' for i = 1, 90 do t = setmetatable({}, {__index = t, __newindex = t}) end "
	for _, test := range []struct {
		setup, body string
		low, high   int
	}{
		{chains, "local x = t.x", 34, 200},
		{chains, "local x = t[k]", 41, 200},
		{chains, "local x = t.y", 34, 200},
		{chains, "t:x()", 30, 200},
		{chains, "t.x = print", 22, 400},
		{chains, "t[k] = print", 60, 400},
		{chains, "local s = ('a'):gsub('a', t)", 40, 300},
		{chains, "local ok = pcall(os.time, t)", 90, 3000},
		{"", "local d = os.date('*t')", 90, 400},
		{"", "local d = os.date('!*t', 1e9)", 90, 400},
		{"", "local d = os.date('%c')", 25, 200},
		{"local t, n = {}, 0", "n = n + 1 t['k' .. n] = n", 20, 60},
		{"", "local t = {} for i = 1, 200 do t['k' .. i] = i end", 3000, 10000},
		{"local t = {}", "for i = 1, 200 do t['k' .. i] = i end for k in pairs(t) do t[k] = nil end", 2600, 14000},
		{"", "for k in pairs(_G) do end", 230, 1200},
		{"local t = {} for i = 1, 1000 do t[i + 0.5] = 1 end", "for k in pairs(t) do end", 7000, 30000},
		{"", "local a = ('key=1'):match('(%w+)=(%w+)')", 9, 60},
		{"", "for w in ('a b c'):gmatch('%a') do end", 13, 120},
		{"local f = function() end", "local a = ('a b c'):gsub('%a', f)", 26, 150},
		{"", "local s = ('%.99f'):format(1e300)", 150, 600},
		{"", "local s = ('%f'):format(1e300)", 100, 600},
		{"local function f(n) if n == 0 then error('x') end return 1 + f(n - 1) end", "pcall(f, 150)", 5000, 60000},
		{"", "local t = {} table.insert(t, 3000, 1)", 350, 4000},
		{"", "local x = ns.sub.owner", 11, 60},
		{"local t = {1, 2, {a = 1}}", "ns.echo(t)", 33, 200},
		// Cheap operations have a low charge.
		{"local t = {x = 1}", "local x = t.x", 1, 4},
		{"local A = {x = 1} local B = setmetatable({}, {__index = A}) local o = setmetatable({}, {__index = B})", "local x = o.x", 1, 4},
		{"local t = {}", "t.x = i", 1, 4},
		{"local t = {}", "t[i] = i", 1, 8},
		{"", "local t = {a = 1, b = 2}", 5, 90},
		{"", "local s = ('%.14g'):format(0.1)", 5, 30},
	} {
		if got := unitsOf(t, test.setup, test.body); got < test.low || got > test.high {
			t.Errorf("%s is charged %d units, want %d to %d", test.body, got, test.low, test.high)
		}
	}
}
