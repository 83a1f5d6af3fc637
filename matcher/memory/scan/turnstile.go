package scan

import (
	"context"
	"sync/atomic"

	"nearside/matcher"
)

// turnstile limits the concurrent computations that do not use the scheduler's workers.
// Waiting visits enter in the order of arrival.
type turnstile struct {
	places     chan struct{} // has one value for each visit inside; the runtime serves blocked senders in order
	waiting    atomic.Int64
	waitingMax int64
}

func newTurnstile(places, waitingMax int) *turnstile {
	return &turnstile{places: make(chan struct{}, places), waitingMax: int64(waitingMax)}
}

// visit is one goroutine's passage through a turnstile.
type visit struct {
	turnstile *turnstile
	inside    bool
}

// enter waits for a place. The caller must call leave afterwards, even after an error.
func (v *visit) enter(ctx context.Context) error {
	t := v.turnstile
	if t.waiting.Add(1) > t.waitingMax {
		t.waiting.Add(-1)
		return matcher.Errorf(matcher.CodeUnavailable, "matching: the queue is full with %d raw matches", t.waitingMax)
	}
	return v.wait(ctx)
}

// wait waits for a place. The visit must already be counted in waiting.
func (v *visit) wait(ctx context.Context) error {
	defer v.turnstile.waiting.Add(-1)
	if err := context.Cause(ctx); err != nil { // otherwise select might still choose the place
		return err
	}
	select {
	case v.turnstile.places <- struct{}{}:
		v.inside = true
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave gives the place back, if the visit has one.
func (v *visit) leave() {
	if v.inside {
		v.inside = false
		<-v.turnstile.places
	}
}

// yield gives the place to the next waiting visit, if there is one, and waits for a place
// again. The visit is never refused here, because it has entered before.
func (v *visit) yield(ctx context.Context) error {
	if v.turnstile.waiting.Load() == 0 {
		return nil
	}
	v.turnstile.waiting.Add(1)
	v.leave()
	return v.wait(ctx)
}
