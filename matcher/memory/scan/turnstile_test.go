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

// TestTurnstile checks that places are given in order of arrival, including to visits
// that let others go first. A cancelled visit stops waiting, and too many waiting visits
// are refused.
func TestTurnstile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stile := newTurnstile(1, 4)
		var order []string
		inside := visit{of: stile}
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
				v := visit{of: stile}
				defer v.leave()
				if err := v.enter(ctx); err != nil {
					if ctx != impatient || !errors.Is(err, gone) {
						t.Errorf("%s: %v", name, err)
					}
					return
				}
				order = append(order, name)
				if name == "a" {
					if err := v.letOthers(ctx); err != nil {
						t.Error(err)
					}
					order = append(order, "a again")
				}
			}()
			synctest.Wait()
		}
		v := visit{of: stile}
		if err := v.enter(t.Context()); matcher.CodeOf(err) != matcher.CodeUnavailable || err == nil {
			t.Errorf("the fifth that waits: %v", err)
		}
		v.leave()
		cancel(gone)
		synctest.Wait()
		if len(order) > 0 {
			t.Errorf("%v are inside beside another", order)
		}
		inside.leave()
		synctest.Wait()
		if want := []string{"a", "b", "c", "a again"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
		if len(stile.places) > 0 || stile.waiting.Load() != 0 {
			t.Errorf("%d are inside and %d wait", len(stile.places), stile.waiting.Load())
		}
	})
}

// looks is a context that counts how often it is checked.
type looks struct {
	context.Context
	look func(n int)
	n    int
}

func (l *looks) Err() error {
	l.n++
	l.look(l.n)
	return l.Context.Err()
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
	large := &looks{Context: t.Context(), look: func(n int) {
		switch n {
		case 3:
			go func() {
				_, err := raw.Distances(t.Context(), v, [][]byte{row}, [][]byte{row})
				small <- err
			}()
			for raw.stile.waiting.Load() == 0 {
				runtime.Gosched()
			}
		case last:
			if raw.stile.waiting.Load() > 0 {
				t.Error("the large one is done, and the small one still waits")
				return
			}
			if err := <-small; err != nil {
				t.Error(err)
			}
		}
	}}
	got, err := raw.Distances(large, v, slices.Repeat([][]byte{row}, references), slices.Repeat([][]byte{row}, candidates))
	if err != nil || len(got) != references || large.n < last {
		t.Errorf("%d references, %d looks, %v", len(got), large.n, err)
	}
	if len(raw.stile.places) > 0 {
		t.Error("a place was not given back")
	}
}

// TestRawOverload checks that raw matches wait for a place until their context ends, and
// that a match that panics gives its place back.
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
	raw.stile.places <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := raw.Distances(ctx, v, row, row)
		waits <- err
	}()
	for raw.stile.waiting.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	raw.stile.waiting.Store(rawWaitingMax)
	if _, err := raw.Distances(t.Context(), v, row, row); matcher.CodeOf(err) != matcher.CodeUnavailable || err == nil {
		t.Error(err)
	}
	raw.stile.waiting.Store(0)
	<-raw.stile.places
	if d, err := raw.Distances(t.Context(), v, row, row); err != nil || d[0][0] != 0 {
		t.Errorf("%v, %v", d, err)
	}
}
