package trial

import (
	"context"
	"time"
)

// A waker lets a reader of a double sleep until the double has something to read.
type waker struct {
	clock   *clock
	sleeper *sleeper // protected by the clock's lock; nil: the reader does not sleep
	pending bool     // wake was called while the reader did not sleep
}

// wake ends the sleep in progress, or else the next one. When it returns, the clock
// counts the reader as running.
func (w *waker) wake() {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	if w.sleeper == nil || !w.clock.removeSleeper(w.sleeper) {
		w.pending = true
		return
	}
	w.clock.addBusyLocked(1)
	close(w.sleeper.wake)
	w.sleeper = nil
}

// sleep returns when d has passed, wake is called or ctx ends.
func (w *waker) sleep(ctx context.Context, d time.Duration) {
	c := w.clock
	c.mu.Lock()
	if w.pending || ctx.Err() != nil {
		w.pending = false
		c.mu.Unlock()
		return
	}
	s := &sleeper{ctx: ctx, at: c.now.Add(max(d, 0)), wake: make(chan struct{})}
	c.sleepers = append(c.sleepers, s)
	w.sleeper = s
	c.addBusyLocked(-1)
	c.mu.Unlock()
	select {
	case <-s.wake:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removeSleeper(s) {
		c.addBusyLocked(1)
	}
	w.sleeper = nil
}
