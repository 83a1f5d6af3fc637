package ns

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// maxReady is the maximum number of functions of one plugin that wait for the server.
const maxReady = 1024

// readiness delays functions of a plugin until the server listens. With the zero
// value, the server does not listen yet.
type readiness struct {
	mu      sync.Mutex
	begun   bool
	waiting []func()
}

// callWhenReady calls f when the server listens. If the server listens already, it calls
// f at once.
func (r *readiness) callWhenReady(f func()) error {
	r.mu.Lock()
	if r.begun {
		r.mu.Unlock()
		f()
		return nil
	}
	defer r.mu.Unlock()
	if len(r.waiting) >= maxReady {
		return fmt.Errorf("more than %d functions wait for the server", maxReady)
	}
	r.waiting = append(r.waiting, f)
	return nil
}

// Begin records that the server listens, and calls the waiting functions. Later calls do
// nothing.
func (r *readiness) Begin() {
	r.mu.Lock()
	waiting := r.waiting
	r.begun, r.waiting = true, nil
	r.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}

// drains holds the functions that stop the sources of work of an instance:
// consumers, timers and subscriptions.
type drains struct {
	mu    sync.Mutex
	stops []*func(ctx context.Context)
	begun bool
}

// endedContext is a context that has already ended.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// OnDrain registers stop, which is called when a reload, a shutdown or the
// replacement of the instance begins. That is before batches are flushed and before
// the close hook runs. stop must make its source take no more work. Then it must
// wait until the handlers in progress have returned or ctx ends.
//
// All registered functions run at the same time, each in its own goroutine. The one
// registered last is started first. If the drain has already begun, OnDrain calls
// stop at once, with a context that has ended, because the caller may be the
// goroutine that stop would wait for. forget removes stop; a source must call it
// when it has ended.
func (in *Instance) OnDrain(stop func(ctx context.Context)) (forget func()) {
	d := &in.drains
	d.mu.Lock()
	if d.begun {
		d.mu.Unlock()
		stop(endedContext)
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

// Drain stops the sources of work of the instance. It waits for the handlers in
// progress until ctx ends.
func (in *Instance) Drain(ctx context.Context) {
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
	in.Plugin.Host.Together(work)
}
