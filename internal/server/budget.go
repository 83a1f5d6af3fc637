package server

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"nearside/matcher"
)

const (
	// freeBytes is how much every request may hold without a reservation. The
	// limits of connections bound it for all requests together. Small requests
	// therefore never wait behind large ones.
	freeBytes = 64 << 10
	// slowAfter is how long a client may take for slowBytes while others wait
	// for room.
	slowAfter = 10 * time.Second
	slowBytes = 10 << 10
	// slowCheck is the time between two searches for slow clients.
	slowCheck = time.Second
)

// budget bounds the bytes of one kind that all requests hold together. Requests
// reserve bytes step by step, as the bytes arrive. When no room is left they
// wait in order of arrival.
//
// Requests that each hold a part and wait for more could block each other for
// ever. One claim is therefore favored: it holds its bytes in a reserve of its
// own, which is large enough for the largest request. The first one that waits
// becomes favored when no other is.
type budget struct {
	kind    string // as errors name it
	size    int64  // bytes that all claims but the favored one may hold
	reserve int64  // bytes that the favored claim may hold

	mu      sync.Mutex
	slow    time.Duration // slowAfter, but in tests
	used    int64         // by all claims but the favored one
	favored *claim
	holders map[*claim]struct{} // claims that hold bytes
	waiting list.List           // of *waiter
	checked time.Time           // when slow clients were searched last
}

// claim is what one request holds of a budget. It is used by one goroutine. A
// nil claim holds nothing.
type claim struct {
	of   *budget
	slow func() // tells the request that its client is slow; it does not block
	asks int    // how often slow is called within slowAfter; 0: once

	// The fields below are guarded by of.mu. While the goroutine of the claim
	// does not wait in grow, only that one changes held.
	held      int64
	waiting   bool      // in grow
	suspended bool      // nothing is expected of the client
	since     time.Time // when the client began to send or to read the current slowBytes
	piece     int64     // of them, bytes that have come
}

// waiter is a claim that waits for more bytes.
type waiter struct {
	claim *claim
	bytes int64
	done  chan struct{} // closed when they are reserved
}

func newBudget(kind string, size, reserve int64) *budget {
	return &budget{kind: kind, size: size, reserve: reserve, slow: slowAfter, holders: map[*claim]struct{}{}}
}

// claim returns a claim that holds nothing yet. Its client counts as slow when
// it does not bring slowBytes within slowAfter. While others wait, slow is then
// called, possibly more than once.
func (b *budget) claim(slow func()) *claim { return &claim{of: b, slow: slow} }

// grow waits until the claim holds that many bytes more, or until ctx ends.
// Together they must not be more than the reserve of the budget, and more than
// that is cut to it.
func (c *claim) grow(ctx context.Context, bytes int64) error {
	b := c.of
	b.mu.Lock()
	bytes = min(bytes, b.reserve-c.held)
	if (b.waiting.Len() == 0 || c == b.favored) && b.admit(c, bytes) {
		b.mu.Unlock()
		return nil
	}
	w := &waiter{claim: c, bytes: bytes, done: make(chan struct{})}
	place := b.waiting.PushBack(w)
	c.waiting = true
	tick := time.NewTicker(min(slowCheck, b.slow))
	defer tick.Stop()
	b.mu.Unlock()
	defer c.waited()

	for {
		b.tellSlow()
		select {
		case <-w.done:
			return nil
		case <-tick.C:
		case <-ctx.Done():
			return b.giveUp(ctx, place)
		}
	}
}

// tryGrow is grow without a wait and without a favor. It reports whether the
// bytes are reserved.
func (c *claim) tryGrow(bytes int64) bool {
	b := c.of
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.Len() == 0 && c != b.favored && b.used+bytes <= b.size && b.admit(c, bytes)
}

// giveUp removes a waiter, unless its bytes were reserved just now.
func (b *budget) giveUp(ctx context.Context, place *list.Element) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := place.Value.(*waiter)
	select {
	case <-w.done:
		return nil
	default:
	}
	b.waiting.Remove(place)
	b.admitWaiting()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return matcher.Overloaded(0, "memory: no room for %d bytes of %s came in time, all requests together have %d", w.bytes, b.kind, b.size+b.reserve)
	}
	return ctx.Err()
}

// admit reserves bytes for c if there is room. b.mu is held.
func (b *budget) admit(c *claim, bytes int64) bool {
	switch {
	case c == b.favored:
		if c.held+bytes > b.reserve {
			return false
		}
	case b.used+bytes <= b.size:
		b.used += bytes
	case b.favored == nil:
		b.favored = c
		b.used -= c.held
	default:
		return false
	}
	c.held += bytes
	if _, ok := b.holders[c]; !ok {
		b.holders[c] = struct{}{}
		c.restart()
	}
	return true
}

// admitWaiting reserves bytes for those that wait, as far as there is room.
// b.mu is held.
func (b *budget) admitWaiting() {
	blocked := false // by one that came earlier
	for place := b.waiting.Front(); place != nil; {
		w, next := place.Value.(*waiter), place.Next()
		if blocked && w.claim != b.favored || !b.admit(w.claim, w.bytes) {
			blocked = true
		} else {
			b.waiting.Remove(place)
			close(w.done)
		}
		place = next
	}
}

// shrink gives back what the claim holds beyond that many bytes.
func (c *claim) shrink(bytes int64) {
	if c == nil || c.held <= bytes {
		return
	}
	b := c.of
	b.mu.Lock()
	defer b.mu.Unlock()
	back := c.held - bytes
	c.held = bytes
	switch {
	case c != b.favored:
		b.used -= back
	case b.used+c.held <= b.size: // it needs no favor any more
		b.favored = nil
		b.used += c.held
	}
	if c.held == 0 {
		delete(b.holders, c)
	}
	b.admitWaiting()
}

// progress notes that the client has sent or read that many bytes more.
func (c *claim) progress(bytes int) {
	if c == nil || c.held == 0 {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.piece += int64(bytes); c.piece >= slowBytes {
		c.restart()
	}
}

// restart begins a new piece of slowBytes. of.mu is held.
func (c *claim) restart() { c.since, c.piece = time.Now(), 0 }

// suspend says that nothing is expected of the client until resume is called.
func (c *claim) suspend() {
	if c == nil || c.held == 0 {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.suspended = true
}

// resume ends the pause that suspend began.
func (c *claim) resume() {
	if c == nil || c.held == 0 {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.suspended = false
	c.restart()
}

// patience is how long a client may do nothing while others wait.
func (c *claim) patience() time.Duration {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.of.slow
}

// waited says that grow does not wait any more.
func (c *claim) waited() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.waiting = false
	c.restart()
}

// tellSlow tells the claims whose clients are slow.
func (b *budget) tellSlow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.checked) < min(slowCheck, b.slow) {
		return
	}
	b.checked = now
	for c := range b.holders {
		if !c.waiting && !c.suspended && now.Sub(c.since) >= b.slow/time.Duration(max(c.asks, 1)) {
			c.slow()
			if c.asks > 0 {
				c.restart()
			}
		}
	}
}
