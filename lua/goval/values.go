package goval

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"nearside/lua/vm"
)

// Clone returns a deep copy of v, in which vm.Empty has become an empty map.
func Clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, item := range v {
			m[k] = Clone(item)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = Clone(item)
		}
		return list
	case vm.Empty:
		return map[string]any{}
	}
	return v
}

// ScalarText returns a string, number or boolean as text. It returns an error for
// other types.
func ScalarText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, float64, vm.Integer:
		text, err := EncodeJSON(v)
		return string(text), err
	}
	return "", errors.New("must be a string, number or boolean")
}

// Shorten cuts a string to 64 bytes, for quoting in an error.
func Shorten(s string) string { return s[:min(len(s), 64)] }

// Describe returns a value of a script for an error: nothing, text "x", a list, 12.
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("text %q", Shorten(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e16 {
			return strconv.FormatFloat(v, 'f', -1, 64) // not 1e+06
		}
	case []any:
		return "a list"
	case map[string]any, vm.Empty:
		return "a table"
	case vm.Null:
		return "null"
	case *vm.Func:
		return "a function"
	case vm.Object:
		return v.Class.Name
	}
	return fmt.Sprint(v)
}
