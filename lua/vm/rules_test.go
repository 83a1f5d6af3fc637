package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests of this file check rules for embedding gopher-lua. Each test covers a
// failure that has occurred.

// generous is a budget that only an endless loop exceeds.
var generous = Limits{Slice: 20 * time.Second}

// TestLockIsFirstComeFirstServed checks that calls get the lock in the order in which
// they began to wait.
func TestLockIsFirstComeFirstServed(t *testing.T) {
	s := newState(t)
	order := loadFunction(t, s, `local n = 0 return function() n = n + 1 return n end`)
	s.lock <- struct{}{} // as if a call were running
	const calls = 20
	got := make([]any, calls)
	var work sync.WaitGroup
	for i := range calls {
		work.Go(func() {
			results, err := s.Call(context.Background(), Limits{}, order)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = results[0]
		})
		waitBlocked(t, i+1)
	}
	<-s.lock
	work.Wait()
	for i, n := range got {
		if n != float64(i+1) {
			t.Fatalf("call %d was served as number %v", i+1, n)
		}
	}
}

// waitBlocked returns when n goroutines wait in State.acquireLock.
func waitBlocked(t *testing.T, n int) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for range 100_000 {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if countBlocked(stacks) >= n {
			return
		}
		runtime.Gosched()
	}
	t.Fatal("the calls did not begin to wait for the lock")
}

// TestWaitsKeepTheCurrentThread checks coroutine.running in calls that wait
// alternately.
func TestWaitsKeepTheCurrentThread(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local ns = require('test')
return function()
  local wrong = 0
  local co
  co = coroutine.create(function()
    for i = 1, 40 do
      ns.sleep(0)
      if coroutine.running() ~= co then wrong = wrong + 1 end
    end
  end)
  assert(coroutine.resume(co))
  if coroutine.running() ~= nil then wrong = wrong + 1 end
  return wrong
end`)
	var work sync.WaitGroup
	for range 40 {
		work.Go(func() {
			if r, err := s.Call(context.Background(), generous, fn); err != nil || r[0] != 0.0 {
				t.Errorf("%v wrong results of coroutine.running, %v", r, err)
			}
		})
	}
	work.Wait()
}

func TestCoroutines(t *testing.T) {
	f := func(body string, want any) {
		t.Helper()
		if got := evalBody(t, body); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
	f(`local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return co(1) + co(10)`, 22.0)
	f(`local co = coroutine.create(function() error({code = 5}) end) local ok, e = coroutine.resume(co) return e.code`, 5.0)
	f(`local co = coroutine.create(function() end) coroutine.resume(co) return coroutine.status(co)`, "dead")
	f(`local co = coroutine.create(function() end) coroutine.resume(co) local ok, e = coroutine.resume(co) return e`, "cannot resume dead coroutine")
	f(`local co co = coroutine.create(function() return coroutine.status(co) end) local _, s = coroutine.resume(co) return s`, "running")
	f(`local a a = coroutine.create(function() local b = coroutine.create(function() return coroutine.status(a) end) return select(2, coroutine.resume(b)) end) return select(2, coroutine.resume(a))`, "normal")
	f(`local ok, e = pcall(coroutine.wrap(function() error("x", 0) end)) return e`, "x")
	f(`return select('#', coroutine.resume(coroutine.create(function() end)))`, 1.0)
	f(`local co = coroutine.wrap(function() ns.sleep(0) coroutine.yield(1) ns.sleep(0) return 2 end) return co() + co()`, 3.0)
	f(`local co = coroutine.create(function() local ok, e = pcall(coroutine.yield, 1) return ok end) return select(2, coroutine.resume(co))`, false)
	f(`local get = {} local co = coroutine.create(function() local x = 7 get.x = function() return x end error("e") end) coroutine.resume(co) return get.x()`, 7.0)
	wantError(t, `coroutine.yield(1)`, "outside of a coroutine")
}

// TestBudgetAppliesInCoroutines checks that the budget of a call ends an endless loop
// in a coroutine.
func TestBudgetAppliesInCoroutines(t *testing.T) {
	wantKilled(t, `coroutine.wrap(function() while true do end end)()`)
	wantKilled(t, `while true do local co = coroutine.create(function() while true do pcall(error) end end) coroutine.resume(co) end`)
}

// TestCoroutineIsResumedByOneCall checks that a second call cannot resume a running
// coroutine.
func TestCoroutineIsResumedByOneCall(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local ns = require('test')
local co = coroutine.create(function() while true do ns.sleep(0) coroutine.yield() end end)
return function() local ok, e = coroutine.resume(co) return ok, e end`)
	var work sync.WaitGroup
	for range 50 {
		work.Go(func() {
			r, err := s.Call(context.Background(), generous, fn)
			if err != nil || r[0] == false && r[1] != "cannot resume a coroutine that is not suspended" {
				t.Errorf("resume: %v, %v; want true or a refusal", r, err)
			}
		})
	}
	work.Wait()
}

