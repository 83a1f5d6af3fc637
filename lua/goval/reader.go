package goval

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"nearside/lua/vm"
)

// A Reader reads the fields of a table. It collects the faults, so that a caller
// can report all of them at once.
type Reader struct {
	Map    map[string]any
	Path   string // the prefix of field names in faults, such as "options."
	Faults []error
}

// Fault records a fault in a field.
func (r *Reader) Fault(field, format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Errorf("%s%s: "+format, append([]any{r.Path, field}, args...)...))
}

// Text returns a string field, or fallback if the field is missing or invalid.
func (r *Reader) Text(field, fallback string) string {
	switch v := r.Map[field].(type) {
	case nil:
		return fallback
	case string:
		return v
	default:
		r.Fault(field, "%v is not a text", v)
		return fallback
	}
}

// Boolean returns a boolean field, or fallback if the field is missing or invalid.
func (r *Reader) Boolean(field string, fallback bool) bool {
	switch v := r.Map[field].(type) {
	case nil:
		return fallback
	case bool:
		return v
	default:
		r.Fault(field, "%v is not true or false", v)
		return fallback
	}
}

// Number returns a number from low to high, or fallback if the field is missing or
// invalid.
func (r *Reader) Number(field string, fallback, low, high float64) float64 {
	switch v := r.Map[field].(type) {
	case nil:
		return fallback
	case float64:
		if v >= low && v <= high {
			return v
		}
	}
	r.Fault(field, "%s is not a number from %s to %s", Describe(r.Map[field]), Describe(low), Describe(high))
	return fallback
}

// Whole returns an integer from low to high, or fallback if the field is missing or
// invalid.
func (r *Reader) Whole(field string, fallback, low, high int) int {
	switch v := r.Map[field].(type) {
	case nil:
		return fallback
	case float64:
		if v == math.Trunc(v) && v >= float64(low) && v <= float64(high) {
			return int(v)
		}
	}
	r.Fault(field, "%s is not a whole number from %d to %d", Describe(r.Map[field]), low, high)
	return fallback
}

// Texts returns a field that is a list of distinct strings. If allowed is not nil, each
// string must be in it.
func (r *Reader) Texts(field string, allowed []string) []string {
	var out []string
	for i, item := range r.List(field) {
		text, ok := item.(string)
		switch {
		case !ok:
			r.Fault(field, "[%d]: %v is not a text", i+1, item)
		case allowed != nil && !slices.Contains(allowed, text):
			r.Fault(field, "[%d]: %q is not one of %q%s", i+1, text, allowed, DidYouMean(text, allowed))
		case slices.Contains(out, text):
			r.Fault(field, "[%d]: %q is listed twice", i+1, text)
		default:
			out = append(out, text)
		}
	}
	return out
}

// List returns a field that is a list, or nil if the field is missing, invalid or an
// empty table.
func (r *Reader) List(field string) []any {
	switch v := r.Map[field].(type) {
	case nil, vm.Empty:
	case []any:
		return v
	default:
		r.Fault(field, "is not a list")
	}
	return nil
}

// Table returns a field that is a table with string keys, or nil if the field is missing,
// invalid or an empty table.
func (r *Reader) Table(field string) map[string]any {
	switch v := r.Map[field].(type) {
	case nil, vm.Empty:
	case map[string]any:
		return v
	default:
		r.Fault(field, "is not a table with string keys")
	}
	return nil
}

// RefuseUnknown records a fault for each field that is not in names.
func (r *Reader) RefuseUnknown(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(r.Map)) {
		if !slices.Contains(names, name) {
			r.Fault(name, "is unknown; the known names are %q%s", names, DidYouMean(name, names))
		}
	}
}
