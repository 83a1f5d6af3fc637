package ns

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// logUnits is the charge for a message, in units of work.
const logUnits = 200

// maxLogText is the maximum length of a message, in bytes. Longer ones are cut.
const maxLogText = 8192

// logModule is ns.log. It writes to the host's log, with the plugin's name.
func logModule() vm.Module {
	m := vm.Module{Name: "log", Doc: "Writes messages to the host's log."}
	for _, l := range []struct {
		name  string
		level slog.Level
	}{{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}} {
		m.Functions = append(m.Functions, vm.Function{
			Name: l.name, Params: []string{"message: string", "fields?: table<string, any>"},
			Doc: "Logs a message at level " + l.name + ", with fields.",
			Run: func(c *vm.Call) error {
				message, fields := c.Text(1), c.Map(2)
				c.Charge(logUnits + 20*len(fields))
				self(c).WriteLog(l.level, message, fields)
				return nil
			},
		})
	}
	return m
}

// Limits of the fields of a message.
const (
	maxLogFields = 32
	maxLogKey    = 64   // bytes
	maxLogField  = 4096 // bytes of a value; a table counts as JSON
)

// hostKeys are the attributes that the host writes itself. A plugin's field of the
// same name would duplicate or overwrite them.
var hostKeys = []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "plugin"}

// logKey returns the name of a field in the log. A name that the host uses itself
// gets the prefix "field_". So does a name that already begins with the prefix, so
// that two fields never get the same name.
func logKey(key string) string {
	key = strings.ToValidUTF8(key[:min(len(key), maxLogKey)], "?")
	if key == "" || strings.HasPrefix(key, fieldPrefix) || slices.Contains(hostKeys, strings.ToLower(key)) {
		return fieldPrefix + key
	}
	return key
}

const fieldPrefix = "field_"

// cutText returns s if it has at most n bytes. Otherwise it cuts s to at most n bytes,
// between two characters, and adds "...".
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// WriteLog writes a line to the plugin's log. fields come from the script.
func (in *Instance) WriteLog(level slog.Level, message string, fields map[string]any) {
	keys := slices.Sorted(maps.Keys(fields))
	attrs := make([]slog.Attr, 0, min(len(keys), maxLogFields)+1)
	for _, key := range keys[:min(len(keys), maxLogFields)] {
		attrs = append(attrs, slog.Any(logKey(key), logField(fields[key])))
	}
	if left := len(keys) - len(attrs); left > 0 {
		attrs = append(attrs, slog.Int("fields_left_out", left))
	}
	in.Plugin.Log.LogAttrs(context.Background(), level, cutText(message, maxLogText), attrs...)
}

// Print writes a line of print to the plugin's log.
func (in *Instance) Print(line string) {
	in.WriteLog(slog.LevelInfo, line, nil)
	if printed := in.Plugin.Host.Doubles.Printed; printed != nil {
		printed(line)
	}
}

// A LogTable is a table as JSON. A JSON log contains it as a value, other logs
// contain it as text.
type LogTable string

// MarshalJSON implements [json.Marshaler].
func (t LogTable) MarshalJSON() ([]byte, error) { return []byte(t), nil }

// MarshalText implements [encoding.TextMarshaler].
func (t LogTable) MarshalText() ([]byte, error) { return []byte(t), nil }

// logField converts the value of a field for the log. It cuts long strings. It
// encodes a table as JSON; if that is too long, it returns the beginning as text.
func logField(v any) any {
	switch v := v.(type) {
	case string:
		return cutText(v, maxLogField)
	case []any, map[string]any:
		if jsonLength(v) > 4*maxLogField {
			return "(a table that is too large for the log)"
		}
		text, err := goval.EncodeJSON(logValue(v))
		if err != nil {
			return "(" + err.Error() + ")"
		}
		if len(text) > maxLogField {
			return cutText(string(text), maxLogField)
		}
		return LogTable(text)
	}
	return logValue(v)
}

// logValue converts a script's value for the log. json.null becomes null, an empty
// table becomes {}, and a value that JSON cannot represent becomes text.
func logValue(v any) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case vm.Integer:
		return json.Number(v)
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
