package lua

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"nearside/lua/vm"
)

// maxLogText bounds a message, in bytes; the rest is cut off.
const maxLogText = 8192

// logModule writes to the host's log, with the plugin's name.
func logModule() vm.Module {
	m := vm.Module{Name: "log", Doc: "Messages in the host's log."}
	for _, l := range []struct {
		name  string
		level slog.Level
	}{{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}} {
		m.Functions = append(m.Functions, vm.Function{
			Name: l.name, Params: []string{"message: string", "fields?: table<string, any>"},
			Doc: "Logs a message of level " + l.name + ".",
			Run: func(c *vm.Call) error {
				self(c).write(l.level, c.Text(1), c.Map(2))
				return nil
			},
		})
	}
	return m
}

func (in *instance) write(level slog.Level, message string, fields map[string]any) {
	if len(message) > maxLogText {
		message = message[:maxLogText] + "..."
	}
	attrs := make([]slog.Attr, 0, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		attrs = append(attrs, slog.Any(key, fields[key]))
	}
	in.plugin.log.LogAttrs(context.Background(), level, message, attrs...)
}
