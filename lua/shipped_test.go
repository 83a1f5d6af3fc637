package lua

import (
	"testing"
	"time"

	"nearside/plugins"
)

// TestShipped: the plugins that ship have no fault, pass their own tests, and
// can be measured.
func TestShipped(t *testing.T) {
	o := Options{Shipped: plugins.Files}
	all, err := List(t.Context(), o)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	settings := map[string]any{
		"redis_ingest":    map[string]any{"list_id": "11111111-0000-4000-8000-000000000000"},
		"watchlist_alert": map[string]any{"url": "http://hook/"},
	}
	for _, l := range all {
		t.Run(l.Name, func(t *testing.T) {
			if l.Fault != "" || !l.Shipped || l.Version == "" {
				t.Errorf("%+v", l)
			}
			if err := Check(t.Context(), o, l.Name); err != nil {
				t.Error(err)
			}
			tests := 0
			err := Test(t.Context(), o, l.Name, func(r TestResult) {
				tests++
				if r.Fault != "" {
					t.Errorf("%s: %s", r.Name, r.Fault)
				}
			})
			if err != nil || tests < 3 {
				t.Errorf("%d tests, %v", tests, err)
			}
			if _, err := Measure(t.Context(), Options{Shipped: plugins.Files, Settings: settings}, l.Name, 100, time.Nanosecond); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEmptyLists: {} in a schema or in settings is a list where one is wanted.
func TestEmptyLists(t *testing.T) {
	schema := map[string]any{"type": "object", "properties": map[string]any{
		"a": map[string]any{"type": "array", "default": map[string]any{}}, "o": map[string]any{"type": "object", "default": map[string]any{}},
	}}
	got, err := applySchema(schema, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	if list, ok := got["a"].([]any); !ok || len(list) != 0 {
		t.Errorf("%#v", got)
	}
	if _, ok := got["o"].([]any); ok {
		t.Errorf("%#v", got)
	}
}
