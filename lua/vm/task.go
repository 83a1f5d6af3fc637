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
	limits    Limits
	deadline  time.Time // of the call; zero is none
	left      int       // units of work until the next check
	used      uint64    // units before the last check
	sliceEnd  uint64    // of used: where this slice is over
	workEnd   uint64    // of used: where the call is over; 0 is none
	begun     int64     // of State.allocated: where this slice began
	hardEnd   time.Time // of this slice, for what is not counted
	waited    time.Duration
	dead      error // why the call was killed; sticky
	host      error // the last failure of a service of the host
	depth     int   // pcalls, coroutines and callbacks in progress
	current   *glua.LState
	outer     *glua.LState   // the thread that called pcall or require; nil outside of them
	callbacks []callback     // threads of protectedCall in progress
	threads   []*glua.LState // that the call uses, the outermost first
	noWait    string         // why the call may not wait; empty when it may

	waits  context.Context // for waiting calls; made by the first of them
	cancel context.CancelFunc
	before *task // in the list of the state's calls
	after  *task
}

func newTask(caller context.Context, s *State, lim Limits, now time.Time) *task {
	t := &task{state: s, caller: caller, limits: lim, left: checkEvery}
	if t.limits.Slice <= 0 {
		t.limits.Slice = DefaultSlice
	}
	t.startSlice(now)
	if lim.Work > 0 {
		t.workEnd = unitsIn(lim.Work)
	}
	if lim.Total > 0 {
		t.deadline = now.Add(lim.Total)
	}
	if d, ok := caller.Deadline(); ok && (t.deadline.IsZero() || d.Before(t.deadline)) {
		t.deadline = d
	}
	return t
}

// startSlice gives the call a new slice.
func (t *task) startSlice(now time.Time) {
	t.sliceEnd = t.used + unitsIn(t.limits.Slice)
	t.begun = t.state.allocated
	t.hardEnd = now.Add(max(backstop*t.limits.Slice, leastBackstop))
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

// count moves what was done since the last check to used.
func (t *task) count() {
	t.used += uint64(checkEvery - t.left) //nolint:gosec // left is never above checkEvery
	t.left = checkEvery
}

// check kills the task when its budget is spent or somebody has ended it.
func (t *task) check() {
	t.count()
	if t.dead != nil || t.ended() {
		return
	}
	now := time.Now()
	switch {
	case !t.deadline.IsZero() && now.After(t.deadline), t.workEnd > 0 && t.used >= t.workEnd:
		t.dead = ErrTimeout
	case t.used >= t.sliceEnd || now.After(t.hardEnd):
		t.dead = fmt.Errorf("%w (%v)", ErrSlice, t.limits.Slice)
	case t.state.allocated-t.begun > maxSliceBytes:
		t.dead = ErrAllocation
	}
}

// ended kills the task when its state or its caller is gone.
func (t *task) ended() bool {
	if t.dead == nil {
		t.dead = t.state.endedBy()
	}
	if err := t.caller.Err(); t.dead == nil && err != nil {
		t.dead = ErrCancelled
		if errors.Is(err, context.DeadlineExceeded) {
			t.dead = ErrTimeout
		}
	}
	return t.dead != nil
}

// charge counts work of the host, and raises when the budget is spent.
func (t *task) charge(l *glua.LState, units int) {
	if t.left -= units; t.left <= 0 {
		t.check()
	}
	if t.dead != nil {
		l.RaiseError("%s", t.dead.Error())
	}
}

// allocated counts bytes that the script has allocated, and the time that it
// took.
func (t *task) allocated(bytes int) {
	t.state.allocated += int64(bytes)
	t.left -= bytes / bytesPerUnit
}

// reserve is allocated before the bytes are allocated. It raises when the
// slice may not allocate so much.
func (t *task) reserve(l *glua.LState, bytes int) {
	t.allocated(bytes)
	if t.left <= 0 || t.state.allocated-t.begun > maxSliceBytes {
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
	s := t.state
	t.count()
	if t.dead = s.settle(); t.dead != nil {
		return t.dead
	}
	ctx := t.waitContext()
	if t.limits.Wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(t.limits.Wait-t.waited, 0))
		defer cancel()
	}
	current := s.main.G.CurrentThread
	start := time.Now()
	s.release()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
		t.waited += time.Since(start)
		s.lock <- struct{}{} // in any case: the caller goes on to touch Lua
		s.entered = time.Now()
		s.main.G.CurrentThread = current
		t.startSlice(s.entered)
		late := !t.deadline.IsZero() && s.entered.After(t.deadline) || t.limits.Wait > 0 && t.waited >= t.limits.Wait
		if !t.ended() && late {
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

// finish ends what the task has started and returns its units of work.
func (t *task) finish() uint64 {
	if t.cancel != nil {
		t.cancel()
	}
	t.count()
	return t.used
}

// taskOf returns the task that runs l.
func taskOf(l *glua.LState) *task { return l.Context().(*task) }
