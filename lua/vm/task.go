package vm

import (
	"context"
	"errors"
	"fmt"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// closedChannel is what Done returns once a task is dead.
var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// A task is one call into a state, on whatever Lua threads it runs. It is the
// context that the interpreter asks before each instruction; nothing else may
// derive from it, because another goroutine would then count instructions.
// All fields belong to the goroutine of the call.
type task struct {
	state     *State
	caller    context.Context // of the call; its end is the call's
	slice     time.Duration
	end       time.Time // of this slice
	deadline  time.Time // of the call; zero is none
	left      int       // instructions until the next look at the clock
	used      uint64    // instructions before the last look
	from      uint64    // of used: those before this slice
	dead      error     // why the call was killed; sticky
	depth     int       // pcalls, coroutines and callbacks in progress
	current   *glua.LState
	outer     *glua.LState // the thread that called pcall or require; nil outside of them
	callbacks []callback   // threads of protectedCall in progress
	noWait    string       // why the call may not wait; empty when it may

	waits  context.Context // for waiting calls; made by the first of them
	cancel context.CancelFunc
}

func newTask(caller context.Context, s *State, lim Limits, now time.Time) *task {
	t := &task{state: s, caller: caller, slice: lim.Slice, left: checkEvery}
	if t.slice <= 0 {
		t.slice = DefaultSlice
	}
	t.end = now.Add(t.slice)
	if lim.Total > 0 {
		t.deadline = now.Add(lim.Total)
	}
	if d, ok := caller.Deadline(); ok && (t.deadline.IsZero() || d.Before(t.deadline)) {
		t.deadline = d
	}
	return t
}

// Done is called by the interpreter before each instruction.
func (t *task) Done() <-chan struct{} {
	if t.left--; t.left <= 0 {
		t.check()
	}
	if t.dead != nil {
		return closedChannel
	}
	return nil
}

func (t *task) Err() error                  { return t.dead }
func (t *task) Deadline() (time.Time, bool) { return t.deadline, !t.deadline.IsZero() }
func (t *task) Value(any) any               { return nil }

// check kills the task when its time is over or somebody has ended it.
func (t *task) check() {
	t.used += uint64(checkEvery - t.left)
	t.left = checkEvery
	if t.dead != nil {
		return
	}
	now := time.Now()
	switch {
	case t.ended():
	case !t.deadline.IsZero() && now.After(t.deadline):
		t.dead = ErrTimeout
	case now.After(t.end) && (t.used-t.from >= sliceSteps || now.After(t.end.Add(starved*t.slice))):
		t.dead = fmt.Errorf("%w (%v)", ErrSlice, t.slice)
	}
}

// ended kills the task when its generation or its caller is gone.
func (t *task) ended() bool {
	if t.dead == nil && t.state.ctx.Err() != nil {
		t.dead = ErrCancelled
	}
	if err := t.caller.Err(); t.dead == nil && err != nil {
		t.dead = ErrCancelled
		if errors.Is(err, context.DeadlineExceeded) {
			t.dead = ErrTimeout
		}
	}
	return t.dead != nil
}

// charge counts work of the host as instructions, and raises when the budget
// is spent.
func (t *task) charge(l *glua.LState, steps int) {
	if t.left -= steps; t.left <= 0 {
		t.check()
	}
	if t.dead != nil {
		l.RaiseError("%s", t.dead.Error())
	}
}

// wait runs f, which touches no Lua value, without the state's lock.
func (t *task) wait(f func(context.Context) error) (err error) {
	if t.noWait != "" {
		return errors.New(t.noWait)
	}
	if t.dead != nil || t.ended() {
		return t.dead
	}
	ctx := t.waitContext()
	s := t.state
	current := s.main.G.CurrentThread
	t.used += uint64(checkEvery - t.left)
	t.left = checkEvery
	s.release()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
		s.lock <- struct{}{} // in any case: the caller goes on to touch Lua
		s.entered = time.Now()
		s.main.G.CurrentThread = current
		t.end, t.from = s.entered.Add(t.slice), t.used
		if !t.ended() && !t.deadline.IsZero() && s.entered.After(t.deadline) {
			t.dead = ErrTimeout
		}
		if t.dead != nil {
			err = t.dead
		}
	}()
	return f(ctx)
}

// waitContext ends with the call, its deadline, its caller and its state.
func (t *task) waitContext() context.Context {
	if t.waits != nil {
		return t.waits
	}
	ctx, cancel := t.caller, context.CancelFunc(nil)
	if t.deadline.IsZero() {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithDeadline(ctx, t.deadline)
	}
	t.waits, t.cancel = ctx, cancel
	if t.caller != t.state.ctx {
		stop := context.AfterFunc(t.state.ctx, cancel)
		t.cancel = func() { stop(); cancel() }
	}
	return ctx
}

// finish ends what the task has started and returns its instructions.
func (t *task) finish() uint64 {
	if t.cancel != nil {
		t.cancel()
	}
	return t.used + uint64(checkEvery-t.left)
}

// taskOf returns the task that runs l.
func taskOf(l *glua.LState) *task { return l.Context().(*task) }
