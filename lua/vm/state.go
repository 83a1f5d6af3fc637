package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// A State is one interpreter behind a lock. Its methods may be called by any
// goroutine. The variables of scripts live until Close.
type State struct {
	lib      *Library
	owner    any
	resolve  func(name, from string) (*Script, error)
	print    func(string)
	time     Clock
	ctx      context.Context // ends when the state ends
	cancel   context.CancelFunc
	lock     chan struct{} // has capacity 1; a mutex whose waiters are served in their order
	main     *glua.LState  // the parent of all threads; it runs no code and has no context
	counters counters

	mu      sync.Mutex // guards closed, and running.Add against running.Wait
	closed  bool
	running sync.WaitGroup // running calls and tasks
	tasks   atomic.Int64   // number of running tasks

	// Guarded by lock.
	freeThreads    []*glua.LState
	busyCoroutines map[*glua.LState]bool // coroutines that are running, or waiting for a coroutine that they resumed
	liveCoroutines coroutineSet
	loaded         map[string]glua.LValue // modules by Script.Name
	integers       integers
	lockedAt       time.Time  // the time at which the lock was taken
	callList       *execution // calls in progress, the last one first
	spareExecution *execution // reused for the next call; may be nil

	allocated int64 // bytes allocated since the state was made
	reported  int64 // value of allocated at the last report to memory
	heldBytes int64 // bytes of Go values that calls keep while they wait

	profile        *Profile // nil: the work is not sampled
	memory         *Memory
	memoryExceeded func(bytes int64) // StateOptions.MemoryExceeded; may be nil
	overLimit      atomic.Bool       // whether the state was killed because of its memory
	liveBytes      int64             // guarded by memory.mu: live bytes when last measured
	sinceMeasured  int64             // guarded by memory.mu: bytes allocated since then

	keepMu sync.Mutex
	kept   map[*keptValue]struct{} // guarded by keepMu
}

// StateOptions configures a State.
type StateOptions struct {
	Owner   any               // the result of Call.Owner and State.Owner
	Print   func(line string) // receives the lines of print; nil: they are dropped
	Time    Clock             // for os.time, os.date and os.clock
	Profile *Profile          // counts the work of the lines of the state; nil: it is not sampled
	Memory  *Memory           // the Memory that counts the bytes of the state; nil: a new one

	// Resolve finds the script that require(name) loads. If it is nil, scripts can
	// require only the root module. from is the Script.Name of the file that calls
	// require, or "" if it is unknown. Scripts with the same Name are the same
	// module.
	Resolve func(name, from string) (*Script, error)

	// MemoryExceeded is called once if the state is killed because its Memory is over the
	// limit. bytes are the live bytes of the state. MemoryExceeded must return at once.
	MemoryExceeded func(bytes int64)
}

