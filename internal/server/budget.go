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
	// freeBytes is how much every request may hold without a reservation, so that small
	// requests never wait behind large ones. The limit of connections bounds the sum of
	// these bytes.
	freeBytes = 64 << 10
	// slowAfter is how long a client may take for slowBytes while others wait
	// for room.
	slowAfter = 10 * time.Second
	slowBytes = 10 << 10
	// slowCheck is the interval between two searches for slow clients.
	slowCheck = time.Second
)

// budget bounds the bytes of one kind, such as bodies, that all requests hold
// together. Requests reserve bytes step by step, as the bytes arrive. When no room is
// left, they wait in order of arrival.
//
// Requests that each hold a part and wait for more could block each other
// forever. One claim is therefore favored: its bytes are in a separate reserve,
// which is large enough for the largest request. When no claim is favored, the
// first one that has to wait becomes favored.
type budget struct {
	kind    string // the name in errors
	size    int64  // bytes that all claims but the favored one may hold
	reserve int64  // bytes that the favored claim may hold

	mu        sync.Mutex
	slowAfter time.Duration // the constant; tests change it
	used      int64         // bytes of all claims but the favored one
	favored   *claim
	holders   map[*claim]struct{} // claims that hold bytes
	waiting   list.List           // of *waiter
	queued    int64               // bytes that all waiters want
	pace      returnPace
	checked   time.Time // the last search for slow clients
}

// claim is the part of a budget that one request holds. One goroutine uses it. A
// nil claim holds nothing.
type claim struct {
	budget *budget
	onSlow func() // called when the client is slow; must not block
	// slowCalls is the number of calls of onSlow per slowAfter of the budget. If it is 0,
	// the first call comes after slowAfter, and every later check calls onSlow again.
	slowCalls int

	// The fields below are guarded by budget.mu. Only the goroutine of the claim changes
	// held, except while it waits in grow.
	held      int64
	waiting   bool      // in grow
	suspended bool      // the server does not wait for the client
	pausedAt  time.Time // when pause was called, or when counting in piece began, if that was later
	since     time.Time // when counting in piece began, moved forward by the time of pauses
	piece     int64     // bytes that the client has sent or read since then; starts again at slowBytes
}

// waiter is a claim that waits for more bytes.
type waiter struct {
	claim *claim
	bytes int64
	done  chan struct{} // closed when the bytes are reserved
}

func newBudget(kind string, size, reserve int64) *budget {
	return &budget{kind: kind, size: size, reserve: reserve, slowAfter: slowAfter, holders: map[*claim]struct{}{}}
}

// newClaim returns a claim that holds nothing yet. Its client is slow when it does
// not send or read slowBytes within slowAfter. Then, while others wait, onSlow is
// called, possibly more than once.
func (b *budget) newClaim(onSlow func()) *claim { return &claim{budget: b, onSlow: onSlow} }

// grow waits until the claim holds that many more bytes, or until ctx ends. A claim
// never holds more than the reserve of the budget, so grow reduces a larger request.
func (c *claim) grow(ctx context.Context, bytes int64) error {
	b := c.budget
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
	tick := time.NewTicker(min(slowCheck, b.slowAfter))
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

// tryGrow is grow without waiting. It reports whether the bytes are reserved. It does
// not use the reserve, so it fails for the favored claim.
func (c *claim) tryGrow(bytes int64) bool {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.Len() == 0 && c != b.favored && b.used+bytes <= b.size && b.admit(c, bytes)
}

// refuseLate returns an error for a claim that holds nothing yet if it would wait
// longer than half of its remaining time. The other half is for the work with the
// bytes. The estimate uses the recent pace at which bytes were given back. b.mu is
// held.
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
	b := c.budget
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
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	if c.piece += int64(bytes); c.piece >= slowBytes {
		c.restart()
	}
}

// restart starts to count the bytes of the client again. budget.mu is held.
func (c *claim) restart() {
	now := time.Now()
	c.since, c.pausedAt, c.piece = now, now, 0
}

// pause excludes the client from the search for slow clients until proceed, because the
// server does not wait for it. The count of its bytes goes on after that, so a client cannot
// hide behind short pauses.
func (c *claim) pause() {
	if c == nil {
		return
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.suspended, c.pausedAt = true, time.Now()
}

// proceed ends pause. The time in between does not count.
func (c *claim) proceed() {
	if c == nil {
		return
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	if c.suspended {
		c.suspended, c.since = false, c.since.Add(time.Since(c.pausedAt))
	}
}

// suspend excludes the client from the search for slow clients until resume.
func (c *claim) suspend() {
	if c == nil || c.held == 0 {
		return
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.suspended = true
}

// resume ends suspend.
func (c *claim) resume() {
	if c == nil || c.held == 0 {
		return
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.suspended = false
	c.restart()
}

// othersWait reports whether any claim waits for room in the budget.
func (c *claim) othersWait() bool {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return c.budget.waiting.Len() > 0
}

// patience returns the time after which a client is slow while others wait.
func (c *claim) patience() time.Duration {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return c.budget.slowAfter
}

// endWait marks the end of a wait in grow.
func (c *claim) endWait() {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.waiting = false
	c.restart()
}

// notifySlow calls onSlow for each claim whose client is slow.
func (b *budget) notifySlow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.checked) < min(slowCheck, b.slowAfter) {
		return
	}
	b.checked = now
	for c := range b.holders {
		if !c.waiting && !c.suspended && now.Sub(c.since) >= b.slowAfter/time.Duration(max(c.slowCalls, 1)) {
			c.onSlow()
			if c.slowCalls > 0 {
				c.restart()
			}
		}
	}
}

// returnPace measures how fast bytes of a budget are given back.
type returnPace struct {
	from     time.Time // when the current second began
	current  int64     // bytes in the current second
	previous int64     // bytes in the second before
}

// addBytes counts bytes that were given back.
func (p *returnPace) addBytes(bytes int64, now time.Time) {
	p.startSecond(now)
	p.current += bytes
}

// startSecond starts a new second if the current one is over.
func (p *returnPace) startSecond(now time.Time) {
	switch over := now.Sub(p.from); {
	case over >= 2*time.Second:
		*p = returnPace{from: now}
	case over >= time.Second:
		*p = returnPace{from: p.from.Add(time.Second), previous: p.current}
	}
}

// perSecond returns the pace of the last one to two seconds; 0: nothing was given
// back.
func (p *returnPace) perSecond(now time.Time) float64 {
	p.startSecond(now)
	if p.previous == 0 {
		return 0
	}
	return float64(p.previous+p.current) / (time.Second + now.Sub(p.from)).Seconds()
}
