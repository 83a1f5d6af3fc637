package server

import (
	"container/list"
	"context"
	"errors"
	"fmt"
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
	// slowCheck is the interval between two searches for slow clients.
	slowCheck = time.Second
)

// budget bounds the bytes of one kind that all requests hold together. Requests
// reserve bytes step by step, as the bytes arrive. When no room is left they
// wait in order of arrival.
//
// Requests that each hold a part and wait for more could block each other
// forever. One claim is therefore favored: its bytes are in a separate reserve,
// which is large enough for the largest request. When no claim is favored, the
// first one that has to wait becomes favored.
type budget struct {
	kind    string // the name in errors
	size    int64  // bytes that all claims but the favored one may hold
	reserve int64  // bytes that the favored claim may hold

	mu      sync.Mutex
	slow    time.Duration // slowAfter; tests change it
	used    int64         // bytes of all claims but the favored one
	favored *claim
	holders map[*claim]struct{} // claims that hold bytes
	waiting list.List           // of *waiter
	queued  int64               // bytes that all waiters want
	pace    returnPace
	checked time.Time // the last search for slow clients
}

// claim is the part of a budget that one request holds. One goroutine uses it. A
// nil claim holds nothing.
type claim struct {
	of   *budget
	slow func() // called when the client is slow; must not block
	asks int    // how often slow is called within slowAfter; 0: once

	// The fields below are guarded by of.mu. Only the goroutine of the claim changes
	// held, except while it waits in grow.
	held      int64
	waiting   bool      // in grow
	suspended bool      // nothing is expected of the client
	since     time.Time // when the client began the current slowBytes
	piece     int64     // bytes of the current slowBytes that the client has sent or read
}

// waiter is a claim that waits for more bytes.
type waiter struct {
	claim *claim
	bytes int64
	done  chan struct{} // closed when the bytes are reserved
}

func newBudget(kind string, size, reserve int64) *budget {
	return &budget{kind: kind, size: size, reserve: reserve, slow: slowAfter, holders: map[*claim]struct{}{}}
}

// newClaim returns a claim that holds nothing yet. Its client is slow when it does
// not send or read slowBytes within slowAfter. Then, while others wait, slow is
// called, possibly more than once.
func (b *budget) newClaim(slow func()) *claim { return &claim{of: b, slow: slow} }

// grow waits until the claim holds that many more bytes, or until ctx ends. A claim
// never holds more than the reserve of the budget: a larger wish is reduced.
func (c *claim) grow(ctx context.Context, bytes int64) error {
	b := c.of
	b.mu.Lock()
	bytes = min(bytes, b.reserve-c.held)
	if (b.waiting.Len() == 0 || c == b.favored) && b.admit(c, bytes) {
		b.mu.Unlock()
		return nil
	}
	if err := b.refuseLate(ctx, c, bytes); err != nil {
		b.mu.Unlock()
		return err
	}
	w := &waiter{claim: c, bytes: bytes, done: make(chan struct{})}
	place := b.waiting.PushBack(w)
	b.queued += bytes
	c.waiting = true
	tick := time.NewTicker(min(slowCheck, b.slow))
	defer tick.Stop()
	b.mu.Unlock()
	defer c.endWait()

	for {
		b.notifySlow()
		select {
		case <-w.done:
			return nil
		case <-tick.C:
		case <-ctx.Done():
			return b.giveUp(ctx, place)
		}
	}
}

// tryGrow is grow without waiting, for a claim that is not favored. It reports
// whether the bytes are reserved.
func (c *claim) tryGrow(bytes int64) bool {
	b := c.of
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.Len() == 0 && c != b.favored && b.used+bytes <= b.size && b.admit(c, bytes)
}

