package vm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func errorContains(err error, want string) bool { return strings.Contains(err.Error(), want) }

// countBlocked returns the number of goroutines in stacks that wait for the lock of
// a state.
func countBlocked(stacks string) int {
	blocked := 0
	for goroutine := range strings.SplitSeq(stacks, "\n\n") {
		header, calls, _ := strings.Cut(goroutine, "\n")
		if strings.Contains(header, "[select") && strings.Contains(calls, "vm.(*State).acquireLock(") {
			blocked++
		}
	}
	return blocked
}

// TestSandbox checks that scripts cannot run forever, exceed limits, change libraries, or
// reach functions that are not allowed.
func TestSandbox(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		wantError(t, body, want)
	}
	wantKilled(t, `while true do end`)
	wantKilled(t, `repeat until false`)
	wantKilled(t, `local function f() return f() end return f()`) // a tail call needs no stack
	f(`local function f() return 1 + f() end return f()`, "stack overflow")
	f(`local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. "x"] end return t.a`, "stack overflow")
	f(`local t = {} setmetatable(t, {__index = t}) return t.x`, "too many recursions")
	f(`return ("x"):rep(1e9)`, "longer than")
	f(`return ("x"):rep(2^62)`, "longer than")
	f(`local s = "x" for i = 1, 30 do s = s .. s end`, "longer than")
	f(`local s = ("x"):rep(1e6) local t = {} for i = 1, 100 do t[i] = s end return table.concat(t)`, "longer than")
	f(`local s = ("x"):rep(1e7) return ("%s%s"):format(s, s)`, "longer than")
	f(`return ("%999d"):format(1)`, "width or precision too long")
	f(`return ("%.999f"):format(1)`, "width or precision too long")
	f(`local s = ("a"):rep(1e4) return s:gsub("a", ("b"):rep(1e4))`, "longer than")
	f(`return unpack({}, 1, 1e7)`, "more than")
	f(`return ("x"):rep(1e6):byte(1, -1)`, "more than")
	f(`local t = {} table.insert(t, -2e9, 1)`, "at most")
	wantKilled(t, `local t = {} for i = 1, 1e9 do t[i] = i end`)
	wantKilled(t, `local t = {} for i = 1, 3e5 do t[i] = i % 7 end table.sort(t, function(a, b) return true end)`)
	f(`table.sort({3, 2, 1}, function(a, b) error("cmp", 0) end)`, "cmp")
	f(`string.rep = nil`, "string is read-only")
	f(`_G.x = 1`, "_G is read-only")
	f(`ns.sub.one = 1`, "test.sub is read-only")
	f(`rawset(string, "rep", print)`, "table expected, got userdata")
	f(`rawset(_G, "x", 1)`, "table expected, got userdata")
	f(`table.insert(string, 1)`, "table expected, got userdata")
	f(`setmetatable(string, {})`, "table expected")
	f(`setmetatable(1, {})`, "table expected")
	f(`getmetatable("").__index = function() end`, "attempt to index a non-table object(boolean)")
	f(`local s = "" s.rep = 1`, "attempt to index a non-table object(string)")
	f(`setmetatable(getmetatable(""), {})`, "table expected")
	f(`getmetatable(ns).__index = {}`, "attempt to index a non-table object(boolean)")
	for _, name := range []string{
		"load", "loadstring", "loadfile", "dofile", "io", "debug", "package", "module", "setfenv", "getfenv",
		"newproxy", "collectgarbage", "channel", "_printregs", "_GOPHER_LUA_VERSION",
	} {
		if got := evalBody(t, `return type(`+name+`)`); got != "nil" {
			t.Errorf("%s is a %v, want nil", name, got)
		}
	}
	for _, name := range []string{
		"os.execute", "os.exit", "os.getenv", "os.remove", "os.rename", "os.setlocale", "os.tmpname", "string.dump",
	} {
		if got := evalBody(t, `return type(`+name+`)`); got != "nil" {
			t.Errorf("%s is a %v, want nil", name, got)
		}
	}
}

