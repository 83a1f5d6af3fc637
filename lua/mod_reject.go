package lua

import (
	"errors"
	"fmt"
	"math"

	"nearside/lua/vm"
	"nearside/matcher"
)

// maxRejectDetail bounds the detail of a rejection, in bytes.
const maxRejectDetail = 1024

// rejection is what ns.reject returns: the decision of a prefilter not to
// answer a request.
type rejection struct {
	status int
	detail string
}

var rejectionClass = &vm.Class{
	Name: "Rejection", Doc: "A decision not to answer a request: return it from prefilter.",
	Fields: []vm.Value{
		{Name: "status", Type: "integer", Doc: "The HTTP status.", Get: func(c *vm.Call) any { return c.Self().(*rejection).status }},
		{Name: "detail", Type: "string", Doc: "The detail.", Get: func(c *vm.Call) any { return c.Self().(*rejection).detail }},
	},
}

// rejectModule is ns.reject.
func rejectModule() vm.Module {
	return vm.Module{
		Classes: []*vm.Class{rejectionClass},
		Functions: []vm.Function{{
			Name: "reject", Params: []string{"status: integer", "detail: string"}, Returns: []string{"Rejection"},
			Doc: "Makes a rejection for prefilter to return, or to raise by error: the request is answered with this status (400 to 499), error code 12057 and the detail.",
			Run: func(c *vm.Call) error {
				status := c.Number(1)
				if status != math.Trunc(status) || status < 400 || status > 499 {
					return fmt.Errorf("status: %v is not a whole number from 400 to 499", status)
				}
				detail := c.Text(2)
				if detail == "" || len(detail) > maxRejectDetail {
					return fmt.Errorf("detail: a text of %d bytes; 1 to %d are allowed", len(detail), maxRejectDetail)
				}
				return c.Return(vm.Object{Class: rejectionClass, Value: &rejection{int(status), detail}})
			},
		}},
	}
}

// rejected returns the rejection that v is.
func rejected(v any) (*rejection, bool) {
	o, _ := v.(vm.Object)
	r, ok := o.Value.(*rejection)
	return r, ok
}

// raisedRejection returns the rejection that a call has raised.
func raisedRejection(err error) (*rejection, bool) {
	e, ok := errors.AsType[*vm.Error](err)
	if !ok {
		return nil, false
	}
	return rejected(e.Value)
}

func (r *rejection) err() error { return matcher.Rejected(r.status, r.detail) }
