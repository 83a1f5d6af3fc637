package peer

import (
	"context"
	"sync"
	"time"
)

// The decisions that a message handler can make.
const (
	Ack       VerdictKind = iota // the work is done
	Retry                        // the message failed: handle it again after a while
	Dead                         // send the message to the dead letters without further attempts
	Pause                        // something else failed: handle the message again without using an attempt
	Cancelled                    // the plugin has ended: return the message as if it had not been delivered
)

// Limits of the attempts to handle one message.
const (
	DefaultAttempts = 10
	MaxAttempts     = 1000

	minRetry  = time.Second
	maxRetry  = time.Minute
	maxPaused = 15 * time.Second // the longest wait between two retries during a pause
)

// A VerdictKind is one of Ack, Retry, Dead, Pause and Cancelled.
type VerdictKind int

// A Verdict decides what happens to one message.
type Verdict struct {
	Kind VerdictKind
	Wait time.Duration // before a retry; 0: RetryWait
	Err  error         // why the message was not acknowledged; nil for Ack
	// PluginFailed is true if the call of the handler failed or its result is not a
	// valid verdict. Both are reported as failures of the plugin.
	PluginFailed bool
}

// RetryWait returns how long a message waits after a failed attempt. attempt
// counts from 1.
func RetryWait(attempt int) time.Duration { return doubled(attempt, maxRetry) }

// PauseWait returns how long a consumer pauses. failures is the number of
// consecutive failures not caused by a message.
func PauseWait(failures int) time.Duration { return doubled(failures, maxPaused) }

// doubled returns minRetry doubled n-1 times, but at most limit.
func doubled(n int, limit time.Duration) time.Duration {
	if n > 10 { // 1 s << 10 is longer than every limit
		return limit
	}
	return min(minRetry<<max(n-1, 0), limit)
}

// A Handling is one call of a message handler. It records the failures that the
// message did not cause.
type Handling struct {
	mu     sync.Mutex
	faults map[string]error // by service, "store" or the address of a server: why its last operation failed
}

type handlingKey struct{}

// WithHandling returns a context for one call of a message handler.
func WithHandling(ctx context.Context) (context.Context, *Handling) {
	h := &Handling{}
	return context.WithValue(ctx, handlingKey{}, h), h
}

// Cause returns a recorded failure that the message did not cause and that may go
// away by itself. It returns nil if there is none. A failure of the store takes
// precedence.
func (h *Handling) Cause() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.faults["store"]; err != nil {
		return err
	}
	for _, err := range h.faults {
		return err
	}
	return nil
}

// RecordOutcome records the outcome of an operation that a message handler started.
// service is "store" or the address of a server. err is a failure that the message did
// not cause, or nil; nil clears an earlier failure of the same service. ctx is the
// context of the operation. If no message handler started the operation, RecordOutcome
// does nothing.
func RecordOutcome(ctx context.Context, service string, err error) {
	h, ok := ctx.Value(handlingKey{}).(*Handling)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults == nil {
		h.faults = map[string]error{}
	}
	if h.faults[service] = err; err == nil {
		delete(h.faults, service)
	}
}
