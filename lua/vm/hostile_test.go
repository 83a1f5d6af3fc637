package vm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
)

func contains(err error, want string) bool { return strings.Contains(err.Error(), want) }

func countBlocked(stacks string) int {
	blocked := 0
	for goroutine := range strings.SplitSeq(stacks, "\n\n") {
		header, calls, _ := strings.Cut(goroutine, "\n")
		if strings.Contains(header, "[select") && strings.Contains(calls, "vm.(*State).acquire(") {
			blocked++
		}
	}
	return blocked
}

// TestHostile: what no script may do, with the error that says so.
func TestHostile(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		fails(t, body, want)
	}
	endless(t, `while true do end`)
	endless(t, `repeat until false`)
	endless(t, `local function f() return f() end return f()`) // a tail call needs no stack
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
	endless(t, `local t = {} for i = 1, 1e9 do t[i] = i end`)
	endless(t, `local t = {} for i = 1, 3e5 do t[i] = i % 7 end table.sort(t, function(a, b) return true end)`)
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
		if got := eval(t, `return type(`+name+`)`); got != "nil" {
			t.Errorf("%s is a %v", name, got)
		}
	}
	for _, name := range []string{
		"os.execute", "os.exit", "os.getenv", "os.remove", "os.rename", "os.setlocale", "os.tmpname", "string.dump",
	} {
		if got := eval(t, `return type(`+name+`)`); got != "nil" {
			t.Errorf("%s is a %v", name, got)
		}
	}
}

// TestPatternBombs: each would take minutes or days without a bound.
func TestPatternBombs(t *testing.T) {
	for _, body := range []string{
		`return ("a"):rep(3000):match(("a*"):rep(30) .. "b")`,
		`return ("a"):rep(3000):match(("a-"):rep(30) .. "b")`,
		`return ("a"):rep(1e5):find((".-"):rep(20) .. "b")`,
		`return (("a"):rep(1e5):gsub(("a*"):rep(20) .. "b", ""))`,
		`for w in ("a"):rep(1e5):gmatch((".-"):rep(20) .. "b") do end`,
	} {
		_, err := runFor(t, DefaultSlice, body)
		if err == nil || !errors.Is(err, ErrSlice) && !contains(err, "steps") {
			t.Errorf("%s: %v", body, err)
		}
	}
	fails(t, `return ("a"):rep(300):match(("(a"):rep(40))`, "captures")
	fails(t, `return ("a"):rep(1e5):match(("a?"):rep(1e5))`, "too complex")
}

// TestGlobalsCannotBeWritten: refused when compiled, all of them at once.
func TestGlobalsCannotBeWritten(t *testing.T) {
	_, err := Compile("p.lua", "local a\na = 1\nlocal function f()\n  leaked = 1\nend\nfunction other() end\nfor i = 1, 2 do local x = i end", "test")
	if err == nil {
		t.Fatal("compiled")
	}
	for _, want := range []string{`p.lua:4: write to the undeclared global "leaked"`, `p.lua:6: write to the undeclared global "other"`} {
		if !contains(err, want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if strings.Count(err.Error(), "write to") != 2 {
		t.Error(err)
	}
}

// TestPoisonedStateHarmsNobodyElse: states share the library, not the tables
// of scripts.
func TestPoisonedStateHarmsNobodyElse(t *testing.T) {
	_, _ = run(t, `pcall(function() string.upper = nil end) pcall(rawset, string, "upper", nil) pcall(function() getmetatable("").__index = nil end)
for k in pairs({}) do end pcall(next, string) pcall(setmetatable, "", {}) pcall(function() ns.sleep = nil end)`)
	if got := eval(t, `return ("a"):upper()`); got != "A" {
		t.Error(got)
	}
}

// TestMemoryOfConcatenationIsBounded: 30 doublings are 1 GB.
func TestMemoryOfConcatenationIsBounded(t *testing.T) {
	s := newState(t)
	fn := load(t, s, `return function() local s = "xxxxxxxxxx" for i = 1, 30 do s = s .. s end return s end`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Call(context.Background(), long, fn); err == nil {
		t.Fatal("no error")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4*MaxString {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// TestYieldAcrossHostCalls: gopher-lua cannot; it must be an error.
func TestYieldAcrossHostCalls(t *testing.T) {
	for _, body := range []string{
		`table.sort({2, 1}, function(a, b) coroutine.yield() return a < b end)`,
		`return (("a"):gsub("a", function() coroutine.yield() end))`,
		`ns.call(function() coroutine.yield() end)`,
		`pcall(error) return pcall(coroutine.yield) and 1 or error("across")`,
	} {
		if got := eval(t, `local co = coroutine.create(function() `+body+` end) local ok, e = coroutine.resume(co) return ok`); got != false {
			t.Errorf("%s: %v", body, got)
		}
	}
	// In metamethods and iterators gopher-lua does not notice; whatever comes
	// of it, the state survives.
	s := newState(t)
	odd := load(t, s, `return function()
  local t = setmetatable({}, {__index = function() coroutine.yield(1) return 2 end})
  local co = coroutine.create(function() local x = t.a for k in function() coroutine.yield(3) end do end return x end)
  for i = 1, 5 do coroutine.resume(co) end
end`)
	_, _ = s.Call(context.Background(), Limits{}, odd)
	if _, err := s.Call(context.Background(), Limits{}, load(t, s, `return function() return 1 end`)); err != nil {
		t.Error(err)
	}
}
