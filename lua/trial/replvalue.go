package trial

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// replValue returns a value as text, as Lua writes it in a program: {1, 2}, {a = "x"}. A
// function is the word function, and an object is the name of its class. The keys of a table
// are sorted.
func replValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return strconv.Quote(v)
	case *vm.Func:
		return "function"
	case vm.Object:
		return v.Class.Name
	case []any:
		return "{" + strings.Join(replValues(v), ", ") + "}"
	case map[string]any:
		return replTable(v)
	}
	if text, err := goval.ScalarText(v); err == nil {
		return text
	}
	return fmt.Sprint(v)
}

// replValues returns values as texts.
func replValues(all []any) []string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = replValue(v)
	}
	return texts
}

// plainKey matches a key that needs no quotes.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// replTable returns a table as text.
func replTable(table map[string]any) string {
	fields := make([]string, 0, len(table))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		name := key
		if !plainKey.MatchString(key) {
			name = "[" + strconv.Quote(key) + "]"
		}
		fields = append(fields, name+" = "+replValue(table[key]))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}