// TestBacktrackingIsBounded runs patterns that would take minutes or days without a
// limit.
func TestBacktrackingIsBounded(t *testing.T) {
	for _, body := range []string{
		`return ("a"):rep(3000):match(("a*"):rep(30) .. "b")`,
		`return ("a"):rep(3000):match(("a-"):rep(30) .. "b")`,
		`return ("a"):rep(1e5):find((".-"):rep(20) .. "b")`,
		`return (("a"):rep(1e5):gsub(("a*"):rep(20) .. "b", ""))`,
		`for w in ("a"):rep(1e5):gmatch((".-"):rep(20) .. "b") do end`,
	} {
		_, err := runBodyFor(t, DefaultSlice, body)
		if err == nil || !errors.Is(err, ErrSlice) && !errorContains(err, "steps") {
			t.Errorf("%s: error %v, want %v or too many steps", body, err, ErrSlice)
		}
	}
	wantError(t, `return ("a"):rep(300):match(("(a"):rep(40))`, "captures")
	wantError(t, `return ("a"):rep(1e5):match(("a?"):rep(1e5))`, "too complex")
}

// TestGlobalWritesAreRefused checks that Compile reports all writes of globals.
func TestGlobalWritesAreRefused(t *testing.T) {
	_, err := Compile("p.lua", "local a\na = 1\nlocal function f()\n  leaked = 1\nend\nfunction other() end\nfor i = 1, 2 do local x = i end", "test")
	if err == nil {
		t.Fatal("a source that writes globals was compiled")
	}
	for _, want := range []string{`p.lua:4: write to the undeclared global "leaked"`, `p.lua:6: write to the undeclared global "other"`} {
		if !errorContains(err, want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if strings.Count(err.Error(), "write to") != 2 {
		t.Errorf("error %v, want two lines with \"write to\"", err)
	}
}

// TestStatesDoNotShareChanges checks that a script cannot change the library that
// states share.
func TestStatesDoNotShareChanges(t *testing.T) {
	_, _ = runBody(t, `pcall(function() string.upper = nil end) pcall(rawset, string, "upper", nil) pcall(function() getmetatable("").__index = nil end)
for k in pairs({}) do end pcall(next, string) pcall(setmetatable, "", {}) pcall(function() ns.sleep = nil end)`)
	if got := evalBody(t, `return ("a"):upper()`); got != "A" {
		t.Errorf("string.upper returned %v, want A", got)
	}
}

// TestConcatenationIsBounded doubles a string 30 times, which would take 10 GB.
func TestConcatenationIsBounded(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `return function() local s = "xxxxxxxxxx" for i = 1, 30 do s = s .. s end return s end`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Call(context.Background(), generous, fn); err == nil {
		t.Fatal("the string was made, want an error")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4*MaxString {
		t.Errorf("%d bytes were allocated, want at most %d", grown, 4*MaxString)
	}
}

// TestYieldAcrossGoIsRefused checks that yielding from a function that Go has called
// is an error, because gopher-lua does not support it.
func TestYieldAcrossGoIsRefused(t *testing.T) {
	for _, body := range []string{
		`table.sort({2, 1}, function(a, b) coroutine.yield() return a < b end)`,
		`return (("a"):gsub("a", function() coroutine.yield() end))`,
		`ns.call(function() coroutine.yield() end)`,
		`pcall(error) return pcall(coroutine.yield) and 1 or error("across")`,
	} {
		if got := evalBody(t, `local co = coroutine.create(function() `+body+` end) local ok, e = coroutine.resume(co) return ok`); got != false {
			t.Errorf("%s: the coroutine succeeded: %v, want an error", body, got)
		}
	}
	// gopher-lua does not detect a yield in a metamethod or an iterator. The state
	// must be usable afterwards, whatever the result is.
	s := newState(t)
	odd := loadFunction(t, s, `return function()
  local t = setmetatable({}, {__index = function() coroutine.yield(1) return 2 end})
  local co = coroutine.create(function() local x = t.a for k in function() coroutine.yield(3) end do end return x end)
  for i = 1, 5 do coroutine.resume(co) end
end`)
	_, _ = s.Call(context.Background(), Limits{}, odd)
	if _, err := s.Call(context.Background(), Limits{}, loadFunction(t, s, `return function() return 1 end`)); err != nil {
		t.Errorf("a call after the yields: %v", err)
	}
}

// TestKillMessage: the message of a call that was killed in a function of the host begins
// with a position or with the reason.
func TestKillMessage(t *testing.T) {
	for _, body := range []string{"while true do pcall(string.rep, 'x', 100000) end", "while true do string.rep('x', 100000) end"} {
		s := newState(t)
		_, err := s.Call(context.Background(), Limits{Slice: 10 * time.Millisecond}, loadFunction(t, s, "return function() "+body+" end"))
		if err == nil || strings.HasPrefix(err.Error(), " ") || strings.Contains(err.Error(), "  ") {
			t.Errorf("%s: %q", body, err)
		}
	}
}
