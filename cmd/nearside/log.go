package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"

	"nearside/internal/config"
)

// newLogger returns a logger to w and the level that it obeys, which may be
// set while it is in use. Format auto is text on a terminal, json elsewhere;
// text has colours only on a terminal.
func newLogger(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(c.Level)
	terminal := isTerminal(w)
	if c.Format == "json" || c.Format == "auto" && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), level
	}
	format := time.RFC3339
	if terminal {
		format = time.TimeOnly // somebody is watching
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: format, NoColor: !terminal})), level
}
