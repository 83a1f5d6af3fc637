package vm

import (
	"sync"
	"time"
)

// A Breaker switches something off for a while after repeated failures. Then
// it lets one probe through: its success closes the breaker, its failure
// opens it again. The zero Breaker is not usable; see NewBreaker.
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

// NewBreaker makes a closed breaker that opens after limit failures in a row,
// for pause. now is the clock.
func NewBreaker(limit int, pause time.Duration, now func() time.Time) *Breaker {
	return &Breaker{limit: max(limit, 1), pause: pause, now: now}
}

// Allow reports whether a call may be tried. After true, Done or
// Cancel has to be called.
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

// Done tells the outcome of a call.
func (b *Breaker) Done(err error) {
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

// Cancel says that a call which was allowed has told nothing.
func (b *Breaker) Cancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// State is "closed", "open" or "half-open", with the last failure's text.
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