// refuseLate refuses a claim that holds nothing yet if it would wait longer than
// half of its time. The estimate uses the pace at which bytes were given back
// lately. The other half is for the work with the bytes. b.mu is held.
func (b *budget) refuseLate(ctx context.Context, c *claim, bytes int64) error {
	now := time.Now()
	deadline, ok := ctx.Deadline()
	pace := b.pace.perSecond(now)
	if !ok || c.held > 0 || pace == 0 {
		return nil
	}
	wait := time.Duration(min(float64(b.queued+bytes)/pace, time.Hour.Seconds()) * float64(time.Second))
	if left := deadline.Sub(now); wait <= left/2 {
		return nil
	}
	return matcher.Overloaded(wait, "memory: %d bytes for %s would not become free in time; other requests wait for %d bytes", bytes, b.kind, b.queued).
		Mask(fmt.Sprintf("memory: no room for %d bytes of %s would come in time", bytes, b.kind))
}

// giveUp removes a waiter whose context has ended. It returns nil if the bytes were
// reserved in the meantime.
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
	b.queued -= w.bytes
	b.admitWaiting()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return matcher.Overloaded(0, "memory: %d bytes for %s did not become free in time; all requests share %d bytes", w.bytes, b.kind, b.size+b.reserve)
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

// admitWaiting reserves bytes for waiters in order of arrival while there is room.
// b.mu is held.
func (b *budget) admitWaiting() {
	blocked := false // an earlier waiter has no room yet
	for place := b.waiting.Front(); place != nil; {
		w, next := place.Value.(*waiter), place.Next()
		if blocked && w.claim != b.favored || !b.admit(w.claim, w.bytes) {
			blocked = true
		} else {
			b.waiting.Remove(place)
			b.queued -= w.bytes
			close(w.done)
		}
		place = next
	}
}

// shrink gives back all but that many bytes of the claim.
func (c *claim) shrink(bytes int64) {
	if c == nil || c.held <= bytes {
		return
	}
	b := c.of
	b.mu.Lock()
	defer b.mu.Unlock()
	returned := c.held - bytes
	c.held = bytes
	b.pace.addBytes(returned, time.Now())
	switch {
	case c != b.favored:
		b.used -= returned
	case b.used+c.held <= b.size: // c fits without the reserve now
		b.favored = nil
		b.used += c.held
	}
	if c.held == 0 {
		delete(b.holders, c)
	}
	b.admitWaiting()
}

// progress counts bytes that the client has sent or read.
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

// restart starts to count the next slowBytes. of.mu is held.
func (c *claim) restart() { c.since, c.piece = time.Now(), 0 }

// suspend excludes the client from the search for slow clients until resume.
func (c *claim) suspend() {
	if c == nil || c.held == 0 {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.suspended = true
}

// resume ends suspend.
func (c *claim) resume() {
	if c == nil || c.held == 0 {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.suspended = false
	c.restart()
}

// othersWait reports whether any claim waits for room in the budget.
func (c *claim) othersWait() bool {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.of.waiting.Len() > 0
}

// patience returns the time after which a client is slow while others wait.
func (c *claim) patience() time.Duration {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.of.slow
}

// endWait marks the end of a wait in grow.
func (c *claim) endWait() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.waiting = false
	c.restart()
}

// notifySlow calls slow for each claim whose client is slow.
func (b *budget) notifySlow() {
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

// returnPace measures how fast bytes of a budget are given back.
type returnPace struct {
	from      time.Time // when the current second began
	now, last int64     // bytes in the current second and in the one before
}

// addBytes counts bytes that were given back.
func (f *returnPace) addBytes(bytes int64, now time.Time) {
	f.startSecond(now)
	f.now += bytes
}

// startSecond starts a new second if the current one is over.
func (f *returnPace) startSecond(now time.Time) {
	switch over := now.Sub(f.from); {
	case over >= 2*time.Second:
		*f = returnPace{from: now}
	case over >= time.Second:
		*f = returnPace{from: f.from.Add(time.Second), last: f.now}
	}
}

// perSecond returns the pace of the last one to two seconds; 0: nothing was given
// back.
func (f *returnPace) perSecond(now time.Time) float64 {
	f.startSecond(now)
	if f.last == 0 {
		return 0
	}
	return float64(f.last+f.now) / (time.Second + now.Sub(f.from)).Seconds()
}
