package ns

import (
	"errors"
	"fmt"
	"slices"

	"nearside/lua/vm"
)

// Hinted checks the outcome of a plugin's function. If it looks like a misplaced
// attempt to reject the request, Hinted returns an error with a hint. Otherwise it
// returns err. hook is the name of the hook, or "" for another function.
func Hinted(hook string, results []any, err error) error {
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

func misplaced(r *Rejection, how string) error {
	return fmt.Errorf("ns.reject(%d, %q) was %s here, and works only in prefilter; a route returns its status and body, as in: return %d, %q", r.status, r.detail, how, r.status, r.detail)
}
