package lua

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// drains are the functions that stop what feeds an instance: consumers,
// timers, subscriptions.
type drains struct {
	mu    sync.Mutex
	stops []*func(ctx context.Context)
	begun bool
}

// over is a context that has ended.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// onDrain registers stop, which is called when a reload, a shutdown or the
// replacement of the instance begins, before batches are flushed and before
// the close hook. stop makes its source take nothing more, then waits until
// the handlers in progress have returned or ctx ends.
//
// All registered functions run at the same time, each in a goroutine of its
// own; the one registered last is started first. If the drain has already
// begun, stop is called at once, with a context that has ended: it may be
// called by the goroutine that it would wait for. forget removes stop; a source that has ended
// calls it.
func (in *instance) onDrain(stop func(ctx context.Context)) (forget func()) {
	d := &in.drains
	d.mu.Lock()
	if d.begun {
		d.mu.Unlock()
		stop(over)
		return func() {}
	}
	entry := &stop
	d.stops = append(d.stops, entry)
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stops = slices.DeleteFunc(d.stops, func(other *func(ctx context.Context)) bool { return other == entry })
	}
}

// drain stops what feeds the instance and waits for the handlers in progress
// until ctx ends.
func (in *instance) drain(ctx context.Context) {
	d := &in.drains
	d.mu.Lock()
	if d.begun {
		d.mu.Unlock()
		return
	}
	d.begun = true
	stops := d.stops
	d.stops = nil
	d.mu.Unlock()
	work := make([]func(), 0, len(stops))
	for _, stop := range slices.Backward(stops) {
		work = append(work, func() { (*stop)(ctx) })
	}
	in.plugin.host.together(work)
}

// together runs all functions at the same time and waits for them. In a test
// of a plugin the time may move while it waits.
func (h *Host) together(work []func()) {
	if len(work) == 0 {
		return
	}
	// The caller's place as somebody who runs goes to one of the goroutines,
	// and comes back from the last of them.
	h.running(len(work) - 1)
	left, done := atomic.Int64{}, make(chan struct{})
	left.Store(int64(len(work)))
	for _, f := range work {
		go func() {
			f()
			if left.Add(-1) == 0 {
				close(done)
				return
			}
			h.running(-1)
		}()
	}
	<-done
}

// running tells a test's clock that n more goroutines run.
func (h *Host) running(n int) {
	if h.o.trial != nil && n != 0 {
		h.o.trial.clock.add(n)
	}
}

// within returns a context that ends after d. In a test of a plugin it is the
// test's time that passes. cancel has to be called.
func (h *Host) within(ctx context.Context, d time.Duration) (_ context.Context, cancel func()) {
	if h.o.trial == nil {
		return context.WithTimeout(ctx, d)
	}
	limited, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	h.running(1)
	go func() {
		defer close(ended)
		if h.clock.Sleep(limited, d) == nil {
			stop()
		}
		h.running(-1)
	}()
	return limited, func() {
		stop()
		<-ended
	}
}

// A flight is work in progress that a drain waits for. The zero flight has
// not ended.
type flight struct {
	host *Host

	mu      sync.Mutex
	over    bool
	waiting int // drains that the end wakes
	done    chan struct{}
}

func newFlight(h *Host) *flight { return &flight{host: h, done: make(chan struct{})} }

// end tells that the work has ended; once.
func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.host.running(f.waiting) // who waits runs again
	close(f.done)
}

// wait returns when the work has ended or ctx ends. It reports whether the
// work has ended.
func (f *flight) wait(ctx context.Context) bool {
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return true
	}
	f.waiting++
	f.mu.Unlock()
	f.host.running(-1)
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.waiting--
		f.host.running(1)
	}
	return f.over
}
