package vm

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"time"
)

// memoryShapes are scripts that keep values of different types alive. They add the
// values to the table `keep`; each call adds more.
var memoryShapes = map[string]string{
	"small tables":   `for i = 1, 100 do keep[#keep + 1] = {} end`,
	"records":        `for i = 1, 100 do keep[#keep + 1] = {id = i, name = "n", age = i / 3} end`,
	"filled records": `for i = 1, 20 do local t = {} t.id = i t.name = "n" keep[#keep + 1] = t end`,
	"long arrays":    `local t = {} for i = 1, 1000 do t[i] = i end keep[#keep + 1] = t`,
	"fractions":      `local t = {} for i = 1, 1000 do t[i] = i / 7 end keep[#keep + 1] = t`,
	"sparse numbers": `local t, x = {}, 0 for i = 1, 200 do t[i] = i / 7 for k = 1, 40 do x = x + 0.3 end end keep[#keep + 1] = t`,
	"strings":        `for i = 1, 100 do keep[#keep + 1] = "text number " .. #keep .. "/" .. i end`,
	"long strings":   `keep[#keep + 1] = ("x"):rep(10000 + #keep)`,
	"substrings":     `local s = ("x"):rep(1000 + #keep % 9) for i = 1, 100 do keep[#keep + 1] = s:sub(i, i + 500) end`,
	"captures":       `local s = ("x"):rep(500 + #keep % 9) .. "=y" for i = 1, 20 do keep[#keep + 1] = s:match("x(x.*)=y") end`,
	"gmatch":         `local s = ("x "):rep(2000 + #keep) keep[#keep + 1] = s:gmatch("%a+")`,
	"closures":       `for i = 1, 100 do local a, b = i, {} keep[#keep + 1] = function() return a, b end end`,
	"nested upvalues": `local function outer(x) return function() return function() x = x + 1 return x end end end
for i = 1, 50 do keep[#keep + 1] = outer(i)() end`,
	"coroutines":   `for i = 1, 10 do local co = coroutine.create(function() local t = {} coroutine.yield() return t end) coroutine.resume(co) keep[#keep + 1] = co end`,
	"wrapped":      `for i = 1, 10 do local f = coroutine.wrap(function() local s = ("y"):rep(1000 + i) coroutine.yield() return s end) f() keep[#keep + 1] = f end`,
	"keys":         `local t = keep.map or {} keep.map = t for i = 1, 200 do local n = (keep.n or 0) + 1 keep.n = n t["key" .. n] = n end`,
	"number keys":  `local t = keep.map or {} keep.map = t for i = 1, 200 do local n = (keep.n or 0) + 1 keep.n = n t[n + 0.5] = n end`,
	"removed keys": `local t = keep.map or {} keep.map = t for i = 1, 200 do local n = (keep.n or 0) + 1 keep.n = n t["key" .. n] = n if n % 3 > 0 then t["key" .. n] = nil end end`,
	"linked list":  `for i = 1, 100 do keep.next = {keep.next, i} end`,
	"metatables":   `for i = 1, 50 do keep[#keep + 1] = setmetatable({}, {__index = {}}) end`,
}

// TestReachableBytesMatchTheHeap compares the result of the memory walk with the size
// of the Go heap.
func TestReachableBytesMatchTheHeap(t *testing.T) {
	for name, body := range memoryShapes {
		t.Run(name, func(t *testing.T) {
			s := newState(t)
			step := loadFunction(t, s, "local keep = {}\nreturn function()\n"+body+"\nend")
			defer s.Keep(step)()
			call := func(n int) {
				for range n {
					if _, err := s.Call(context.Background(), generous, step); err != nil {
						t.Fatal(err)
					}
				}
			}
			call(3)
			heap, walked := liveHeap(), s.reachableBytes()
			for n := 0; n < 100 && liveHeap()-heap < 6<<20; n++ {
				call(100)
			}
			heap, walked = liveHeap()-heap, s.reachableBytes()-walked
			if ratio := float64(walked) / float64(heap); ratio < 0.85 || ratio > 1.25 {
				t.Errorf("%d bytes are counted for %d bytes on the heap: ratio %.2f, want 0.85 to 1.25", walked, heap, ratio)
			}
		})
	}
}

