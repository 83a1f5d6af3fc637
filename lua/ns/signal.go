package ns

import (
	"context"
	"fmt"
	"sync"

	"nearside/lua/vm"
)

// maxWaiters is the maximum number of calls that wait for one signal.
const maxWaiters = 10_000

// A signal passes values from notify to wait. Its zero value is ready to use.
type signal struct {
	mu      sync.Mutex
	waiting []*waiter // the one that waits longest is first
	kept    *message  // of the last notify that woke nobody; nil: none
}

// A message is the value of a notify.
type message struct {
	value   any    // a *vm.Ref, or true
	readers int    // waiters that have not returned yet; guarded by signal.mu
	release func() // ends State.Keep, after the last reader
}

// A waiter is a call that waits for a signal.
type waiter struct {
	wake context.CancelFunc
	got  *message // nil: not notified
}

var signalClass = &vm.Class{
	Name: "Signal", Doc: "A signal between tasks of one state.",
	Methods: []vm.Function{
		{
			Name: "wait", Params: []string{"seconds: number"}, Returns: []string{"any", "string? err"}, Waits: true,
			Doc: "Waits until notify is called, and returns its value. Returns nil and \"timeout\" after seconds. If nobody waited at the last notify, its value is returned at once, to one call.",
			Run: signalWait,
		},
		{
			Name: "notify", Params: []string{"value?: any"}, Returns: []string{"integer"},
			Doc: "Wakes all calls of wait, which return value (true if it is nil), and returns their number. If nobody waits, the value is kept for the next wait; a later one replaces it.",
			Run: signalNotify,
		},
	},
}

// VisitHeld implements [vm.Holder].
func (s *signal) VisitHeld(visit func(v any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept != nil {
		visit(s.kept.value)
	}
}

func signalNotify(c *vm.Call) error {
	s := c.Self().(*signal)
	c.Charge(taskUnits)
	var value any = true
	if c.Has(1) {
		value = c.Ref(1)
	}
	return c.Return(s.notify(c.State(), value))
}

// notify wakes all waiters and returns their number.
func (s *signal) notify(state *vm.State, value any) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	woken := s.waiting
	m := &message{value: value, readers: len(woken)}
	s.waiting, s.kept = nil, nil
	if len(woken) == 0 {
		s.kept = m
		return 0
	}
	m.release = state.Keep(value)
	for _, w := range woken {
		w.got = m
		w.wake()
	}
	return len(woken)
}

func signalWait(c *vm.Call) error {
	s := c.Self().(*signal)
	d, err := Duration(c.Number(1))
	if err != nil {
		return err
	}
	clock, state := self(c).Clock(), c.State()
	var got *message
	err = c.Wait(func(ctx context.Context) error {
		sleep, wake := context.WithCancel(ctx)
		defer wake()
		w, notified, err := s.enter(state, wake)
		if err != nil {
			return err
		}
		if !notified {
			_ = clock.Sleep(sleep, d) // ends early when notify wakes it, or with ctx
		}
		got = s.leave(w)
		return nil
	})
	if got != nil {
		defer s.read(got)
	}
	switch {
	case err != nil:
		return err
	case got == nil:
		return c.Return(nil, "timeout")
	}
	return c.Return(got.value)
}

// enter adds a waiter, or gives it the message that was kept. Then notified is true.
func (s *signal) enter(state *vm.State, wake context.CancelFunc) (w *waiter, notified bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w = &waiter{wake: wake}
	if s.kept != nil {
		w.got, s.kept = s.kept, nil
		w.got.readers, w.got.release = 1, state.Keep(w.got.value)
		return w, true, nil
	}
	if len(s.waiting) >= maxWaiters {
		return nil, false, fmt.Errorf("more than %d calls wait for the signal", maxWaiters)
	}
	s.waiting = append(s.waiting, w)
	return w, false, nil
}

// leave removes a waiter and returns its message, or nil if it was not notified.
func (s *signal) leave(w *waiter) *message {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.waiting {
		if other == w {
			s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
			break
		}
	}
	return w.got
}

// read is called when a waiter has returned the message.
func (s *signal) read(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.readers--; m.readers == 0 {
		m.release()
	}
}
