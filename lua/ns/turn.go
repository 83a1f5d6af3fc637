package ns

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A turn is a lock that is granted in the order of the calls of lock and lockWithin. With
// seats, that many callers hold it at the same time. A context can end the wait for it. In a
// plugin test, the time can advance while a goroutine waits.
type turn struct {
	host  *Host
	seats int // 0: one

	mu      sync.Mutex
	held    int
	waiting []*turnWaiter
}

// A turnWaiter is a goroutine that waits for a turn.
type turnWaiter struct {
	granted bool   // the lock was passed to it
	wake    func() // called by unlock
}

// lock waits for the lock. If it returns nil, the caller must call unlock.
func (t *turn) lock(ctx context.Context) error {
	mine := make(chan struct{})
	w := t.enter(func() {
		t.host.Doubles.Counter.AddRunning(1) // the waiting goroutine runs again
		close(mine)
	})
	if w == nil {
		return nil
	}
	t.host.Doubles.Counter.AddRunning(-1)
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	if t.leave(w) {
		t.unlock()
	} else {
		t.host.Doubles.Counter.AddRunning(1)
	}
	return ctx.Err()
}

// lockWithin is lock with a limit of the time. If ok is false and err is nil, the time is
// over.
func (t *turn) lockWithin(ctx context.Context, d time.Duration) (ok bool, err error) {
	sleep, wake := context.WithCancel(ctx)
	defer wake()
	w := t.enter(wake)
	if w == nil {
		return true, nil
	}
	_ = t.host.Clock.Sleep(sleep, d) // ends early when unlock wakes it, or with ctx
	granted := t.leave(w)
	if err := ctx.Err(); err != nil {
		if granted {
			t.unlock()
		}
		return false, err
	}
	return granted, nil
}

// enter takes the lock and returns nil, or adds a waiter.
func (t *turn) enter(wake func()) *turnWaiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held < max(t.seats, 1) {
		t.held++
		return nil
	}
	w := &turnWaiter{wake: wake}
	t.waiting = append(t.waiting, w)
	return w
}

// leave removes a waiter. It reports whether the lock was passed to it in the meantime.
func (t *turn) leave(w *turnWaiter) (granted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(other *turnWaiter) bool { return other == w })
	return w.granted
}

// unlock passes the lock to the goroutine that has waited longest, if any.
func (t *turn) unlock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.held--
		return
	}
	next := t.waiting[0]
	t.waiting = t.waiting[1:]
	next.granted = true
	next.wake()
}