// TestMutualResumeIsRefused checks coroutines that resume each other, which once
// overflowed the stack of the process. It also checks the nesting limit.
func TestMutualResumeIsRefused(t *testing.T) {
	got := evalBody(t, `local a, b
a = coroutine.create(function() return coroutine.resume(b) end)
b = coroutine.create(function() return coroutine.resume(a) end)
local _, ok, inner, e = coroutine.resume(a)
return e`)
	if got != "cannot resume a coroutine that is not suspended" {
		t.Errorf("the inner resume returned %v, want a refusal", got)
	}
	wantError(t, `local function f() local ok, e = coroutine.resume(coroutine.create(f)) if not ok then error(e, 0) end return e end local e = f() error(e or "no error", 0)`, "nested")
	wantError(t, `local function f() local ok, e = pcall(f) error(e, 0) end f()`, "nested deeper than 64")
}

func TestCoroutinesAreBounded(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local keep = {} return function(drop)
  if drop then keep = {} return end
  for i = 1, 3000 do keep[#keep + 1] = coroutine.create(function() end) end
end`)
	var err error
	for range 5 { // one slice cannot allocate all of them
		if _, err = s.Call(context.Background(), generous, fn); err != nil {
			break
		}
	}
	if want := fmt.Sprintf("more than %d coroutines", MaxCoroutines); err == nil || !errorContains(err, want) {
		t.Fatalf("making coroutines without end: error %v, want %q", err, want)
	}
	// Drop the coroutines. Garbage and ended coroutines do not count.
	if _, err := s.Call(context.Background(), generous, fn, true); err != nil {
		t.Errorf("dropping the coroutines: %v", err)
	}
	again := loadFunction(t, s, fmt.Sprintf(`return function() for i = 1, %d do coroutine.wrap(function() end)() end end`, MaxCoroutines/4))
	if _, err := s.Call(context.Background(), generous, again); err != nil {
		t.Errorf("new coroutines after dropping the old ones: %v", err)
	}
	if n := len(s.liveCoroutines); n > MaxCoroutines/2 {
		t.Errorf("%d coroutines count as live, want at most %d", n, MaxCoroutines/2)
	}
}

// TestPcallKeepsUpvalues checks that an error inside pcall does not close the open
// upvalues of the caller (yuin/gopher-lua#448).
func TestPcallKeepsUpvalues(t *testing.T) {
	if got := evalBody(t, `local n = 0
local function add() n = n + 1 end
pcall(function() error("x") end)
add() n = n + 10 add()
return n`); got != 12.0 {
		t.Errorf("n = %v, want 12", got)
	}
	if got := evalBody(t, `local escaped
xpcall(function() local v = "kept" escaped = function() return v end error("x") end, function(e) return e end)
return escaped()`); got != "kept" {
		t.Errorf("the escaped closure returned %v, want kept", got)
	}
}

func TestPcallAroundWaits(t *testing.T) {
	if got := evalBody(t, `local ok, v = pcall(function() ns.sleep(0) return 5 end) return v`); got != 5.0 {
		t.Errorf("pcall around a wait returned %v, want 5", got)
	}
}

// TestPanicsBecomeLuaErrors checks that a panic in a Go function becomes a Lua error,
// and that the state is usable afterwards.
func TestPanicsBecomeLuaErrors(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local ns = require('test') return function(name) local ok, e = pcall(ns[name]) return ok, e end`)
	for _, name := range []string{"panic", "waitpanic"} {
		r, err := s.Call(context.Background(), Limits{}, fn, name)
		if err != nil || r[0] != false {
			t.Fatalf("%s: %v, %v; want an error caught by pcall", name, r, err)
		}
		if text := r[1].(string); strings.TrimSpace(text) != name+": internal error: boom" {
			t.Errorf("%s: message %q, want the panic", name, text)
		}
	}
}