// NewState returns a state whose scripts can use lib. The state ends when ctx ends
// or Close is called. The caller must call Close in both cases.
func (lib *Library) NewState(ctx context.Context, o StateOptions) *State {
	unit() // calibrate now, so that the first call does not have to wait
	if o.Memory == nil {
		o.Memory = NewMemory(0)
	}
	s := &State{
		lib: lib, owner: o.Owner, resolve: o.Resolve, print: o.Print, time: o.Time.withDefaults(),
		memory: o.Memory, memoryExceeded: o.MemoryExceeded, profile: o.Profile,
		lock:           make(chan struct{}, 1),
		main:           glua.NewState(stateOptions()),
		busyCoroutines: map[*glua.LState]bool{},
		liveCoroutines: coroutineSet{},
		loaded:         map[string]glua.LValue{},
		kept:           map[*keptValue]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.memory.addState(s)
	s.main.Env, s.main.G.Global = lib.env, lib.env
	s.main.SetMetatable(glua.LString(""), lib.stringMeta)
	return s
}

// Owner returns the value of StateOptions.Owner.
func (s *State) Owner() any { return s.owner }

// Context returns a context that ends when the state ends.
func (s *State) Context() context.Context { return s.ctx }

// Call calls fn and returns its results. The error is an *Error if Lua raised an
// error or the call was killed.
func (s *State) Call(ctx context.Context, lim Limits, fn *Func, args ...any) (results []any, err error) {
	err = s.callOnThread(ctx, lim, "", fn.value, args, func(l *glua.LState) error {
		results = make([]any, l.GetTop(), l.GetTop()+1) // callers append a nil
		for i := range results {
			if results[i], _, err = executionOf(l).toGo(l.Get(i + 1)); err != nil {
				return fmt.Errorf("result %d: %w", i+1, err)
			}
		}
		return nil
	})
	return results, err
}

// CallLate calls fn with the arguments that args returns. It calls args immediately
// before fn, while the lock is held. If args returns nil, fn is not called. CallLate
// also returns an error if fn returns false, or nil and a reason.
func (s *State) CallLate(ctx context.Context, lim Limits, fn *Func, args func() []any) error {
	if !s.beginCall() {
		return ErrClosed
	}
	defer s.running.Done()
	if err := s.acquireLock(ctx); err != nil {
		return err
	}
	defer s.releaseLock()
	made, err := lateArgs(args)
	if made == nil || err != nil {
		return err
	}
	var failed error
	err = s.callLocked(ctx, lim, "", fn.value, made, func(l *glua.LState) error {
		first, second := l.Get(1), l.Get(2)
		if first == glua.LFalse || first == glua.LNil && second != glua.LNil {
			failed = errors.New("the function returned false")
			if second != glua.LNil {
				failed = errors.New(second.String())
			}
		}
		return nil
	})
	return errors.Join(err, failed)
}

// lateArgs calls args and turns a panic into an error.
func lateArgs(args func() []any) (made []any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return args(), nil
}

// Load runs script, which must not wait, and returns its first result as a reference
// and as a Go value. If the result is a table with string keys, a field that cannot
// be converted has the error as its value, and fields with other keys are left out.
func (s *State) Load(ctx context.Context, lim Limits, script *Script) (ref *Ref, value any, err error) {
	fn := s.main.NewFunctionFromProto(script.proto)
	err = s.callOnThread(ctx, lim, "waiting is not possible while "+script.Name+" is loading", fn, nil, func(l *glua.LState) error {
		first := l.Get(1)
		ref = &Ref{s, first}
		if t, ok := first.(*glua.LTable); ok {
			if fields := fieldsOf(s, t); len(fields) > 0 || t.Len() == 0 {
				value = fields
				return nil
			}
		}
		value, err = toGo(s, first)
		return err
	})
	return ref, value, err
}

// callOnThread takes the lock and runs fn on a thread. read reads the results from
// the stack of the thread while the lock is held. If noWait is not empty, fn must
// not wait, and noWait is the text of the error if it does.
func (s *State) callOnThread(ctx context.Context, lim Limits, noWait string, fn glua.LValue, args []any, read func(*glua.LState) error) error {
	if !s.beginCall() {
		return ErrClosed
	}
	defer s.running.Done()
	if err := s.acquireLock(ctx); err != nil {
		return err
	}
	defer s.releaseLock()
	return s.callLocked(ctx, lim, noWait, fn, args, read)
}

// callLocked is callOnThread for a caller that holds the lock.
func (s *State) callLocked(ctx context.Context, lim Limits, noWait string, fn glua.LValue, args []any, read func(*glua.LState) error) error {
	ex := newExecution(ctx, s, lim, s.lockedAt)
	ex.noWaitReason = noWait
	s.counters.calls.Add(1)
	ex.addToCalls()
	err := s.protect(ex, fn, args, read)
	ex.removeFromCalls()
	s.counters.instructions.Add(ex.finishCall())
	if over := s.reportAllocated(); errors.Is(over, ErrMemory) && ex.killReason == nil {
		ex.killReason = over
		err = &Error{Message: over.Error(), reason: over}
	}
	s.counters.countOutcome(err, ex.killReason)
	if err == nil {
		ex.keepForReuse()
	}
	return err
}

// protect runs fn on a thread. A panic, including a panic in the conversion of
// arguments or results, ends only this call. The thread is not reused then.
func (s *State) protect(ex *execution, fn glua.LValue, args []any, read func(*glua.LState) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Message: fmt.Sprintf("internal error: %v", p), Traceback: string(debug.Stack()), reason: ex.killReason}
		}
	}()
	l := s.takeThread(ex)
	l.Push(fn)
	for i, arg := range args {
		v, err := ex.toLua(arg)
		if err != nil {
			s.putThread(l)
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		l.Push(v)
	}
	if err := l.PCall(len(args), glua.MultRet, nil); err != nil {
		e := luaError(err, ex.failureReason())
		if ex.killReason != nil && strings.Contains(ex.killMessage, ex.killReason.Error()) {
			e.Message = ex.killMessage
		}
		return e // the thread is not reused: it is in an unknown state
	}
	if ex.killReason != nil {
		return &Error{Message: ex.killReason.Error(), reason: ex.killReason}
	}
	err = read(l)
	s.putThread(l)
	return err
}

