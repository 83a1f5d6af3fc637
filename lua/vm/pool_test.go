package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"
)

func newPool(t *testing.T, o PoolOptions) *Pool {
	t.Helper()
	if o.New == nil {
		o.New = func(ctx context.Context, _ Slot) (*State, error) { return library.NewState(ctx, StateOptions{}), nil }
	}
	p, err := NewPool(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestPoolReusesItsStates checks that a pool hands out at most Size states at once,
// and makes no states beyond the first ones.
func TestPoolReusesItsStates(t *testing.T) {
	var mu sync.Mutex
	made, used, maxUsed := 0, 0, 0
	p := newPool(t, PoolOptions{Size: 3, New: func(ctx context.Context, _ Slot) (*State, error) {
		made++
		return library.NewState(ctx, StateOptions{}), nil
	}})
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			for range 50 {
				s, err := p.Get(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				used++
				maxUsed = max(maxUsed, used)
				mu.Unlock()
				mu.Lock()
				used--
				mu.Unlock()
				p.Put(s, false)
			}
		})
	}
	work.Wait()
	if made != 3 || maxUsed > 3 || len(p.idle) != 3 {
		t.Errorf("%d states were made, %d used at once, %d idle; want 3, at most 3, 3", made, maxUsed, len(p.idle))
	}
}

func TestPoolKeepsStatesAfterGC(t *testing.T) {
	made := 0
	p := newPool(t, PoolOptions{Size: 4, New: func(ctx context.Context, _ Slot) (*State, error) {
		made++
		return library.NewState(ctx, StateOptions{}), nil
	}})
	for range 3 {
		runtime.GC()
	}
	for range 8 {
		s, err := p.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Put(s, false)
	}
	if made != 4 || len(p.idle) != 4 {
		t.Errorf("%d states were made, %d are idle; want 4 and 4", made, len(p.idle))
	}
}

func TestPoolGetEndsWithItsContext(t *testing.T) {
	p := newPool(t, PoolOptions{Size: 1})
	s, err := p.Get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a cancelled context: error %v, want %v", err, context.Canceled)
	}
	p.Put(s, false)
}

// TestPoolReplacesStates checks that a state is replaced after it was reported as
// broken and after Recycle uses, that the pool tries again if making a state fails,
// and that the totals include replaced states.
func TestPoolReplacesStates(t *testing.T) {
	failures, made := 2, 0
	p := newPool(t, PoolOptions{Size: 1, Recycle: 3, Retry: time.Millisecond, New: func(ctx context.Context, slot Slot) (*State, error) {
		if slot != (Slot{Index: 1, Replaces: made > 0}) {
			t.Errorf("slot %+v, want index 1 and Replaces only for later states", slot)
		}
		if made > 0 && failures > 0 {
			failures--
			return nil, errors.New("not now")
		}
		made++
		return library.NewState(ctx, StateOptions{}), nil
	}})
	use := func(broken bool) *State {
		s, err := p.Get(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Call(context.Background(), Limits{}, loadFunction(t, s, "return function() end")); err != nil {
			t.Fatal(err)
		}
		p.Put(s, broken)
		return s
	}
	first := use(true)
	second := use(false)
	if first == second {
		t.Error("a state was used after an error on it")
	}
	for range 2 {
		if use(false) != second {
			t.Error("a state was replaced too early")
		}
	}
	if use(false) == second {
		t.Error("a state was not recycled")
	}
	if c := p.Counters(); c.Calls != 10 { // load and call
		t.Errorf("%d calls were counted, want 10", c.Calls)
	}
	if _, err := first.Call(context.Background(), Limits{}, loadFunction(t, newState(t), "return function() end")); !errors.Is(err, ErrClosed) {
		t.Errorf("the replaced state: %v", err)
	}
}

// TestBroken checks that a state is broken after a spent budget, but not after an
// error of the script or of a cancelled caller.
func TestBroken(t *testing.T) {
	s := newState(t)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithTimeout(context.Background(), -time.Second)
	defer cancelLate()
	endless := `return function() while true do end end`
	for _, f := range []struct {
		ctx    context.Context
		source string
		want   bool
	}{
		{context.Background(), `return function() error("no") end`, false},
		// gopher-lua panics if its stack overflows, so the interpreter itself has failed.
		{context.Background(), `return function() local function f() return 1 + f() end return f() end`, true},
		{context.Background(), `return function() return io end`, false},
		{cancelled, endless, false},
		{context.Background(), endless, true},
		{late, endless, true},
	} {
		_, err := s.Call(f.ctx, Limits{Slice: time.Millisecond}, loadFunction(t, s, f.source))
		if Broken(err) != f.want {
			t.Errorf("%s: Broken(%v) is %v, want %v", f.source, err, !f.want, f.want)
		}
	}
	if !Broken(fmt.Errorf("x: %w", luaError(&glua.ApiError{Type: glua.ApiErrorPanic, Object: glua.LString("x")}, nil))) {
		t.Error("a failure of the interpreter does not count as broken")
	}
	if Broken(nil) || Broken(ErrClosed) {
		t.Error("nil or ErrClosed counts as broken")
	}
}

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	b := NewBreaker(3, time.Minute, func() time.Time { return now })
	bad := errors.New("bad")
	want := func(state string, allowed bool) BreakerCall {
		t.Helper()
		if s, _ := b.State(); s != state {
			t.Errorf("state %s, want %s", s, state)
		}
		call, ok := b.Allow()
		if ok != allowed {
			t.Errorf("Allow returned %v, want %v", ok, allowed)
		}
		return call
	}
	for range 2 {
		want("closed", true).Record(bad)
	}
	want("closed", true).Record(nil) // resets the count
	late := []BreakerCall{want("closed", true), want("closed", true), want("closed", true)}
	for range 3 {
		want("closed", true).Record(bad)
	}
	late[0].Record(nil) // it began before the breaker opened
	want("open", false)
	now = now.Add(time.Minute)
	probe := want("half-open", true)
	late[1].Record(bad)
	late[2].Cancel()
	want("half-open", false) // one probe at a time
	probe.Record(bad)
	want("open", false)
	now = now.Add(time.Minute)
	want("half-open", true).Cancel()
	want("half-open", true).Record(nil)
	want("closed", true)
	if _, reason := b.State(); reason != "" {
		t.Errorf("the reason of a closed breaker is %q, want none", reason)
	}
}

// TestTasksAreBounded checks that a state runs at most MaxTasks tasks.
func TestTasksAreBounded(t *testing.T) {
	s := newState(t)
	block := make(chan struct{})
	var work sync.WaitGroup
	work.Add(MaxTasks)
	for range MaxTasks {
		if _, err := s.Go(func(context.Context) { defer work.Done(); <-block }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Go(func(context.Context) {}); !errors.Is(err, ErrTasks) {
		t.Errorf("one task too many: error %v, want %v", err, ErrTasks)
	}
	close(block)
	work.Wait()
}

// TestCancelledTask checks that cancelling a task ends its wait, and that it does not
// count as a failure.
func TestCancelledTask(t *testing.T) {
	s := newState(t)
	done := make(chan error, 1)
	task, err := s.Spawn(Limits{}, loadFunction(t, s, `local ns = require('test') return function() ns.sleep(1000) end`), nil, func(err error) { done <- err })
	if err != nil {
		t.Fatal(err)
	}
	task.Cancel()
	if err := <-done; err == nil {
		t.Error("a cancelled task ended without an error")
	}
	if c := s.Counters(); c.Errors != 0 || c.Timeouts != 0 {
		t.Errorf("counters after a cancelled task: %+v, want no errors and timeouts", c)
	}
}