// TestErrorsWithoutAPosition checks the error of a function that pcall calls directly.
// It has no line.
func TestErrorsWithoutAPosition(t *testing.T) {
	if got := evalBody(t, `local _, why = pcall(ns.panic) return why`); got != "panic: internal error: boom" {
		t.Errorf("error of a direct call: %q, want no position", got)
	}
	if got := evalBody(t, `local _, why = pcall(function() ns.panic() end) return why`); got != "t.lua:2: panic: internal error: boom" {
		t.Errorf("error of a call in a function: %q, want its line", got)
	}
}

// TestThreadsAreNotReusedAfterErrors checks that a thread is dropped after an error,
// because it is in an unknown state.
func TestThreadsAreNotReusedAfterErrors(t *testing.T) {
	s := newState(t)
	ok, bad := loadFunction(t, s, `return function() end`), loadFunction(t, s, `return function() error("x") end`)
	call := func(fn *Func) { _, _ = s.Call(context.Background(), Limits{}, fn) }
	call(ok)
	if len(s.freeThreads) != 1 {
		t.Fatalf("%d free threads after a successful call, want 1", len(s.freeThreads))
	}
	call(bad)
	if len(s.freeThreads) != 0 {
		t.Fatalf("%d free threads after an error, want 0", len(s.freeThreads))
	}
}

// TestKillCannotBeCaught checks that a killed call ends even if it catches every
// error.
func TestKillCannotBeCaught(t *testing.T) {
	wantKilled(t, `local function f() while true do end end while true do pcall(f) xpcall(f, f) end`)
}

func TestBudgets(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local ns = require('test') return function(n, d) for i = 1, n do ns.sleep(d) end end`)
	_, err := s.Call(context.Background(), Limits{Total: 30 * time.Millisecond}, fn, 1e9, 0.001)
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("total: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err = s.Call(ctx, Limits{}, fn, 1, 1000); !errors.Is(err, ErrTimeout) {
		t.Errorf("deadline of the caller: %v", err)
	}
	ctx, cancel2 := context.WithCancel(context.Background())
	cancel2()
	if _, err = s.Call(ctx, Limits{}, fn, 1, 1000); err == nil {
		t.Error("a call with a cancelled context succeeded")
	}
	// A wait begins a new slice, so the call may do more work than one slice allows.
	work := loadFunction(t, s, `local ns = require('test') return function() for i = 1, 20 do local t = os.clock() while os.clock() - t < 0.005 do end ns.sleep(0) end end`)
	if _, err = s.Call(context.Background(), Limits{Slice: 80 * time.Millisecond}, work); err != nil {
		t.Errorf("slices: %v", err)
	}
}

// TestCloseEndsTasksThatCatchErrors checks that Close ends tasks that catch every
// error.
func TestCloseEndsTasksThatCatchErrors(t *testing.T) {
	s := library.NewState(context.Background(), StateOptions{})
	fn := loadFunction(t, s, `local ns = require('test') return function()
  while true do pcall(function() while true do pcall(ns.sleep, 0.0001) end end) end
end`)
	var ended sync.WaitGroup
	for range 60 {
		ended.Add(1)
		if _, err := s.Spawn(Limits{}, fn, nil, func(error) { ended.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	ended.Wait()
	if _, err := s.Call(context.Background(), Limits{}, fn); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after Close: error %v, want %v", err, ErrClosed)
	}
}

// TestCodeBetweenWaitsIsAtomic checks that no other call runs between two waits of a
// call.
func TestCodeBetweenWaitsIsAtomic(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local ns = require('test') local n = 0
return function(times) for i = 1, times do n = n + 1 if i % 10 == 0 then ns.sleep(0) end end return n end`)
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			if _, err := s.Call(context.Background(), generous, fn, 500); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	r, err := s.Call(context.Background(), generous, fn, 0)
	if err != nil || r[0] != 10_000.0 {
		t.Errorf("n = %v, %v", r, err)
	}
}

// TestWaitReleasesTheLock runs two calls that wait for each other.
func TestWaitReleasesTheLock(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `local ns = require('test') local here = 0
return function() here = here + 1 while here < 2 do ns.sleep(0) end return here end`)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			if r, err := s.Call(context.Background(), Limits{Total: 20 * time.Second}, fn); err != nil || r[0] != 2.0 {
				t.Errorf("%v, %v; want both calls to see 2", r, err)
			}
		})
	}
	work.Wait()
}

