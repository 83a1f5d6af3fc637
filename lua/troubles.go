package lua

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// troubles are what keeps a plugin from its work although it runs, such as a
// server that cannot be reached. The zero value is ready.
type troubles struct {
	mu      sync.Mutex
	reasons map[troubleKey]string
}

type troubleKey struct {
	in   *instance
	what string
}

// degrade says that what, a part of the instance such as a connection, does
// not work, and why. The plugin is shown as degraded until recovered is called
// for the same part or the instance is closed. Only a change is logged.
func (in *instance) degrade(what string, reason error) {
	t := &in.plugin.troubles
	t.mu.Lock()
	if t.reasons == nil {
		t.reasons = map[troubleKey]string{}
	}
	before := t.reasons[troubleKey{in, what}]
	t.reasons[troubleKey{in, what}] = reason.Error()
	t.mu.Unlock()
	if before != reason.Error() {
		in.plugin.log.LogAttrs(context.Background(), slog.LevelWarn, "plugin degraded", slog.String("what", what), slog.String("reason", reason.Error()))
	}
}

// recovered says that what works again. It does nothing when it was not
// degraded.
func (in *instance) recovered(what string) {
	t := &in.plugin.troubles
	t.mu.Lock()
	_, was := t.reasons[troubleKey{in, what}]
	delete(t.reasons, troubleKey{in, what})
	t.mu.Unlock()
	if was {
		in.plugin.log.LogAttrs(context.Background(), slog.LevelInfo, "plugin recovered", slog.String("what", what))
	}
}

// forget removes what an instance that is closed has said.
func (t *troubles) forget(in *instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.reasons, func(k troubleKey, _ string) bool { return k.in == in })
}

// all returns what does not work, in the order of the texts: "what: reason",
// once each.
func (t *troubles) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var texts []string
	for k, reason := range t.reasons {
		texts = append(texts, k.what+": "+reason)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
