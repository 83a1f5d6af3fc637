package memory

import (
	"context"
	"sync/atomic"

	"nearside/matcher"
)

// turnstile bounds what is computed at once beside the workers. Who waits gets
// in by order of arrival.
type turnstile struct {
	places  chan struct{} // holds one for each that is inside; the runtime serves who waits in order
	waiting atomic.Int64
	most    int64 // that wait
}

func newTurnstile(places, waitingMax int) *turnstile {
	return &turnstile{places: make(chan struct{}, places), most: int64(waitingMax)}
}

// visit is a way through a turnstile, by one goroutine.
type visit struct {
	of     *turnstile
	inside bool
}

// enter waits for a place; leave must follow, also after an error.
func (v *visit) enter(ctx context.Context) error {
	t := v.of
	if t.waiting.Add(1) > t.most {
		t.waiting.Add(-1)
		return matcher.Errorf(matcher.CodeUnavailable, "matching: %d raw matches wait already", t.most)
	}
	return v.wait(ctx)
}

// wait waits for a place as one of those that are counted.
func (v *visit) wait(ctx context.Context) error {
	defer v.of.waiting.Add(-1)
	if err := context.Cause(ctx); err != nil { // else it might get a place all the same
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

// leave gives the place back, if there is one.
func (v *visit) leave() {
	if v.inside {
		v.inside = false
		<-v.of.places
	}
}

// letOthers leaves and enters again behind those that wait, if there are any.
// It is not refused, since it was let in.
func (v *visit) letOthers(ctx context.Context) error {
	if v.of.waiting.Load() == 0 {
		return nil
	}
	v.of.waiting.Add(1)
	v.leave()
	return v.wait(ctx)
}
