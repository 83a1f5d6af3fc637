package lua

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/lua/vm"
	"nearside/matcher/wire"
)

// TestEmptyTables: an empty Lua table in a schema, in a default or in settings becomes the
// list or the object that the schema needs there. The same holds for the answer that shows
// the schema.
func TestEmptyTables(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`
M.schema = {
  type = "object", required = {}, examples = {}, ["$defs"] = {}, dependentRequired = {list = {}},
  properties = {
    list = {type = "array", items = {}, default = {}}, object = {type = "object", properties = {}, default = {}},
    some = {anyOf = {{type = "array"}, {type = "null"}}, default = {}}, either = {type = {"array", "object"}, default = {}},
    required = {}, enum = {type = "array", enum = {{}, {1}}, default = {}},
    rows = {type = "array", items = {type = "object", properties = {tags = {type = "array"}}}, default = {{tags = {}}, {}}},
    inner = {type = "object", default = {tags = {}}, properties = {tags = {type = "array", default = {1}}, more = {type = "array", default = {}}}},
    null = {default = ns.json.null}, number = {type = "number", minimum = 0.5, maximum = 9007199254740993, default = 3},
  },
}`), func(o *Options) {
		o.Settings = map[string]any{"p": map[string]any{"extra": map[string]any{}}}
	})
	want := `{
  "type": "object", "required": [], "examples": [], "$defs": {}, "dependentRequired": {"list": []},
  "properties": {
    "list": {"type": "array", "items": {}, "default": []}, "object": {"type": "object", "properties": {}, "default": {}},
    "some": {"anyOf": [{"type": "array"}, {"type": "null"}], "default": []}, "either": {"type": ["array", "object"], "default": {}},
    "required": {}, "enum": {"type": "array", "enum": [[], [1]], "default": []},
    "rows": {"type": "array", "items": {"type": "object", "properties": {"tags": {"type": "array"}}}, "default": [{"tags": []}, {}]},
    "inner": {"type": "object", "default": {"tags": []}, "properties": {"tags": {"type": "array", "default": [1]}, "more": {"type": "array", "default": []}}},
    "null": {"default": null}, "number": {"type": "number", "minimum": 0.5, "maximum": 9007199254740992, "default": 3}
  }
}`
	shown := h.Plugins()[0].Schema
	sameJSON(t, string(wire.AppendValue(nil, wire.JSON, any(shown))), want)
	wire.AppendValue(nil, wire.MessagePack, any(shown)) // panics if it does not know a type
	got, err := json.Marshal(h.current.Load().plugins[0].Settings)
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := json.Unmarshal(got, &settings); err != nil {
		t.Fatal(err)
	}
	delete(settings, "null") // vm.Null exists only in Lua
	list, object := []any{}, map[string]any{}
	if !reflect.DeepEqual(settings, map[string]any{
		"list": list, "object": object, "some": list, "either": object, "enum": list, "number": 3.0, "extra": object,
		"rows": []any{map[string]any{"tags": list}, object}, "inner": map[string]any{"tags": list, "more": list},
	}) {
		t.Errorf("%s", got)
	}
	startHost(t, strings.Replace(luatest.BackgroundPlugin(""), "kinds", `schema = {properties = {a = {type = "array"}}}, kinds`, 1), func(o *Options) {
		o.Settings = map[string]any{"p": map[string]any{"a": vm.Empty{}}} // as tests of plugins pass settings
	})
}

// TestLogValues: every value that a script logs gives a valid log line.
func TestLogValues(t *testing.T) {
	text := &luatest.Lines{Lines: make(chan string, 1)}
	startHost(t, luatest.BackgroundPlugin(`
function M:initialize()
  ns.log.info("values", {null = ns.json.null, empty = {}, list = ns.json.array({}), nested = {a = {ns.json.null, {}}}, nan = {0/0, 1/0}, fn = {print}, n = 1.5})
end`), func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(text, nil)) })
	var line map[string]any
	if err := json.Unmarshal([]byte(text.All()), &line); err != nil {
		t.Fatal(err, text.All())
	}
	for key, want := range map[string]any{
		"null": nil, "empty": map[string]any{}, "list": []any{}, "nested": map[string]any{"a": []any{nil, map[string]any{}}},
		"nan": []any{"NaN", "+Inf"}, "fn": []any{"function"}, "n": 1.5,
	} {
		if got, ok := line[key]; !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
}
