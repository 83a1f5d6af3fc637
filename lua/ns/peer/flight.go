package peer

import (
	"context"
	"sync"
)

// A Flight is work in progress whose end other goroutines can wait for.
type Flight struct {
	counter *Counter

	mu      sync.Mutex
	over    bool
	waiting int // goroutines in Wait
	done    chan struct{}
}

// NewFlight returns a flight that has not ended. While a goroutine is in Wait,
// counter does not count it as running.
func NewFlight(counter *Counter) *Flight {
	return &Flight{counter: counter, done: make(chan struct{})}
}

// End marks the work as ended. It must be called exactly once.
func (f *Flight) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.counter.AddRunning(f.waiting) // the waiting goroutines run again
	close(f.done)
}

// Wait waits until the work has ended or ctx ends. It reports whether the work
// has ended.
func (f *Flight) Wait(ctx context.Context) bool {
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return true
	}
	f.waiting++
	f.mu.Unlock()
	f.counter.AddRunning(-1)
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.waiting--
		f.counter.AddRunning(1)
	}
	return f.over
}