// TestWaitContextIsNotTheExecution checks that a waiting function gets another context
// than the execution. Done of the execution counts instructions, so only one goroutine
// may call it. The race detector would report a violation.
func TestWaitContextIsNotTheExecution(t *testing.T) {
	lib := NewLibrary("test", Module{Functions: []Function{{Name: "fan", Waits: true, Run: func(c *Call) error {
		return c.Wait(func(ctx context.Context) error {
			if _, ok := ctx.(*execution); ok || ctx.Value(0) != nil {
				t.Error("the waiting function got the execution as its context")
			}
			var work sync.WaitGroup
			for range 8 {
				work.Go(func() {
					derived, cancel := context.WithCancel(ctx)
					defer cancel()
					select {
					case <-derived.Done():
						t.Error("the context has ended:", derived.Err())
					default:
					}
				})
			}
			work.Wait()
			return nil
		})
	}}}})
	s := lib.NewState(context.Background(), StateOptions{})
	defer s.Close(context.Background())
	fn := loadFunction(t, s, `local ns = require('test') return function() for _ = 1, 100 do ns.fan() end return 1 end`)
	if _, err := s.Call(context.Background(), Limits{Total: time.Minute}, fn); err != nil {
		t.Error(err)
	}
}

// TestStackGrowsInLargeSteps puts 2,000 values on the stack in each of 50 calls. Each
// growth copies the stack. With the default step of gopher-lua, each call copies it.
func TestStackGrowsInLargeSteps(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := evalBody(t, `local t = {} for i = 1, 2000 do t[i] = i end
local function f(depth, ...)
  if depth == 0 then return select('#', ...) end
  local n = f(depth - 1, ...)
  return n
end
return f(50, unpack(t))`)
	runtime.ReadMemStats(&after)
	if got != 2000.0 {
		t.Errorf("the innermost call got %v values, want 2000", got)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes were allocated, want at most %d", grown, 16<<20)
	}
}

// TestRequire checks require, and that the body of a module cannot wait. If it could,
// another call would see an unfinished module.
func TestRequire(t *testing.T) {
	files := map[string]string{
		"waits": `local ns = require('test') ns.sleep(0) return {}`,
		"good":  `return {n = 1}`, "self": `return require("./self")`, "bad": `error("broken")`,
	}
	s := library.NewState(context.Background(), StateOptions{Resolve: func(name, _ string) (*Script, error) {
		path, near := strings.CutPrefix(name, "./")
		if text, ok := files[path]; ok && near {
			return Compile(path+".lua", text, "test")
		}
		return nil, errors.New("no such file")
	}})
	defer s.Close(context.Background())
	fn := loadFunction(t, s, `return function(name) return require(name) end`)
	f := func(name, want string) {
		t.Helper()
		for range 2 { // the second call must have the same result
			if _, err := s.Call(context.Background(), Limits{}, fn, name); err == nil || !errorContains(err, want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
	f("./waits", "waiting is not possible")
	f("./self", "requires itself")
	f("./bad", "bad.lua:1: broken")
	f("./none", "no such file")
	f("os", "no such file")
	if r, err := s.Call(context.Background(), Limits{}, fn, "./good"); err != nil || r[0].(map[string]any)["n"] != 1.0 {
		t.Errorf("require of a good module: %v, %v", r, err)
	}
	if r, err := s.Call(context.Background(), Limits{}, loadFunction(t, s, `return function() return require("./good") == require("./good") end`)); err != nil || r[0] != true {
		t.Errorf("two requires of a module returned different tables: %v, %v", r, err)
	}
	script, err := Compile("top.lua", `require('test').sleep(0)`, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(context.Background(), Limits{}, script); err == nil || !errorContains(err, "waiting is not possible") {
		t.Errorf("a script that waits while it loads: error %v, want a refusal", err)
	}
}

// TestScriptsAreShared runs one script in many states at the same time.
func TestScriptsAreShared(t *testing.T) {
	script, err := Compile("t.lua", `local n = 0 return function() for i = 1, 100 do n = n + i end return "n" .. n end`, "test")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			s := library.NewState(context.Background(), StateOptions{})
			defer s.Close(context.Background())
			_, v, err := s.Load(context.Background(), generous, script)
			if err != nil {
				t.Error(err)
				return
			}
			if r, err := s.Call(context.Background(), generous, v.(*Func)); err != nil || r[0] != "n5050" {
				t.Errorf("%v, %v; want n5050", r, err)
			}
		})
	}
	work.Wait()
}
