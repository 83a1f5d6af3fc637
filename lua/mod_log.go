package lua

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

	"nearside/lua/vm"
)

// logUnits is what a message is charged as, in units of work.
const logUnits = 200

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
				message, fields := c.Text(1), c.Map(2)
				c.Charge(logUnits + 20*len(fields))
				self(c).write(l.level, message, fields)
				return nil
			},
		})
	}
	return m
}

// Bounds of the fields of a message.
const (
	maxLogFields = 32
	maxLogKey    = 64   // bytes
	maxLogField  = 4096 // bytes of a value; of a table: as JSON
)

// hostKeys are the attributes that the host writes itself: handlers would
// write a plugin's under the same name beside or over them.
var hostKeys = []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "plugin"}

// logKey is the name under which a field is written: the host's own get the
// prefix "field_", and so does a field that begins with it, so that no two
// fields meet.
func logKey(key string) string {
	key = strings.ToValidUTF8(key[:min(len(key), maxLogKey)], "?")
	if key == "" || strings.HasPrefix(key, fieldPrefix) || slices.Contains(hostKeys, strings.ToLower(key)) {
		return fieldPrefix + key
	}
	return key
}

const fieldPrefix = "field_"

// cutText cuts a text to n bytes, at the begin of a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

func (in *instance) write(level slog.Level, message string, fields map[string]any) {
	keys := slices.Sorted(maps.Keys(fields))
	attrs := make([]slog.Attr, 0, min(len(keys), maxLogFields)+1)
	for _, key := range keys[:min(len(keys), maxLogFields)] {
		attrs = append(attrs, slog.Any(logKey(key), logField(fields[key])))
	}
	if left := len(keys) - len(attrs); left > 0 {
		attrs = append(attrs, slog.Int("fields_left_out", left))
	}
	in.plugin.log.LogAttrs(context.Background(), level, cutText(message, maxLogText), attrs...)
}

// A logTable is the JSON of a table: a log of JSON has it as it is, other ones
// as a text.
type logTable string

// MarshalJSON implements [json.Marshaler].
func (t logTable) MarshalJSON() ([]byte, error) { return []byte(t), nil }

// MarshalText implements [encoding.TextMarshaler].
func (t logTable) MarshalText() ([]byte, error) { return []byte(t), nil }

// logField is a field's value. Texts are cut. A table is JSON, or a text with
// the begin of it when it is too long.
func logField(v any) any {
	switch v := v.(type) {
	case string:
		return cutText(v, maxLogField)
	case []any, map[string]any:
		if jsonLength(v) > 4*maxLogField {
			return "(a table that is too large for the log)"
		}
		text, err := encodeJSON(logValue(v))
		if err != nil {
			return "(" + err.Error() + ")"
		}
		if len(text) > maxLogField {
			return cutText(string(text), maxLogField)
		}
		return logTable(text)
	}
	return logValue(v)
}

// logValue is a script's value as the log shows it: json.null as null, an
// empty table as {}, and as text what JSON cannot show.
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
