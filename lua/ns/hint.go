package ns

import (
	"errors"
	"fmt"
	"slices"

	"nearside/lua/vm"
)

// WithHint checks the outcome of a plugin's function: its results, or err. If it looks
// like an attempt to reject the request where that is not possible, WithHint returns an
// error with a hint. Otherwise it returns err. hook is the name of the hook, or "" for
// another function.
func WithHint(hook string, results []any, err error) error {
	if err == nil {
		if len(results) == 0 || hook == "prefilter" {
			return nil
		}
		if r, ok := Rejected(results[0]); ok {
			return misplaced(r, "returned")
		}
		return nil
	}
	if r, ok := RaisedRejection(err); ok {
		if hook == "prefilter" {
			return err
		}
		return fmt.Errorf("%w: %w", err, misplaced(r, "raised"))
	}
	e, ok := errors.AsType[*vm.Error](err)
	if !ok || !slices.Contains([]string{"cost", "prefilter", "match"}, hook) {
		return err
	}
	fields, _ := e.Value.(map[string]any)
	if status, ok := fields["status"].(float64); ok {
		return fmt.Errorf("%w; a raised table is a failure of the plugin: to answer the request with a status, return ns.reject(%v, detail) from prefilter", err, status)
	}
	return err
}

// misplaced returns the error for a rejection outside of prefilter. how is "returned" or
// "raised".
func misplaced(r *Rejection, how string) error {
	return fmt.Errorf("ns.reject(%d, %q) was %s here, but works only in prefilter; a route returns its status and body, as in: return %d, %q", r.status, r.detail, how, r.status, r.detail)
}
