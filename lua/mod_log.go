package lua

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
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
		attrs = append(attrs, slog.Any(key, logValue(fields[key])))
	}
	in.plugin.log.LogAttrs(context.Background(), level, message, attrs...)
}

// logValue is a script's value as the log shows it: json.null as null, an
// empty table as {}, and as text what JSON cannot show.
func logValue(v any) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		return v
	case vm.Null:
		return nil
	case vm.Empty:
		return map[string]any{}
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = logValue(item)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, item := range v {
			m[key] = logValue(item)
		}
		return m
	case *vm.Func:
		return "function"
	case vm.Object:
		return v.Class.Name
	}
	return fmt.Sprintf("%T", v)
}
