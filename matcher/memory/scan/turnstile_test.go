package scan

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"nearside/matcher"
)

// TestTurnstile checks that visits enter in order of arrival. This includes visits that
// yield. A cancelled visit stops waiting, and too many waiting visits are refused.
func TestTurnstile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newTurnstile(1, 4)
		var order []string
		inside := visit{turnstile: gate}
		if err := inside.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the client is gone")
		for _, name := range []string{"a", "b", "gives up", "c"} {
			go func() {
				ctx := t.Context()
				if name == "gives up" {
					ctx = impatient
				}
				v := visit{turnstile: gate}
				defer v.leave()
				if err := v.enter(ctx); err != nil {
					if ctx != impatient || !errors.Is(err, gone) {
						t.Errorf("%s: %v", name, err)
					}
					return
				}
				order = append(order, name)
				if name == "a" {
					if err := v.yield(ctx); err != nil {
						t.Error(err)
					}
					order = append(order, "a again")
				}
			}()
			synctest.Wait()
		}
		v := visit{turnstile: gate}
		if err := v.enter(t.Context()); matcher.CodeOf(err) != matcher.CodeUnavailable || err == nil {
			t.Errorf("the fifth waiting visit: %v", err)
		}
		v.leave()
		cancel(gone)
		synctest.Wait()
		if len(order) > 0 {
			t.Errorf("%v entered while another visit was inside", order)
		}
		inside.leave()
		synctest.Wait()
		if want := []string{"a", "b", "c", "a again"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
		if len(gate.places) > 0 || gate.waiting.Load() != 0 {
			t.Errorf("%d are inside and %d wait", len(gate.places), gate.waiting.Load())
		}
	})
}

// countedContext is a context that counts how often it is checked, and calls onCheck.
type countedContext struct {
	context.Context
	onCheck func(n int)
	n       int
}

func (c *countedContext) Err() error {
	c.n++
	c.onCheck(c.n)
	return c.Context.Err()
}

// TestRawInTurns checks that a small raw match that arrives during a large one is done
// before it.
func TestRawInTurns(t *testing.T) {
	v, raw := version3(t), NewRaw(1, bestKernel(t))
	row := []byte{1, 2, 3}
	const candidates = 10 * rawPiece
	references := 2 * rawTurn / (3 * candidates) // of the large match: two turns
	last := references*candidates/rawPiece - 1
	small := make(chan error, 1)
	large := &countedContext{Context: t.Context(), onCheck: func(n int) {
		switch n {
		case 3:
			go func() {
				_, err := raw.Distances(t.Context(), v, [][]byte{row}, [][]byte{row})
				small <- err
			}()
			for raw.turnstile.waiting.Load() == 0 {
				runtime.Gosched()
			}
		case last:
			if raw.turnstile.waiting.Load() > 0 {
				t.Error("the large match is done, and the small one still waits")
				return
			}
			if err := <-small; err != nil {
				t.Error(err)
			}
		}
	}}
	got, err := raw.Distances(large, v, slices.Repeat([][]byte{row}, references), slices.Repeat([][]byte{row}, candidates))
	if err != nil || len(got) != references || large.n < last {
		t.Errorf("%d references, %d checks of the context, %v", len(got), large.n, err)
	}
	if len(raw.turnstile.places) > 0 {
		t.Error("a place was not returned")
	}
}

// TestRawOverload checks that raw matches wait for a place until their context ends, and
// that a match that panics returns its place.
func TestRawOverload(t *testing.T) {
	v, raw := version3(t), NewRaw(1, bestKernel(t))
	row := [][]byte{{1, 2, 3}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = raw.Distances(t.Context(), v, [][]byte{{1}}, row) // too short
	}()
	raw.turnstile.places <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := raw.Distances(ctx, v, row, row)
		waits <- err
	}()
	for raw.turnstile.waiting.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	raw.turnstile.waiting.Store(rawWaitingMax)
	if _, err := raw.Distances(t.Context(), v, row, row); matcher.CodeOf(err) != matcher.CodeUnavailable || err == nil {
		t.Error(err)
	}
	raw.turnstile.waiting.Store(0)
	<-raw.turnstile.places
	if d, err := raw.Distances(t.Context(), v, row, row); err != nil || d[0][0] != 0 {
		t.Errorf("%v, %v", d, err)
	}
}
