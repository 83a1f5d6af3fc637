package vm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// closedChannel is the result of Done after an execution was killed.
var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// An execution is one call from Go into a state, on all Lua threads that it uses.
// It is the context that the interpreter checks before each instruction. No other
// context may be derived from it, because another goroutine would then count
// instructions. Only the goroutine of the call uses its fields.
type execution struct {
	state         *State
	caller        context.Context // the context of the caller
	limits        Limits
	deadline      time.Time       // of the call; zero if there is none
	unitsLeft     int             // units of work until the next check of the budget
	unitsUsed     uint64          // units of work before the last check
	sliceEnd      uint64          // value of unitsUsed at which this slice is over
	workEnd       uint64          // value of unitsUsed at which the call is over; 0 if there is no limit
	sliceStart    int64           // State.allocated when this slice began
	sliceDeadline time.Time       // end of this slice by the clock, for work that is not counted
	waited        time.Duration   // total time of the waits so far
	killReason    error           // why the call was killed; never reset
	killMessage   string          // message of the first error after the kill; empty if unknown
	hostError     error           // last failure of a service of the host
	depth         int             // nesting of pcalls, coroutines and callbacks
	coroutine     *glua.LState    // the running coroutine; nil outside of coroutines
	outer         *glua.LState    // the thread that made the innermost protectedCall; nil outside of one
	callbacks     []callback      // threads of protectedCall that are in use
	threads       []*glua.LState  // threads of the call, the outermost first
	firstThread   [1]*glua.LState // initial backing array of threads; most calls use one thread
	sampleState   uint32          // random state of isSampled
	noWaitReason  string          // why the call must not wait; empty if it may
	fieldCall     Call            // reused for reading fields of objects; their functions call no Lua

	waitCtx    context.Context // for waiting functions; made by the first wait
	cancelWait context.CancelFunc
	prev, next *execution // links of State.callList
}

// newExecution begins a call. The caller took the state's lock at the time now.
func newExecution(caller context.Context, s *State, lim Limits, now time.Time) *execution {
	ex := s.spareExecution
	if s.spareExecution = nil; ex == nil {
		ex = &execution{}
	}
	ex.state, ex.caller, ex.limits, ex.unitsLeft = s, caller, lim, checkEvery
	ex.threads = ex.firstThread[:0]
	if ex.limits.Slice <= 0 {
		ex.limits.Slice = DefaultSlice
	}
	if s.profile != nil {
		ex.shiftSamples(rand.IntN(checkEvery))
	}
	ex.startSlice(now)
	if lim.Work > 0 {
		ex.workEnd = unitsIn(lim.Work)
	}
	if lim.Total > 0 {
		ex.deadline = now.Add(lim.Total)
	}
	if d, ok := caller.Deadline(); ok && (ex.deadline.IsZero() || d.Before(ex.deadline)) {
		ex.deadline = d
	}
	return ex
}

// startSlice begins a new slice of the call.
func (ex *execution) startSlice(now time.Time) {
	ex.sliceEnd = ex.unitsUsed + unitsIn(ex.limits.Slice)
	ex.sliceStart = ex.state.allocated
	ex.sliceDeadline = now.Add(max(backstop*ex.limits.Slice, minBackstop))
}

// Done is called by the interpreter before each instruction. It charges one unit.
func (ex *execution) Done() <-chan struct{} {
	if ex.unitsLeft--; ex.unitsLeft <= 0 {
		ex.checkBudget()
	}
	if ex.killReason != nil {
		return closedChannel
	}
	return nil
}

func (ex *execution) Err() error                  { return ex.killReason }
func (ex *execution) Deadline() (time.Time, bool) { return ex.deadline, !ex.deadline.IsZero() }
func (ex *execution) Value(any) any               { return nil }

// countUnits adds the units since the last check to unitsUsed.
func (ex *execution) countUnits() {
	ex.unitsUsed += uint64(checkEvery - ex.unitsLeft) //nolint:gosec // unitsLeft is at most checkEvery
	ex.unitsLeft = checkEvery
}

// checkBudget kills the execution if its budget is spent, or if its caller or its
// state has ended.
func (ex *execution) checkBudget() {
	ex.countUnits()
	if p := ex.state.profile; p != nil {
		p.sample(ex)
	}
	if ex.killReason != nil || ex.checkEnded() {
		return
	}
	now := time.Now()
	switch {
	case !ex.deadline.IsZero() && now.After(ex.deadline), ex.workEnd > 0 && ex.unitsUsed >= ex.workEnd:
		ex.killReason = ErrTimeout
	case ex.unitsUsed >= ex.sliceEnd || now.After(ex.sliceDeadline):
		ex.killReason = fmt.Errorf("%w (%v)", ErrSlice, ex.limits.Slice)
	case ex.state.allocated-ex.sliceStart > maxSliceBytes:
		ex.killReason = ErrAllocation
	}
}

