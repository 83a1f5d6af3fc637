package lua

import (
	"context"
	"slices"
	"sync"
)

// A turn is a lock that is waited for in order and until a context ends. In a
// test of a plugin the time may move while somebody waits.
type turn struct {
	host *Host

	mu      sync.Mutex
	taken   bool
	waiting []chan struct{}
}

// take waits for the lock. Without an error, give has to be called.
func (t *turn) take(ctx context.Context) error {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	t.host.running(-1)
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting, mine)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		t.host.running(1)
	}
	t.mu.Unlock()
	if i < 0 { // it was given meanwhile
		t.give()
	}
	return ctx.Err()
}

// give passes the lock on to the one that has waited longest.
func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.taken = false
		return
	}
	next := t.waiting[0]
	t.waiting = t.waiting[1:]
	t.host.running(1) // who waits runs again
	close(next)
}
