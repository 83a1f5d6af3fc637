package ns

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
	"nearside/matcher"
)

const maxRetrySeconds = 24 * 3600.0 // of {retry = seconds}

// HandleMessage calls a handler with a message and reads its verdict: "ack" or true;
// "retry", false, nil or an error; "dead"; {retry = seconds}. A second result is the
// reason.
//
// Only the end of the instance ends the call. The handler continues if its consumer
// stops, is cancelled or loses its connection.
func (in *Instance) HandleMessage(fn *vm.Func, message any) peer.Verdict {
	return in.callHandler(fn, message, 1, false)[0]
}

// HandleMessages calls a handler with a list of messages. It reads one verdict for each
// message, or one verdict for all.
func (in *Instance) HandleMessages(fn *vm.Func, messages []any) []peer.Verdict {
	return in.callHandler(fn, messages, len(messages), true)
}

// callHandler calls a handler and returns a verdict for each of n messages. list reports
// whether the handler may return a list of verdicts.
func (in *Instance) callHandler(fn *vm.Func, argument any, n int, list bool) []peer.Verdict {
	ctx, h := peer.WithHandling(in.State.Context())
	results, err := in.Call(ctx, vm.Limits{}, fn, argument)
	all := make([]peer.Verdict, n)
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
			all[i] = readListed(each[i])
		case err == nil:
			all[i] = readVerdict(results)
		case stateEnded(err):
			all[i] = peer.Verdict{Kind: peer.Cancelled, Err: err}
		default:
			all[i] = peer.Verdict{Kind: peer.Retry, Err: err, PluginFailed: true}
		}
		if cause := h.Cause(); all[i].Kind == peer.Retry && cause != nil {
			all[i] = peer.Verdict{Kind: peer.Pause, Err: cause}
		}
		if all[i].Kind != peer.Ack && in.State.Context().Err() != nil {
			all[i].Kind = peer.Cancelled
		}
	}
	return all
}

// readListed reads an item of a list of verdicts: a verdict, or a list of a verdict and its
// reason.
func readListed(item any) peer.Verdict {
	if pair, ok := item.([]any); ok && (len(pair) == 1 || len(pair) == 2) {
		return readVerdict(pair)
	}
	return readVerdict([]any{item})
}

// stateEnded reports whether a call ended because its state ended: the plugin was closed,
// or the state exceeded its memory limit.
func stateEnded(err error) bool {
	return errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed) || errors.Is(err, vm.ErrMemory)
}

const allowedVerdicts = `allowed are "ack", "retry", "dead", {retry = seconds}, true, false and nil`

// readVerdict reads the results of a handler: the verdict, then its reason.
func readVerdict(results []any) peer.Verdict {
	var first, reason any
	if len(results) > 0 {
		first = results[0]
	}
	if len(results) > 1 {
		reason = results[1]
	}
	v := peer.Verdict{Kind: peer.Retry, Err: errors.New("the handler did not return \"ack\" or true")}
	switch r := first.(type) {
	case nil:
	case bool:
		if r {
			return peer.Verdict{Kind: peer.Ack}
		}
	case string:
		switch r {
		case "ack":
			return peer.Verdict{Kind: peer.Ack}
		case "retry":
		case "dead":
			v = peer.Verdict{Kind: peer.Dead, Err: errors.New("the handler returned \"dead\"")}
		default:
			v.PluginFailed, v.Err = true, fmt.Errorf("the handler returned %q; %s", goval.Shorten(r), allowedVerdicts)
		}
	case map[string]any:
		seconds, ok := r["retry"].(float64)
		if !ok || len(r) != 1 || !(seconds >= 0 && seconds <= maxRetrySeconds) {
			v.PluginFailed, v.Err = true, fmt.Errorf("the handler returned a table that is not {retry = seconds}, seconds from 0 to %v", maxRetrySeconds)
			break
		}
		v.Wait = max(time.Duration(seconds*float64(time.Second)), time.Millisecond)
	default:
		v.PluginFailed, v.Err = true, fmt.Errorf("the handler returned a %s, which is not a verdict; %s", luaType(first), allowedVerdicts)
	}
	if text, ok := reason.(string); ok && text != "" {
		v.Err = errors.New(text)
	}
	return v
}

// luaType returns the Lua type of a value that is not nil, a boolean or a string.
func luaType(v any) string {
	switch v.(type) {
	case float64:
		return "number"
	case vm.Empty, []any, map[string]any:
		return "table"
	case *vm.Func:
		return "function"
	case *vm.Ref:
		return "thread"
	}
	return "userdata"
}

// recordStoreOutcome records the outcome of a write for the message handler that made it.
// If the store is full or unavailable (12052, 12050), the message did not cause the
// failure.
func recordStoreOutcome(ctx context.Context, err error) {
	switch matcher.CodeOf(err) {
	case matcher.CodeUnavailable, matcher.CodeFull:
		peer.RecordOutcome(ctx, "store", err)
	default:
		peer.RecordOutcome(ctx, "store", nil)
	}
}
