package lua

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"nearside/lua/vm"
)

// maxTrialLines bounds what a test can look back on.
const maxTrialLines = 10_000

// A trialLog keeps what a plugin logs.
type trialLog struct {
	mu    sync.Mutex
	lines []any // {level, message, fields}
}

func (l *trialLog) logger() *slog.Logger { return slog.New(trialHandler{log: l}) }

func (l *trialLog) all() []any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]any{}, l.lines...)
}

// trialHandler implements [slog.Handler].
type trialHandler struct {
	log *trialLog
	own bool // of a logger that names the plugin: what the host has to say is left out
}

func (trialHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h trialHandler) Handle(_ context.Context, r slog.Record) error {
	if !h.own {
		return nil
	}
	fields := map[string]any{}
	r.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.Any().(type) {
		case json.Number:
			fields[a.Key] = vm.Integer(v)
		case logTable:
			fields[a.Key] = decoded(func() any { return json.RawMessage(v) })()
		default:
			fields[a.Key] = v
		}
		return true
	})
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if len(h.log.lines) < maxTrialLines {
		h.log.lines = append(h.log.lines, map[string]any{"level": r.Level.String(), "message": r.Message, "fields": fields})
	}
	return nil
}

// WithAttrs is how the host names the plugin.
func (h trialHandler) WithAttrs([]slog.Attr) slog.Handler { return trialHandler{h.log, true} }
func (h trialHandler) WithGroup(string) slog.Handler      { return h }
