package vm

import (
	"sync"
	"time"
)

// A Breaker stops calls for a while after repeated failures. Then it allows one
// probe. If the probe succeeds, the breaker closes. If the probe fails, the
// breaker opens again. Create a Breaker with NewBreaker; the zero value is not
// usable. Its methods may be called by any goroutine.
type Breaker struct {
	limit int
	pause time.Duration
	now   func() time.Time

	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	probing  bool
	openings int // how often the breaker has opened
	reason   string
}

// A BreakerCall is a call that a breaker has allowed. Its outcome has no effect if the
// breaker has opened since the call began.
type BreakerCall struct {
	breaker  *Breaker
	openings int // when the call began
}

// NewBreaker returns a closed breaker. It opens for the duration pause after
// limit failures in a row, at least 1. now returns the current time.
func NewBreaker(limit int, pause time.Duration, now func() time.Time) *Breaker {
	return &Breaker{limit: max(limit, 1), pause: pause, now: now}
}

// Allow reports whether a call may be made. If ok is true, the caller must call Record
// or Cancel of the call afterwards.
func (b *Breaker) Allow() (call BreakerCall, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	call = BreakerCall{b, b.openings}
	if b.failures < b.limit {
		return call, true
	}
	if b.probing || b.now().Before(b.until) {
		return call, false
	}
	b.probing = true
	return call, true
}

// Record records the outcome of the call: nil is success.
func (c BreakerCall) Record(err error) {
	b := c.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.openings != b.openings {
		return
	}
	b.probing = false
	if err == nil {
		b.failures, b.reason = 0, ""
		return
	}
	b.failures++
	b.reason = err.Error()
	if b.failures >= b.limit {
		b.openings++
		b.until = b.now().Add(b.pause)
	}
}

// Cancel ends the call without recording an outcome.
func (c BreakerCall) Cancel() {
	b := c.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.openings == b.openings {
		b.probing = false
	}
}

// State returns "closed", "open" or "half-open", and the text of the last
// failure.
func (b *Breaker) State() (state, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < b.limit:
		return "closed", b.reason
	case b.probing || !b.now().Before(b.until):
		return "half-open", b.reason
	}
	return "open", b.reason
}