// takeThread returns a free or new Lua thread and makes it the current thread of ex.
func (s *State) takeThread(ex *execution) *glua.LState {
	var l *glua.LState
	if n := len(s.freeThreads) - 1; n >= 0 {
		l, s.freeThreads = s.freeThreads[n], s.freeThreads[:n]
	} else {
		l, _ = s.main.NewThread()
		ex.countAllocated(newThreadBytes)
	}
	l.SetContext(ex)
	ex.threads = append(ex.threads, l)
	s.main.G.CurrentThread = l
	return l
}

// putThread makes a thread free again after a call that returned without an error.
func (s *State) putThread(l *glua.LState) {
	l.SetTop(0)
	l.RemoveContext()
	if len(s.freeThreads) < maxFreeThreads && len(registryOf(l).array) <= pooledRegistry {
		s.freeThreads = append(s.freeThreads, l)
	}
}

// beginCall counts a running call, so that Close waits for it. It returns false if
// the state is closed.
func (s *State) beginCall() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// acquireLock waits for the lock, first come, first served. It fails if ctx or the
// state ends first.
func (s *State) acquireLock(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
	default:
		select {
		case s.lock <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the lock of the plugin's state: %w", ctx.Err())
		case <-s.ctx.Done():
			if s.overLimit.Load() {
				return ErrMemory
			}
			return ErrClosed
		}
	}
	if s.overLimit.Load() {
		<-s.lock
		return ErrMemory
	}
	s.lockedAt = time.Now()
	return nil
}

// endReason returns the reason why the state has ended, or nil if it has not.
func (s *State) endReason() error {
	switch {
	case s.overLimit.Load():
		return ErrMemory
	case s.ctx.Err() != nil:
		return ErrCancelled
	}
	return nil
}

// MemoryExceeded reports whether the state was killed because of its memory.
func (s *State) MemoryExceeded() bool { return s.overLimit.Load() }

// releaseLock releases the lock and counts the time for which it was held.
func (s *State) releaseLock() {
	s.counters.busy.Add(int64(time.Since(s.lockedAt)))
	<-s.lock
}

// Close kills all calls and tasks of the state, waits for them, and frees the
// interpreter. If ctx ends first, Close returns its error and leaves the interpreter
// to the garbage collector.
func (s *State) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	done := make(chan struct{})
	go func() { // ends after the last call, which the cancelled context ends
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("closing a state: calls are still running: %w", ctx.Err())
	}
	if first {
		s.memory.removeClosed(s)
		s.main.Close()
	}
	return nil
}
