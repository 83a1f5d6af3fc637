package ns

import (
	"context"
	"slices"
	"sync"
)

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
