package lua

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
)

// What a handler of messages decides.
const (
	verdictAck       verdictKind = iota // the work is done
	verdictRetry                        // the message failed: it is handled again after a while
	verdictDead                         // the message goes to the dead letters without further attempts
	verdictPause                        // something else failed: it is handled again, and uses no attempt
	verdictCancelled                    // the plugin has ended: the message goes back as if it had not come
)

const (
	defaultAttempts = 10
	maxAttempts     = 1000

	minRetry  = time.Second
	maxRetry  = time.Minute
	maxPaused = 15 * time.Second // between two looks at whether the cause is gone

	maxRetrySeconds = 24 * 3600.0 // of {retry = seconds}
)

type verdictKind int

// A verdict says what becomes of one message.
type verdict struct {
	kind verdictKind
	wait time.Duration // before a retry; 0: retryWait
	err  error         // why the message was not acknowledged; nil for verdictAck
	// The handler raised err, or returned no verdict: a fault of the plugin.
	raised bool
}

// retryWait is how long a message waits after its attempt (from 1) has failed.
func retryWait(attempt int) time.Duration { return growing(attempt, maxRetry) }

// pauseWait is how long a consumer pauses after so many failures in a row
// that are not the message's.
func pauseWait(failures int) time.Duration { return growing(failures, maxPaused) }

// growing is minRetry, doubled n-1 times, and at most most.
func growing(n int, most time.Duration) time.Duration {
	if n > 10 { // 1 s << 10 is beyond every bound
		return most
	}
	return min(minRetry<<max(n-1, 0), most)
}

// judge calls a handler with a message and reads its verdict: "ack" or true;
// "retry", false, nil or an error; "dead"; {retry = seconds}. A second result
// is the reason.
//
// The call lasts as long as the instance: a consumer that stops, is cancelled
// or loses its connection does not end the handler.
func (in *instance) judge(fn *vm.Func, message any) verdict {
	return in.judgeEach(fn, message, 1, false)[0]
}

// judgeAll calls a handler with several messages and reads a verdict for each, or
// one for all.
func (in *instance) judgeAll(fn *vm.Func, messages []any) []verdict {
	return in.judgeEach(fn, messages, len(messages), true)
}

func (in *instance) judgeEach(fn *vm.Func, argument any, n int, list bool) []verdict {
	h := &handling{}
	ctx := context.WithValue(in.state.Context(), handlingKey{}, h)
	results, err := in.call(ctx, vm.Limits{}, fn, argument)
	all := make([]verdict, n)
	each, isList := []any(nil), false
	if list && err == nil && len(results) > 0 {
		each, isList = results[0].([]any)
	}
	if isList && len(each) != n {
		err = fmt.Errorf("the handler returned %d verdicts for %d messages", len(each), n)
	}
	for i := range all {
		switch {
		case isList && err == nil:
			all[i] = readVerdict(each[i : i+1])
		case err == nil:
			all[i] = readVerdict(results)
		case ended(err):
			all[i] = verdict{kind: verdictCancelled, err: err}
		default:
			all[i] = verdict{kind: verdictRetry, err: err, raised: true}
		}
		if cause := h.cause(); all[i].kind == verdictRetry && cause != nil {
			all[i] = verdict{kind: verdictPause, err: cause}
		}
		if all[i].kind != verdictAck && in.state.Context().Err() != nil {
			all[i].kind = verdictCancelled
		}
	}
	return all
}

// ended reports whether a call ended with its state: the plugin was closed, or
// the state was killed for its memory.
func ended(err error) bool {
	return errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed) || errors.Is(err, vm.ErrMemory)
}

// readVerdict reads what a handler returned: the verdict, then its reason.
func readVerdict(results []any) verdict {
	var first, reason any
	if len(results) > 0 {
		first = results[0]
	}
	if len(results) > 1 {
		reason = results[1]
	}
	v := verdict{kind: verdictRetry, err: errors.New("the handler did not return \"ack\" or true")}
	switch r := first.(type) {
	case nil:
	case bool:
		if r {
			return verdict{kind: verdictAck}
		}
	case string:
		switch r {
		case "ack":
			return verdict{kind: verdictAck}
		case "retry":
		case "dead":
			v = verdict{kind: verdictDead, err: errors.New("the handler returned \"dead\"")}
		default:
			v.raised, v.err = true, fmt.Errorf("the handler returned %q; allowed are \"ack\", \"retry\", \"dead\", {retry = seconds}, true, false and nil", clip(r))
		}
	case map[string]any:
		seconds, ok := r["retry"].(float64)
		if !ok || len(r) != 1 || !(seconds >= 0 && seconds <= maxRetrySeconds) {
			v.raised, v.err = true, fmt.Errorf("the handler returned a table that is not {retry = seconds}, seconds from 0 to %v", maxRetrySeconds)
			break
		}
		v.wait = max(time.Duration(seconds*float64(time.Second)), time.Millisecond)
	default:
		v.raised, v.err = true, fmt.Errorf("the handler returned a %T, which is not a verdict", first)
	}
	if text, ok := reason.(string); ok && text != "" {
		v.err = errors.New(text)
	}
	return v
}

// A handling is one call of a message handler: it remembers the failures that
// are not the message's fault.
type handling struct {
	mu     sync.Mutex
	faults map[string]error // by what failed last: "store", or a peer's address
}

type handlingKey struct{}

// cause is why the handler failed, if it was something that heals by itself.
func (h *handling) cause() error {
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

// note remembers the outcome of an operation for the handler that asked for
// it: a failure that says nothing about the message, or nil. ctx is that of
// vm.Call.Wait; what names the store or the peer.
func note(ctx context.Context, what string, err error) {
	h, ok := ctx.Value(handlingKey{}).(*handling)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults == nil {
		h.faults = map[string]error{}
	}
	if h.faults[what] = err; err == nil {
		delete(h.faults, what)
	}
}

// noteStore remembers the outcome of a write to the store: when it is full or
// not available (12052, 12050), the message is not to blame.
func noteStore(ctx context.Context, err error) {
	switch matcher.CodeOf(err) {
	case matcher.CodeUnavailable, matcher.CodeFull:
		note(ctx, "store", err)
	default:
		note(ctx, "store", nil)
	}
}
