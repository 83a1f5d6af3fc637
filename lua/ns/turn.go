package ns

import (
	"context"
	"slices"
	"sync"
)

// A turn is a lock that is granted in the order of the calls of lock. With seats, that many
// callers hold it at the same time. A context can end the wait for it. In a plugin test,
// the time can advance while a goroutine waits.
type turn struct {
	host  *Host
	seats int // 0: one

	mu      sync.Mutex
	held    int
	waiting []chan struct{}
}

// lock waits for the lock. If it returns nil, the caller must call unlock.
func (t *turn) lock(ctx context.Context) error {
	t.mu.Lock()
	if t.held < max(t.seats, 1) {
		t.held++
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	t.host.Doubles.Counter.AddRunning(-1)
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting, mine)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		t.host.Doubles.Counter.AddRunning(1)
	}
	t.mu.Unlock()
	if i < 0 { // the lock was passed to this goroutine in the meantime
		t.unlock()
	}
	return ctx.Err()
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
	t.host.Doubles.Counter.AddRunning(1) // the waiting goroutine runs again
	close(next)
}
