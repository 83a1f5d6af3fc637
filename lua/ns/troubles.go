package ns

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// troubles holds the reasons why a running plugin is degraded, such as a server that
// cannot be reached. The zero value is ready to use.
type troubles struct {
	mu      sync.Mutex
	reasons map[troubleKey]string
}

type troubleKey struct {
	in   *Instance
	part string
}

// Degrade marks the plugin as degraded because a part of the instance, such as a
// connection, does not work. The mark lasts until Recovered is called for the same part
// or the instance is closed. A repeated call with the same reason is not logged.
func (in *Instance) Degrade(part string, reason error) {
	t := &in.Plugin.Troubles
	t.mu.Lock()
	if t.reasons == nil {
		t.reasons = map[troubleKey]string{}
	}
	before := t.reasons[troubleKey{in, part}]
	t.reasons[troubleKey{in, part}] = reason.Error()
	t.mu.Unlock()
	if before != reason.Error() {
		in.Plugin.Log.LogAttrs(context.Background(), slog.LevelWarn, "plugin degraded", slog.String("part", part), slog.String("reason", reason.Error()))
	}
}

// Recovered removes the mark that Degrade set for a part. It does nothing if there is no
// such mark.
func (in *Instance) Recovered(part string) {
	t := &in.Plugin.Troubles
	t.mu.Lock()
	_, marked := t.reasons[troubleKey{in, part}]
	delete(t.reasons, troubleKey{in, part})
	t.mu.Unlock()
	if marked {
		in.Plugin.Log.LogAttrs(context.Background(), slog.LevelInfo, "plugin recovered", slog.String("part", part))
	}
}

// Forget removes all marks of an instance that is closed.
func (t *troubles) Forget(in *Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.reasons, func(k troubleKey, _ string) bool { return k.in == in })
}

// All returns the reasons as texts "part: reason", sorted and without duplicates.
func (t *troubles) All() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var texts []string
	for k, reason := range t.reasons {
		texts = append(texts, k.part+": "+reason)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
