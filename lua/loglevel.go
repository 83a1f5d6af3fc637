package lua

import (
	"context"
	"log/slog"
)

// levelHandler is a handler of a log with a level of its own, which may be below that of the
// log.
type levelHandler struct {
	slog.Handler
	level slog.Level
}

// Enabled implements [slog.Handler].
func (h levelHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithAttrs implements [slog.Handler].
func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup implements [slog.Handler].
func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.Handler.WithGroup(name), h.level}
}

// logOf returns the log of a plugin.
func (h *Host) logOf(name string) *slog.Logger {
	log := h.o.Log
	if o := h.o.Override[name]; o != nil && o.Log != nil {
		log = slog.New(levelHandler{log.Handler(), *o.Log})
	}
	return log.With(slog.String("plugin", name))
}
