package trial

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// maxTrialLines is the maximum number of log lines that a test can inspect.
const maxTrialLines = 10_000

// A testLog keeps the log lines of a plugin.
type testLog struct {
	mu    sync.Mutex
	lines []any // {level, message, fields}
}

func (l *testLog) logger() *slog.Logger { return slog.New(logHandler{log: l}) }

func (l *testLog) all() []any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]any{}, l.lines...)
}

// logHandler implements [slog.Handler].
type logHandler struct {
	log *testLog
	own bool // the logger is that of the plugin; lines of the host are left out
}

func (logHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	if !h.own {
		return nil
	}
	fields := map[string]any{}
	r.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.Any().(type) {
		case json.Number:
			fields[a.Key] = vm.Integer(v)
		case ns.LogTable:
			fields[a.Key] = goval.Decoded(json.RawMessage(v))
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

// WithAttrs implements [slog.Handler]. The host calls it to add the plugin's name, so
// the result is the handler of a plugin.
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler { return logHandler{h.log, true} }
func (h logHandler) WithGroup(string) slog.Handler      { return h }
