package matcher

import (
	"context"
	"strings"
)

// A Cause is the part of the process that made a write or a match. The zero Cause is a
// client. Points and events of plugins show a cause that is a plugin.
type Cause string

// The causes that are not plugins.
const (
	CauseExpiry    Cause = "expiry"    // expired attributes are deleted
	CauseRetention Cause = "retention" // old objects are deleted
	CauseErasure   Cause = "erasure"   // objects are erased
)

// causePlugin is the start of the causes of plugins.
const causePlugin = "plugin:"

// PluginCause returns the cause of what a plugin does.
func PluginCause(name string) Cause { return Cause(causePlugin + name) }

// Plugin returns the name of the plugin, or "" if the cause is not a plugin.
func (c Cause) Plugin() string {
	name, ok := strings.CutPrefix(string(c), causePlugin)
	if !ok {
		return ""
	}
	return name
}

type causeKey struct{}

// WithCause returns a context for the writes and matches that c makes.
func WithCause(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, c)
}

// CauseOf returns the cause of the writes and matches of a context.
func CauseOf(ctx context.Context) Cause {
	c, _ := ctx.Value(causeKey{}).(Cause)
	return c
}
