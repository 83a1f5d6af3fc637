package scan

import (
	"context"
	"sync/atomic"

	"nearside/matcher"
)

// turnstile limits the concurrent computations that do not use the scheduler's workers.
// Waiting visits enter in the order of arrival.
type turnstile struct {
	places  chan struct{} // has one value for each visit inside; the runtime serves blocked senders in order
	waiting atomic.Int64
	most    int64 // maximum of waiting
}

func newTurnstile(places, waitingMax int) *turnstile {
	return &turnstile{places: make(chan struct{}, places), most: int64(waitingMax)}
}

// visit is one goroutine's passage through a turnstile.
type visit struct {
	of     *turnstile
	inside bool
}

// enter waits for a place. The caller must call leave afterwards, even after an error.
func (v *visit) enter(ctx context.Context) error {
	t := v.of
	if t.waiting.Add(1) > t.most {
		t.waiting.Add(-1)
		return matcher.Errorf(matcher.CodeUnavailable, "matching: the queue is full with %d raw matches", t.most)
	}
	return v.wait(ctx)
}

// wait waits for a place. The visit must already be counted in waiting.
func (v *visit) wait(ctx context.Context) error {
	defer v.of.waiting.Add(-1)
	if err := context.Cause(ctx); err != nil { // otherwise select might still choose the place
		return err
	}
	select {
	case v.of.places <- struct{}{}:
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
		<-v.of.places
	}
}

// letOthers leaves and enters again behind the waiting visits, if there are any. A visit
// that has already entered is never refused here.
func (v *visit) letOthers(ctx context.Context) error {
	if v.of.waiting.Load() == 0 {
		return nil
	}
	v.of.waiting.Add(1)
	v.leave()
	return v.wait(ctx)
}
