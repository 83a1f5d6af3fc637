package access

import (
	"math"
	"sync"
	"time"

	"nearside/matcher"
)

// limiter counts the requests of one key. It stays the same when the configuration is
// reloaded, so that a reload does not renew what a key may use.
type limiter struct {
	mu         sync.Mutex
	rate       Rate
	concurrent int
	tokens     float64 // requests that may begin now, at most those of one second
	filled     time.Time
	running    int
}

// configure sets the limits.
func (l *limiter) configure(k *Key, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate != k.Rate {
		l.rate, l.filled = k.Rate, now
		l.tokens = l.burst()
	}
	l.concurrent = k.Concurrent
}

// burst returns the number of requests that may begin at once after a pause: those of one
// second, but at least one.
func (l *limiter) burst() float64 { return max(1, l.rate.perSecond()) }

// begin counts a request that begins, or returns CodeBusy.
func (l *limiter) begin(name string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.concurrent > 0 && l.running >= l.concurrent {
		return busy(time.Second, "key %s: %d requests are in progress, which is its limit", name, l.running)
	}
	if l.rate.Requests > 0 {
		if passed := now.Sub(l.filled); passed > 0 {
			l.tokens = min(l.burst(), l.tokens+passed.Seconds()*l.rate.perSecond())
			l.filled = now
		}
		if l.tokens < 1 {
			wait := time.Duration(math.Round((1 - l.tokens) / l.rate.perSecond() * float64(time.Second)))
			return busy(wait, "key %s: its rate of %s is exceeded", name, l.rate)
		}
		l.tokens--
	}
	l.running++
	return nil
}

func (l *limiter) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
}

func busy(retryAfter time.Duration, format string, args ...any) error {
	e := matcher.Errorf(matcher.CodeBusy, format, args...)
	e.RetryAfter = retryAfter
	return e
}