// checkEnded kills the execution if its state or its caller has ended, and
// reports whether the execution is killed.
func (ex *execution) checkEnded() bool {
	if ex.killReason == nil {
		ex.killReason = ex.state.endReason()
	}
	if err := ex.caller.Err(); ex.killReason == nil && err != nil {
		ex.killReason = ErrCancelled
		if errors.Is(err, context.DeadlineExceeded) {
			ex.killReason = ErrTimeout
		}
	}
	return ex.killReason != nil
}

// charge counts work of Go, and raises an error if the budget is spent.
func (ex *execution) charge(l *glua.LState, units int) {
	if ex.unitsLeft -= units; ex.unitsLeft <= 0 {
		ex.checkBudget()
	}
	if ex.killReason != nil {
		raise(l, ex.killReason.Error())
	}
}

// countAllocated counts bytes that the script has allocated, and charges for the
// time that this took.
func (ex *execution) countAllocated(bytes int) {
	ex.state.allocated += int64(bytes)
	ex.unitsLeft -= bytes / bytesPerUnit
}

// reserveBytes counts bytes before they are allocated. It raises an error if the
// slice exceeds its allocation limit.
func (ex *execution) reserveBytes(l *glua.LState, bytes int) {
	ex.countAllocated(bytes)
	if ex.unitsLeft <= 0 || ex.state.allocated-ex.sliceStart > maxSliceBytes {
		ex.checkBudget()
	}
	if ex.killReason != nil {
		raise(l, ex.killReason.Error())
	}
}

// wait runs f without the state's lock. f must not use Lua values. The lock is
// held again when wait returns, and a new slice has begun.
func (ex *execution) wait(f func(context.Context) error) (err error) {
	if ex.noWaitReason != "" {
		return errors.New(ex.noWaitReason)
	}
	if ex.killReason != nil || ex.checkEnded() {
		return ex.killReason
	}
	s := ex.state
	ex.countUnits()
	if ex.killReason = s.reportAllocated(); ex.killReason != nil {
		return ex.killReason
	}
	ctx := ex.waitContext()
	if ex.limits.Wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(ex.limits.Wait-ex.waited, 0))
		defer cancel()
	}
	current := s.main.G.CurrentThread
	start := time.Now()
	s.releaseLock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
		ex.waited += time.Since(start)
		s.lock <- struct{}{} // even if the call is over: the caller uses Lua values again
		s.lockedAt = time.Now()
		s.main.G.CurrentThread = current
		ex.startSlice(s.lockedAt)
		late := !ex.deadline.IsZero() && s.lockedAt.After(ex.deadline) || ex.limits.Wait > 0 && ex.waited >= ex.limits.Wait
		if !ex.checkEnded() && late {
			ex.killReason = ErrTimeout
		}
		if ex.killReason != nil {
			err = ex.killReason
		}
	}()
	return f(ctx)
}

// waitContext returns the context for waiting functions. It ends when the call,
// its deadline, its caller or its state ends.
func (ex *execution) waitContext() context.Context {
	if ex.waitCtx != nil {
		return ex.waitCtx
	}
	ctx, cancel := ex.caller, context.CancelFunc(nil)
	if ex.deadline.IsZero() {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithDeadline(ctx, ex.deadline)
	}
	ex.waitCtx, ex.cancelWait = ctx, cancel
	if ex.caller != ex.state.ctx {
		stop := context.AfterFunc(ex.state.ctx, cancel)
		ex.cancelWait = func() { stop(); cancel() }
	}
	return ctx
}

// finishCall releases the context of waiting functions and returns the units of work
// of the execution.
func (ex *execution) finishCall() uint64 {
	if ex.cancelWait != nil {
		ex.cancelWait()
	}
	ex.countUnits()
	return ex.unitsUsed
}

// keepForReuse keeps ex for the next call. There must be no other reference to ex, so
// the call must have returned without an error. The caller holds the state's
// lock.
func (ex *execution) keepForReuse() {
	s := ex.state
	*ex = execution{}
	s.spareExecution = ex
}

// executionOf returns the execution to which the thread l belongs.
func executionOf(l *glua.LState) *execution { return l.Context().(*execution) }