// liveHeap returns the live bytes of the Go heap.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(min(m.HeapAlloc, math.MaxInt64)) //nolint:gosec // it is in range
}

// keepingScript returns a script whose function runs body. Values that body puts into
// the table `keep` stay alive.
func keepingScript(body string) string {
	return "local ns = require('test')\nlocal keep = {}\nreturn function(...)\n" + body + "\nend"
}

// TestMemoryIsBounded checks that a state is killed before it holds 1.2 times the
// limit plus the allocation limit of one slice, whatever values the script keeps.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 8 << 20
	for name, body := range memoryShapes {
		t.Run(name, func(t *testing.T) {
			killed := make(chan int64, 1)
			memory := NewMemory(limit)
			s := library.NewState(context.Background(), StateOptions{Memory: memory, MemoryExceeded: func(n int64) { killed <- n }})
			defer closeState(t, s)
			fn := loadFunction(t, s, keepingScript("pcall(function() for n = 1, 20 do "+body+" end end)"))
			defer s.Keep(fn)()
			before := liveHeap()
			var err error
			for n := 0; n < 20_000 && err == nil; n++ {
				_, err = s.Call(context.Background(), generous, fn)
			}
			if !errors.Is(err, ErrMemory) {
				t.Fatalf("error %v, want %v", err, ErrMemory)
			}
			if bytes := <-killed; bytes <= limit || bytes > limit*12/10+maxSliceBytes {
				t.Errorf("the state was killed at %d bytes, want more than %d and at most %d", bytes, limit, limit*12/10+maxSliceBytes)
			}
			if grown := liveHeap() - before; grown > limit*12/10+maxSliceBytes {
				t.Errorf("the heap has grown by %d bytes, want at most %d", grown, limit*12/10+maxSliceBytes)
			}
			if _, err := s.Call(context.Background(), generous, fn); !errors.Is(err, ErrMemory) {
				t.Errorf("a call after the kill: error %v, want %v", err, ErrMemory)
			}
			if memory.Used() != 0 || memory.Kills() != 1 {
				t.Errorf("the Memory has %d bytes and %d kills, want 0 and 1", memory.Used(), memory.Kills())
			}
		})
	}
}

func closeState(t *testing.T, s *State) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestWaitingCallsCountAsMemory checks that values on the threads of waiting calls,
// and values that Go keeps for these calls, count as live.
func TestWaitingCallsCountAsMemory(t *testing.T) {
	for _, body := range []string{
		`local s = ("x"):rep(1e6 + ...) ns.sleep(1000)`,
		`local s = ("x"):rep(1e6 + ...) pcall(function() local t = {s .. "y"} s = nil ns.sleep(1000) end)`,
		`local s = ("x"):rep(1e6 + ...) coroutine.wrap(function() local u = s .. "y" s = nil ns.sleep(1000) return u end)()`,
		`(("a"):rep(1e6 + ...) .. "b"):gsub("b", function(c) ns.sleep(1000) end)`,
		`local t = {} for i = 1, 1e5 do t[i] = i end table.sort(t, function(a, b) ns.sleep(1000) end)`,
	} {
		killed := make(chan int64, 1)
		s := library.NewState(context.Background(), StateOptions{Memory: NewMemory(16 << 20), MemoryExceeded: func(n int64) { killed <- n }})
		fn := loadFunction(t, s, keepingScript(body))
		for i := range 40 {
			_, _ = s.Spawn(Limits{Slice: time.Hour}, fn, []any{float64(i)}, nil) // the state may have been killed already
		}
		select {
		case <-killed:
		case <-time.After(60 * time.Second):
			t.Errorf("%s: the state was not killed: %d bytes are used", body, s.memory.Used())
		}
		closeState(t, s)
	}
}

