package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// A State is one interpreter behind a lock. Its methods may be called by any
// goroutine. What scripts keep in variables lives until Close.
type State struct {
	lib      *Library
	owner    any
	resolve  func(name, from string) (*Script, error)
	print    func(string)
	time     Time
	ctx      context.Context // ends with the state
	cancel   context.CancelFunc
	lock     chan struct{} // of capacity 1: first come, first served
	main     *glua.LState  // never runs and never has a context
	counters counters

	mu     sync.Mutex // of closed, and of Add against Wait
	closed bool
	calls  sync.WaitGroup
	tasks  atomic.Int64

	// Guarded by lock.
	free     []*glua.LState
	busy     map[*glua.LState]bool // coroutines that run, or wait for one that they resumed
	live     live
	loaded   map[string]glua.LValue
	integers integers
	entered  time.Time // since when the lock is held
	calling  *task     // the calls in progress, the last one first

	allocated int64 // bytes, since the state was made
	settled   int64 // of allocated: what memory knows of
	holding   int64 // bytes of values of Go that calls hold while they wait

	memory   *Memory
	exceeded func(bytes int64)
	over     atomic.Bool // killed for its memory
	alive    int64       // guarded by memory: bytes when last measured
	since    int64       // guarded by memory: bytes allocated since then

	keepMu sync.Mutex
	kept   map[*keeping]struct{}
}

// StateOptions configures a State.
type StateOptions struct {
	Owner  any               // what Call.Owner returns
	Print  func(line string) // for print; nil: nothing is printed
	Time   Time              // for os.time, os.date and os.clock
	Memory *Memory           // the account that the state belongs to; nil: one of its own

	// Resolve finds what require(name) loads, nil: nothing. from is the
	// Script.Name of the file that requires, "" when it is unknown. Two scripts
	// of one Name are one module.
	Resolve func(name, from string) (*Script, error)

	// Exceeded is called once, when the state is killed because its account is
	// over its limit: bytes is what the state held. It must return at once.
	Exceeded func(bytes int64)
}

