package lua

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/lua/vm"
)

// reader reads fields of a table and keeps the faults.
type reader struct {
	m      map[string]any
	at     string
	faults []error
}

func (r *reader) fault(field, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s%s: "+format, append([]any{r.at, field}, args...)...))
}

func (r *reader) text(field, other string) string {
	switch v := r.m[field].(type) {
	case nil:
		return other
	case string:
		return v
	default:
		r.fault(field, "%v is not a text", v)
		return other
	}
}

func (r *reader) boolean(field string, other bool) bool {
	switch v := r.m[field].(type) {
	case nil:
		return other
	case bool:
		return v
	default:
		r.fault(field, "%v is not true or false", v)
		return other
	}
}

func (r *reader) number(field string, other, low, high float64) float64 {
	switch v := r.m[field].(type) {
	case nil:
		return other
	case float64:
		if v >= low && v <= high {
			return v
		}
	}
	r.fault(field, "%v is not a number from %v to %v", r.m[field], low, high)
	return other
}

// texts is a list of texts, each of allowed if that is not nil.
func (r *reader) texts(field string, allowed []string) []string {
	var out []string
	for i, item := range r.list(field) {
		text, ok := item.(string)
		switch {
		case !ok:
			r.fault(field, "[%d]: %v is not a text", i+1, item)
		case allowed != nil && !slices.Contains(allowed, text):
			r.fault(field, "[%d]: %q is not one of %q%s", i+1, text, allowed, didYouMean(text, allowed))
		case slices.Contains(out, text):
			r.fault(field, "[%d]: %q is there twice", i+1, text)
		default:
			out = append(out, text)
		}
	}
	return out
}

func (r *reader) list(field string) []any {
	switch v := r.m[field].(type) {
	case nil, vm.Empty:
	case []any:
		return v
	default:
		r.fault(field, "is not a list")
	}
	return nil
}

func (r *reader) table(field string) map[string]any {
	switch v := r.m[field].(type) {
	case nil, vm.Empty:
	case map[string]any:
		return v
	default:
		r.fault(field, "is not a table with string keys")
	}
	return nil
}

// known refuses other fields.
func (r *reader) known(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(r.m)) {
		if !slices.Contains(names, name) {
			r.fault(name, "is unknown; there are %q%s", names, didYouMean(name, names))
		}
	}
}

// own checks the fields that the contract does not name. Functions begin with
// an underscore, so that no misspelt hook goes unnoticed; other values may have
// any name that does not look like a misspelt one.
func (r *reader) own() {
	for _, name := range slices.Sorted(maps.Keys(r.m)) {
		if strings.HasPrefix(name, "_") || slices.Contains(contractNames, name) {
			continue
		}
		if _, isFunction := r.m[name].(*vm.Func); isFunction {
			r.fault(name, "a function of this name is no hook and would never run; functions of your own are local or begin with an underscore%s",
				didYouMean(name, hookNames))
		} else if misspelt(name, contractNames) {
			r.fault(name, "is unknown; a field of your own has a name less like those of the contract, or begins with an underscore%s", didYouMean(name, contractNames))
		}
	}
}

// inherited refuses what only a metatable gives: the host reads the tables
// themselves, so that an inherited hook would never run.
func (r *reader) inherited(paths []string) {
	for _, path := range paths {
		if field, nested := strings.CutSuffix(path, ".*"); nested {
			r.fault(field, "has a metatable with __index, which is not read: write the fields into the table itself")
		} else {
			r.fault(path, "is inherited through a metatable, which is not read: copy it with ns.extend(Base, M)")
		}
	}
}
