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
	reason   string
}

// NewBreaker returns a closed breaker. It opens for the duration pause after
// limit failures in a row, at least 1. now returns the current time.
func NewBreaker(limit int, pause time.Duration, now func() time.Time) *Breaker {
	return &Breaker{limit: max(limit, 1), pause: pause, now: now}
}

// Allow reports whether a call may be made. If it returns true, the caller must
// call RecordCall or CancelCall afterwards.
func (b *Breaker) Allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < b.limit {
		return true
	}
	if b.probing || b.now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// RecordCall records the outcome of a call: nil is success.
func (b *Breaker) RecordCall(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if err == nil {
		b.failures, b.reason = 0, ""
		return
	}
	b.failures++
	b.reason = err.Error()
	if b.failures >= b.limit {
		b.until = b.now().Add(b.pause)
	}
}

// CancelCall ends an allowed call without recording an outcome.
func (b *Breaker) CancelCall() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
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
