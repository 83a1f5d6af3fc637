package ns

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// A HookRequest is the Go value of the argument req of the hooks cost, prefilter, match and
// results (docs/plugins-contract.md, Matching). It describes a candidate set and the result
// that the plugin should return. It can be used until End.
type HookRequest struct {
	hook    string
	request atomic.Pointer[hookedRequest] // nil: the hook has ended
}

// hookedRequest is what a HookRequest holds during its hook.
type hookedRequest struct {
	ctx       context.Context
	sub       *matcher.SubRequest
	reference bool // whether the script may read the reference
}

// NewHookRequest returns the request for a hook of a matching plugin. The caller must call
// End after the hook.
func NewHookRequest(ctx context.Context, hook string, sub *matcher.SubRequest) *HookRequest {
	h := &HookRequest{hook: hook}
	h.request.Store(&hookedRequest{ctx, sub, hook == "match" || hook == "results"})
	return h
}

// Object returns h for the script.
func (h *HookRequest) Object() vm.Object { return vm.Object{Class: requestClass, Value: h} }

// End makes further uses an error. A script that keeps h does not keep the request, whose
// bytes do not count as memory of the plugin.
func (h *HookRequest) End() { h.request.Store(nil) }

// during returns the request. It returns an error after the hook has ended.
func (h *HookRequest) during() (*hookedRequest, error) {
	r := h.request.Load()
	if r == nil {
		return nil, fmt.Errorf("req cannot be used after the hook %s has ended", h.hook)
	}
	return r, nil
}

// requestField returns a field of the class Request.
func requestField(name, kind, doc string, get func(r *hookedRequest) any) vm.Value {
	return vm.Value{Name: name, Type: kind, Doc: doc, Direct: true, Get: func(c *vm.Call) any {
		r, err := c.Self().(*HookRequest).during()
		if err != nil {
			return err
		}
		return get(r)
	}}
}

var requestClass = &vm.Class{
	Name: "Request", Doc: "The argument req of the hooks of a matching plugin: a candidate set, and the result that the request asks for.",
	Fields: []vm.Value{
		requestField("origin", "string", "The kind of the objects: faces, events or attributes.", func(r *hookedRequest) any { return r.sub.Candidates.Origin.String() }),
		requestField("filters", "table", "The filters of the candidate set, with their names in requests.", func(r *hookedRequest) any {
			return wire.FilterValues(r.sub.Candidates.Origin, &r.sub.Candidates.Filter)
		}),
		requestField("limit", "integer", "The maximum number of rows in the answer.", func(r *hookedRequest) any { return r.sub.Candidates.Limit }),
		requestField("threshold", "number", "The minimum similarity.", func(r *hookedRequest) any { return r.sub.Candidates.Threshold }),
		requestField("order", "string", "The order of the rows: similarity, create_time_asc or create_time_desc.", func(r *hookedRequest) any { return r.sub.Candidates.Order.String() }),
		requestField("group", "table?", "{by, size}: the field by which the answer is grouped, and the maximum number of rows of a group; nil: it is not grouped.", func(r *hookedRequest) any {
			if g := r.sub.Candidates.Group; g != nil {
				return map[string]any{"by": g.By.Name, "size": g.Size}
			}
			return nil
		}),
		requestField("offset", "integer", "The number of rows, or of groups, that the answer skips.", func(r *hookedRequest) any { return r.sub.Candidates.Offset }),
		requestField("count", "boolean", "Whether the answer has the number of all rows, or groups, that pass.", func(r *hookedRequest) any { return r.sub.Candidates.Count }),
		requestField("exclude_self", "boolean", "Whether the answer leaves out the object of the reference.", func(r *hookedRequest) any { return r.sub.Candidates.ExcludeSelf }),
		requestField("targets", "string[]?", "The fields of the rows in the answer; nil: all.", func(r *hookedRequest) any {
			if r.sub.Candidates.Targets == nil {
				return nil
			}
			return r.sub.Candidates.Targets
		}),
		requestField("descriptor_type", "string", "The type of the descriptors: face or body.", func(r *hookedRequest) any { return r.sub.Version.Type.String() }),
		requestField("version", "integer", "The version of the descriptors that are compared.", func(r *hookedRequest) any { return int(r.sub.Version.Number) }),
		requestField("account_id", "string?", "If set, only objects of this account are visible.", func(r *hookedRequest) any {
			if r.sub.Account == nil {
				return nil
			}
			return r.sub.Account.String()
		}),
		requestField("key", "string?", "The name of the caller's key; nil: there is none.", func(r *hookedRequest) any { return textOrNil(r.sub.Key) }),
		requestField("route", "string", "The route, as in metrics: POST:/matcher/faces.", func(r *hookedRequest) any { return r.sub.Route }),
		requestField("request_id", "string", "The id of the HTTP request.", func(r *hookedRequest) any { return r.sub.RequestID }),
		requestField("deadline_ms", "number?", "Milliseconds until the deadline of the request; nil: no deadline.", func(r *hookedRequest) any { return millisecondsLeft(r.ctx) }),
		requestField("reference", "table?", "In match and results, {type, id, version} of the reference; else nil.", func(r *hookedRequest) any {
			if !r.reference {
				return nil
			}
			return map[string]any{"type": string(r.sub.Reference.Type), "id": r.sub.Reference.ID, "version": int(r.sub.Version.Number)}
		}),
	},
	Methods: []vm.Function{{
		Name: "descriptor", Returns: []string{"string"}, Doc: "Returns the bytes of the reference's descriptor. Only in match and results. It is empty for references of type together, and in results for references of a remote.",
		Run: func(c *vm.Call) error {
			r, err := c.Self().(*HookRequest).during()
			if err != nil {
				return err
			}
			if !r.reference {
				return errors.New("the reference is available only in match and results")
			}
			return c.Return(r.sub.Reference.Descriptor.Data)
		},
	}},
}

// RowsMax is the maximum number of rows that a match may return.
const RowsMax = 100_000

// RowIDs reads the ids from the result of a match, a list of {id = "uuid", ...}.
func RowIDs(value any) ([]matcher.ID, error) {
	if _, ok := value.(vm.Empty); ok {
		return nil, nil
	}
	rows, ok := value.([]any)
	if !ok {
		return nil, errors.New("the result must be a list of rows {id = ...}")
	}
	if len(rows) > RowsMax {
		return nil, fmt.Errorf("the result must have at most %d rows, got %d", RowsMax, len(rows))
	}
	ids := make([]matcher.ID, len(rows))
	for i, row := range rows {
		fields, _ := row.(map[string]any)
		text, ok := fields["id"].(string)
		if !ok {
			return nil, fmt.Errorf("row %d has no id that is a string", i+1)
		}
		id, err := matcher.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("row %d: id: %w", i+1, err)
		}
		ids[i] = id
	}
	return ids, nil
}
