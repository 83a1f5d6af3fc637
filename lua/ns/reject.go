package ns

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"nearside/lua/vm"
	"nearside/matcher"
)

// maxRejectDetail is the maximum length of a rejection's detail, in bytes.
const maxRejectDetail = 1024

// Rejection is the result of ns.reject: the decision of a hook to reject a request.
type Rejection struct {
	status int
	detail string
}

var rejectionClass = &vm.Class{
	Name: "Rejection", Doc: "The decision to reject a request. Return it from prefilter or request.",
	Fields: []vm.Value{
		{Name: "status", Type: "integer", Doc: "The HTTP status.", Get: func(c *vm.Call) any { return c.Self().(*Rejection).status }},
		{Name: "detail", Type: "string", Doc: "The detail in the answer.", Get: func(c *vm.Call) any { return c.Self().(*Rejection).detail }},
	},
}

// rejectModule is ns.reject.
func rejectModule() vm.Module {
	return vm.Module{
		Classes: []*vm.Class{rejectionClass},
		Functions: []vm.Function{{
			Name: "reject", Params: []string{"status: integer", "detail: string"}, Returns: []string{"Rejection"},
			Doc: "Returns a rejection. If prefilter or request returns it, or raises it with error(), the request is answered with this status (400 to 499), error code 12057 and the detail.",
			Run: func(c *vm.Call) error {
				status := c.Number(1)
				if status != math.Trunc(status) || status < 400 || status > 499 {
					return fmt.Errorf("status: %v is not a whole number from 400 to 499", status)
				}
				detail := c.Text(2)
				if detail == "" || len(detail) > maxRejectDetail {
					return fmt.Errorf("detail: must have 1 to %d bytes, got %d", maxRejectDetail, len(detail))
				}
				return c.Return(vm.Object{Class: rejectionClass, Value: &Rejection{int(status), detail}})
			},
		}},
	}
}

// Rejected returns v as a rejection, and whether it is one.
func Rejected(v any) (*Rejection, bool) {
	o, _ := v.(vm.Object)
	r, ok := o.Value.(*Rejection)
	return r, ok
}

// RaisedRejection returns the rejection that a call has raised, if any.
func RaisedRejection(err error) (*Rejection, bool) {
	e, ok := errors.AsType[*vm.Error](err)
	if !ok {
		return nil, false
	}
	return Rejected(e.Value)
}

// Err returns the error with which the request is answered.
func (r *Rejection) Err() error { return matcher.Rejected(r.status, r.detail) }

// WithHint checks the outcome of a plugin's function: its results, or err. If it looks
// like an attempt to reject the request where that is not possible, WithHint returns an
// error with a hint. Otherwise it returns err. hook is the name of the hook, or "" for
// another function.
func WithHint(hook string, results []any, err error) error {
	if err == nil {
		if len(results) == 0 || CanReject(hook) {
			return nil
		}
		if r, ok := Rejected(results[0]); ok {
			return misplaced(r, "returned")
		}
		return nil
	}
	if r, ok := RaisedRejection(err); ok {
		if CanReject(hook) {
			return err
		}
		return fmt.Errorf("%w: %w", err, misplaced(r, "raised"))
	}
	e, ok := errors.AsType[*vm.Error](err)
	if !ok || !slices.Contains([]string{"request", "cost", "prefilter", "match", "results"}, hook) {
		return err
	}
	fields, _ := e.Value.(map[string]any)
	if status, ok := fields["status"].(float64); ok {
		return fmt.Errorf("%w; a raised table is a failure of the plugin: to answer the request with a status, return ns.reject(%v, detail) from prefilter or request", err, status)
	}
	return err
}

// CanReject reports whether a hook can reject the request with ns.reject.
func CanReject(hook string) bool { return hook == "prefilter" || hook == "request" }

// misplaced returns the error for a rejection where it is not possible. how is "returned" or
// "raised".
func misplaced(r *Rejection, how string) error {
	return fmt.Errorf("ns.reject(%d, %q) was %s here, but works only in prefilter and request; a route returns its status and body, as in: return %d, %q", r.status, r.detail, how, r.status, r.detail)
}