// NewState makes an interpreter that sees lib. It lives until ctx ends or
// Close is called; its owner calls Close in any case.
func (lib *Library) NewState(ctx context.Context, o StateOptions) *State {
	unit() // a first call would wait for it
	if o.Memory == nil {
		o.Memory = NewMemory(0)
	}
	s := &State{
		lib: lib, owner: o.Owner, resolve: o.Resolve, print: o.Print, time: o.Time.filled(),
		memory: o.Memory, exceeded: o.Exceeded,
		lock:   make(chan struct{}, 1),
		main:   glua.NewState(stateOptions()),
		busy:   map[*glua.LState]bool{},
		live:   live{},
		loaded: map[string]glua.LValue{},
		kept:   map[*keeping]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.memory.add(s)
	s.main.Env, s.main.G.Global = lib.env, lib.env
	s.main.SetMetatable(glua.LString(""), lib.stringMeta)
	return s
}

// Owner returns what StateOptions.Owner was.
func (s *State) Owner() any { return s.owner }

// Context ends when the state is closed.
func (s *State) Context() context.Context { return s.ctx }

// Call calls fn and returns its results. The error is an *Error when Lua
// raised it or the budget ended it.
func (s *State) Call(ctx context.Context, lim Limits, fn *Func, args ...any) (results []any, err error) {
	err = s.call(ctx, lim, "", fn.value, args, func(l *glua.LState) error {
		results = make([]any, l.GetTop())
		for i := range results {
			if results[i], _, err = taskOf(l).toGo(l.Get(i + 1)); err != nil {
				return fmt.Errorf("result %d: %w", i+1, err)
			}
		}
		return nil
	})
	return results, err
}

// CallLate is Call with arguments that are made when fn is about to run, while
// the lock is held. When they are nil, nothing is called. The error is also
// that which fn returned: false, or nil and a reason.
func (s *State) CallLate(ctx context.Context, lim Limits, fn *Func, args func() []any) error {
	if !s.begin() {
		return ErrClosed
	}
	defer s.calls.Done()
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	made, err := lateArgs(args)
	if made == nil || err != nil {
		return err
	}
	var failed error
	err = s.held(ctx, lim, "", fn.value, made, func(l *glua.LState) error {
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

// lateArgs turns a panic of args into an error.
func lateArgs(args func() []any) (made []any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return args(), nil
}

// Load runs script, which may not wait, and returns its first result: as a
// reference, and as a Go value. In a table with string keys, a field that has
// no Go value is there as the error that says why; other keys are left out.
func (s *State) Load(ctx context.Context, lim Limits, script *Script) (ref *Ref, value any, err error) {
	fn := s.main.NewFunctionFromProto(script.proto)
	err = s.call(ctx, lim, "waiting is not possible while "+script.Name+" is loading", fn, nil, func(l *glua.LState) error {
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

// call runs fn on a thread of its own. read takes the results from the
// thread's stack while the lock is held.
func (s *State) call(ctx context.Context, lim Limits, noWait string, fn glua.LValue, args []any, read func(*glua.LState) error) error {
	if !s.begin() {
		return ErrClosed
	}
	defer s.calls.Done()
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	return s.held(ctx, lim, noWait, fn, args, read)
}

// held is call while the lock is held.
func (s *State) held(ctx context.Context, lim Limits, noWait string, fn glua.LValue, args []any, read func(*glua.LState) error) error {
	t := newTask(ctx, s, lim, s.entered)
	t.noWait = noWait
	s.counters.calls.Add(1)
	t.enlist()
	err := s.protect(t, fn, args, read)
	t.delist()
	s.counters.instructions.Add(t.finish())
	if over := s.settle(); errors.Is(over, ErrMemory) && t.dead == nil {
		t.dead = over
		err = &Error{Message: over.Error(), reason: over}
	}
	s.counters.count(err, t.dead)
	return err
}

// protect runs fn on a thread of its own. A panic, also of converting the
// arguments or the results, ends this call only; its thread is dropped.
func (s *State) protect(t *task, fn glua.LValue, args []any, read func(*glua.LState) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Message: fmt.Sprintf("internal error: %v", p), Traceback: string(debug.Stack()), reason: t.dead}
		}
	}()
	l := s.thread(t)
	l.Push(fn)
	for i, arg := range args {
		v, err := t.toLua(arg)
		if err != nil {
			s.putThread(l)
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		l.Push(v)
	}
	if err := l.PCall(len(args), glua.MultRet, nil); err != nil {
		return luaError(err, t.reason()) // the thread is dropped: it is in an unknown state
	}
	if t.dead != nil {
		return &Error{Message: t.dead.Error(), reason: t.dead}
	}
	err = read(l)
	s.putThread(l)
	return err
}

// thread takes a Lua thread and makes it the current one of t.
func (s *State) thread(t *task) *glua.LState {
	var l *glua.LState
	if n := len(s.free) - 1; n >= 0 {
		l, s.free = s.free[n], s.free[:n]
	} else {
		l, _ = s.main.NewThread()
		t.allocated(newThreadBytes)
	}
	l.SetContext(t)
	t.threads = append(t.threads, l)
	s.main.G.CurrentThread = l
	return l
}

// putThread takes back a thread after a normal return.
func (s *State) putThread(l *glua.LState) {
	l.SetTop(0)
	l.RemoveContext()
	if len(s.free) < maxThreads && len(registryOf(l).array) <= pooledRegistry {
		s.free = append(s.free, l)
	}
}

func (s *State) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.calls.Add(1)
	return true
}

// acquire takes the lock, in turn, unless the caller or the state ends first.
func (s *State) acquire(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
	default:
		select {
		case s.lock <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the plugin's turn: %w", ctx.Err())
		case <-s.ctx.Done():
			if s.over.Load() {
				return ErrMemory
			}
			return ErrClosed
		}
	}
	if s.over.Load() {
		<-s.lock
		return ErrMemory
	}
	s.entered = time.Now()
	return nil
}

// endedBy says why the state has ended; nil while it has not.
func (s *State) endedBy() error {
	switch {
	case s.over.Load():
		return ErrMemory
	case s.ctx.Err() != nil:
		return ErrCancelled
	}
	return nil
}

// Exceeded reports whether the state was killed because of its memory.
func (s *State) Exceeded() bool { return s.over.Load() }

func (s *State) release() {
	s.counters.busy.Add(int64(time.Since(s.entered)))
	<-s.lock
}

// Close kills what runs in the state, waits for it, and frees the
// interpreter. It returns the error of ctx when that ends first; the state is
// then left to the garbage collector.
func (s *State) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	done := make(chan struct{})
	go func() { // ends when the last call has, which the cancelled context sees to
		s.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("closing a state: calls are still running: %w", ctx.Err())
	}
	if first {
		s.memory.forget(s)
		s.main.Close()
	}
	return nil
}
