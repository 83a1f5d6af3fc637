package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"

	"nearside/internal/config"
)

// logFormat returns the format of a log to w: auto is text on a terminal and
// json elsewhere.
func logFormat(w io.Writer, format string) string {
	switch {
	case format != "auto":
		return format
	case isTerminal(w):
		return "text"
	}
	return "json"
}

// newLogger returns a logger to w and its level, which can be changed while the logger
// is in use. Text has colours only on a terminal.
func newLogger(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(c.Level)
	terminal := isTerminal(w)
	if logFormat(w, c.Format) == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), level
	}
	format := time.RFC3339
	if terminal {
		format = time.TimeOnly // somebody reads the log right away, so the date is not needed
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: format, NoColor: !terminal})), level
}
