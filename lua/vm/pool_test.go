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

// TestPoolIsBoundedAndWarm: never more than its size at once, and the same
// states again and again.
func TestPoolIsBoundedAndWarm(t *testing.T) {
	var mu sync.Mutex
	made, used, most := 0, 0, 0
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
				most = max(most, used)
				mu.Unlock()
				mu.Lock()
				used--
				mu.Unlock()
				p.Put(s, false)
			}
		})
	}
	work.Wait()
	if made != 3 || most > 3 || p.Idle() != 3 {
		t.Errorf("%d made, %d used at once, %d idle", made, most, p.Idle())
	}
}

func TestPoolKeepsItsStates(t *testing.T) { // also over collections
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
	if made != 4 || p.Idle() != 4 {
		t.Errorf("%d states were made, %d are idle", made, p.Idle())
	}
}

func TestPoolWaitsWithTheDeadline(t *testing.T) {
	p := newPool(t, PoolOptions{Size: 1})
	s, err := p.Get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p.Put(s, false)
}

// TestPoolReplacesStates: after an error, after a number of uses, and again
// when making one fails. The totals of replaced states are kept.
func TestPoolReplacesStates(t *testing.T) {
	failures, made := 2, 0
	p := newPool(t, PoolOptions{Size: 1, Recycle: 3, Retry: time.Millisecond, New: func(ctx context.Context, slot Slot) (*State, error) {
		if slot != (Slot{Index: 1, Replaces: made > 0}) {
			t.Errorf("%+v", slot)
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
		if _, err := s.Call(context.Background(), Limits{}, load(t, s, "return function() end")); err != nil {
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
	if _, err := first.Call(context.Background(), Limits{}, load(t, newState(t), "return function() end")); !errors.Is(err, ErrClosed) {
		t.Errorf("the replaced state: %v", err)
	}
}

// TestBroken: a state is given up after a spent budget, not after an error of
// the script or when the caller is gone.
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
		{context.Background(), `return function() local function f() return 1 + f() end return f() end`, true},
		{context.Background(), `return function() return io end`, false},
		{cancelled, endless, false},
		{context.Background(), endless, true},
		{late, endless, true},
	} {
		_, err := s.Call(f.ctx, Limits{Slice: time.Millisecond}, load(t, s, f.source))
		if Broken(err) != f.want {
			t.Errorf("%s: %v: %v, want %v", f.source, err, !f.want, f.want)
		}
	}
	if !Broken(fmt.Errorf("x: %w", luaError(&glua.ApiError{Type: glua.ApiErrorPanic, Object: glua.LString("x")}, nil))) {
		t.Error("a failure of the interpreter")
	}
	if Broken(nil) || Broken(ErrClosed) {
		t.Error("no error of Lua")
	}
}

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	b := NewBreaker(3, time.Minute, func() time.Time { return now })
	bad := errors.New("bad")
	want := func(state string, allowed bool) {
		t.Helper()
		if s, _ := b.State(); s != state {
			t.Errorf("%s, want %s", s, state)
		}
		if a := b.Allow(); a != allowed {
			t.Errorf("allowed: %v", a)
		}
	}
	for range 2 {
		want("closed", true)
		b.Done(bad)
	}
	want("closed", true)
	b.Done(nil) // begins to count anew
	for range 3 {
		want("closed", true)
		b.Done(bad)
	}
	want("open", false)
	now = now.Add(time.Minute)
	want("half-open", true)
	want("half-open", false) // one probe at a time
	b.Done(bad)
	want("open", false)
	now = now.Add(time.Minute)
	want("half-open", true)
	b.Cancel()
	want("half-open", true)
	b.Done(nil)
	want("closed", true)
	if _, reason := b.State(); reason != "" {
		t.Error(reason)
	}
}

// TestTasksAreBounded: MaxTasks at once, and room again when they end.
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
		t.Error(err)
	}
	close(block)
	work.Wait()
}

// TestCancelledTask: a waiting call in it returns at once.
func TestCancelledTask(t *testing.T) {
	s := newState(t)
	done := make(chan error, 1)
	task, err := s.Spawn(Limits{}, load(t, s, `local ns = require('test') return function() ns.sleep(1000) end`), nil, func(err error) { done <- err })
	if err != nil {
		t.Fatal(err)
	}
	task.Cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	if c := s.Counters(); c.Errors != 0 || c.Timeouts != 0 {
		t.Errorf("a cancelled task counts as a failure: %+v", c)
	}
}