// TestStatesShareOneMemory checks that the largest of several states is killed.
func TestStatesShareOneMemory(t *testing.T) {
	memory := NewMemory(16 << 20)
	var states []*State
	var fns []*Func
	for range 4 {
		s := library.NewState(context.Background(), StateOptions{Memory: memory})
		defer closeState(t, s)
		fn := loadFunction(t, s, keepingScript(`keep[#keep + 1] = ("x"):rep(...)`))
		defer s.Keep(fn)()
		states, fns = append(states, s), append(fns, fn)
	}
	for range 12 {
		for i, s := range states {
			size := 3e5
			if i == 2 {
				size = 1e6
			}
			_, err := s.Call(context.Background(), generous, fns[i], size)
			if err != nil && (i != 2 || !errors.Is(err, ErrMemory)) {
				t.Errorf("state %d: %v", i, err)
			}
		}
	}
	for i, s := range states {
		if s.MemoryExceeded() != (i == 2) {
			t.Errorf("state %d: MemoryExceeded returned %v, want %v", i, s.MemoryExceeded(), i == 2)
		}
	}
}

// TestGarbageIsNotMemory checks that a state whose scripts keep no values is never
// killed.
func TestGarbageIsNotMemory(t *testing.T) {
	memory := NewMemory(8 << 20)
	s := library.NewState(context.Background(), StateOptions{Memory: memory})
	defer closeState(t, s)
	fn := loadFunction(t, s, keepingScript(`for i = 1, 20 do local s = ("x"):rep(1e6) local t = {} for k = 1, 1000 do t["k" .. k] = {} end end`))
	for range 20 {
		if _, err := s.Call(context.Background(), generous, fn); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSliceAllocationIsBounded checks that a slice cannot allocate much more than its
// limit, even if all of it is garbage.
func TestSliceAllocationIsBounded(t *testing.T) {
	for _, body := range []string{
		`while true do local t = {} t[1048575] = 1 end`,
		`local t = {} for i = 1, 60 do t[i] = {} t[i][1048575] = 1 end while true do end`,
		`while true do local t = setmetatable({}, {__newindex = {}}) t[1048575] = 1 end`,
		`while true do rawset({}, 1048575, 1) end`,
		`while true do local s = ("x"):rep(16e6) end`,
		`while true do pcall(error) end`,
		`local s = ("x"):rep(8e6) while true do pcall(error, s) end`,
		`local s = ("x"):rep(8e6) while true do pcall(string.format, "%q%q", s, s) end`,
		`local s = ("x"):rep(8e6) while true do pcall(table.concat, {s, s, s}) end`,
		`local s = ("x"):rep(8e6) while true do pcall(string.gsub, "aaa", "a", s) end`,
		`local s = ("x"):rep(8e6) while true do pcall(function() return s + 1 end) end`,
		`local s = ("x"):rep(8e6) while true do local n = tonumber(s) end`,
		`while true do local t = {} t.a = 1 end`,
		`while true do local s = os.date(("%c"):rep(500)) end`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := runBodyFor(t, DefaultSlice, body)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrSlice) && !errors.Is(err, ErrAllocation) {
			t.Errorf("%s: error %v, want %v or %v", body, err, ErrSlice, ErrAllocation)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 2*maxSliceBytes {
			t.Errorf("%s: %d bytes were allocated, want at most %d", body, grown, 2*maxSliceBytes)
		}
	}
}

// TestExpensiveInstructionsAreCharged checks loops in which one instruction or one
// call does the work of thousands of instructions. Without charges, the loops would
// run for seconds to hours. The test checks the number of iterations, not the time.
func TestExpensiveInstructionsAreCharged(t *testing.T) {
	for _, body := range []string{
		`local a, b = ("x"):rep(15e6), ("x"):rep(15e6) while true do n = n + 1 local c = a == b end`,
		`local a, b = ("x"):rep(15e6), ("x"):rep(15e6) while true do n = n + 1 local c = a < b end`,
		`local a, b = ("x"):rep(15e6), ("x"):rep(15e6) while true do n = n + 1 local c = a <= b end`,
		`local a, b = ("x"):rep(15e6), ("x"):rep(15e6) while true do n = n + 1 rawequal(a, b) end`,
		`local a, t = ("x"):rep(15e6), {} while true do n = n + 1 local c = t[a] end`,
		`local a, t = ("x"):rep(15e6), {} while true do n = n + 1 t[a] = n end`,
		`local t = {} for i = 1, 1e5 do t[i] = i end for i = 2, 1e5 do t[i] = nil end while true do n = n + 1 local c = #t end`,
		`local t = {} for i = 1, 3e4 do t["k" .. i] = i end for i = 1, 3e4 do t["k" .. i] = nil end while true do n = n + 1 next(t) end`,
		`local function f(...) n = n + 1 return f(...) end f(unpack({}, 1, 7000))`,
		`while true do n = n + 1 os.date(("%c"):rep(500)) end`,
		`local s = ("0"):rep(1e6) .. 1 while true do n = n + 1 local c = s + 1 end`,
		`local s = ("1"):rep(1e6) while true do n = n + 1 tonumber(s) end`,
		`local s = ("a"):rep(1e6) while true do n = n + 1 s:match("^(a*)%1b") end`,
		`local t = {} for i = 1, 1e5 do t[i] = i end while true do n = n + 1 table.insert(t, 1, 0) end`,
		`local t = {} for i = 1, 1e5 do t[i] = i end while true do n = n + 1 table.remove(t, 1) end`,
		`while true do n = n + 1 s = ("x"):rep(7000):byte(1, -1) end`,
	} {
		s := newState(t)
		rounds := loadFunction(t, s, "local n, s = 0, nil return function(ask) if ask then return n end "+body+" end")
		start := time.Now()
		_, err := s.Call(context.Background(), Limits{Slice: 4 * DefaultSlice}, rounds)
		t.Logf("%v for %s", time.Since(start), body)
		if !errors.Is(err, ErrSlice) && !errors.Is(err, ErrAllocation) {
			t.Errorf("%s: error %v, want %v or %v", body, err, ErrSlice, ErrAllocation)
			continue
		}
		results, err := s.Call(context.Background(), generous, rounds, true)
		if err != nil || results[0].(float64) > 30_000 {
			t.Errorf("%s: %v iterations, %v; want at most 30000", body, results, err)
		}
	}
}

// TestBudgetIgnoresStalls checks that time without a processor does not count.
func TestBudgetIgnoresStalls(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, `return function(stall) for i = 1, 10 do stall() end return true end`)
	stall := func(*Call) error {
		start := time.Now()
		for time.Since(start) < 2*DefaultSlice/10 { // as if another process had the processor
			runtime.Gosched()
		}
		return nil
	}
	if _, err := s.Call(context.Background(), Limits{Slice: DefaultSlice, Work: DefaultSlice}, fn, stall); err != nil {
		t.Errorf("a call that does little work was killed: %v", err)
	}
}

// TestWaitsAreBounded checks Limits.Wait.
func TestWaitsAreBounded(t *testing.T) {
	s := newState(t)
	fn := loadFunction(t, s, "local ns = require('test')\nreturn function() for i = 1, 1000 do pcall(ns.sleep, 1000) end end")
	if _, err := s.Call(context.Background(), Limits{Wait: 20 * time.Millisecond}, fn); !errors.Is(err, ErrTimeout) {
		t.Errorf("error %v, want %v", err, ErrTimeout)
	}
}

func TestCalibrationIsInRange(t *testing.T) {
	if u := unit(); u < shortestUnit || u > longestUnit {
		t.Errorf("a unit takes %v, want %v to %v", u, shortestUnit, longestUnit)
	}
	t.Logf("a unit of work takes %v", unit())
}

// TestRemovedKeysAreDropped checks that a table drops removed keys, and that a
// traversal sees every key once, even if it removes keys or assigns to them.
func TestRemovedKeysAreDropped(t *testing.T) {
	got := evalBody(t, `local t, seen = {}, 0
for i = 1, 1000 do t["k" .. i] = i end
for k in pairs(t) do t[k] = nil seen = seen + 1 end
for i = 1, 1000 do t["m" .. i] = i end
for k, v in pairs(t) do t[k] = v + 1 if v % 3 > 0 then t[k] = nil end seen = seen + 1 end
for k in pairs(t) do seen = seen + 1 end
return seen`)
	if got != 2333.0 {
		t.Errorf("%v keys were seen, want 2333", got)
	}
	s := newState(t)
	fn := loadFunction(t, s, `local t, n = {}, 0 return function() for i = 1, 1000 do n = n + 1 t[n + 0.5] = true t[n - 9.5] = nil end end`)
	defer s.Keep(fn)()
	for range 100 {
		if _, err := s.Call(context.Background(), generous, fn); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.reachableBytes(); n > 100<<10 {
		t.Errorf("a table with 10 keys uses %d bytes, want at most %d", n, 100<<10)
	}
}
