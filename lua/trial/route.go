package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"

	"nearside/lua"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
)

// trialRequestRoute sends a request to a route of the plugin.
func trialRequestRoute(c *vm.Call, t *trial, p *lua.Probe) error {
	o := &goval.Reader{Map: c.Map(3), Path: "options."}
	r, err := readRouteRequest(o)
	if err != nil {
		return err
	}
	r.Method, r.RawPath = c.Text(1), "/"+p.Name()+c.Text(2)
	if r.Path, err = url.PathUnescape(r.RawPath); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	out := &pieces{left: o.Whole("leave_after", math.MaxInt32, 0, math.MaxInt32)}
	r.Stream = out
	if err := errors.Join(o.Faults...); err != nil {
		return err
	}
	var response lua.Response
	err = c.Wait(func(ctx context.Context) error {
		return t.runUntilIdle(ctx, func(ctx context.Context) (err error) {
			response, err = p.Host().Serve(ctx, r)
			return err
		})
	})
	if err != nil {
		return err
	}
	result := map[string]any{"status": response.Status, "headers": response.Headers, "body": response.Body}
	if response.Streamed {
		response.Body = slices.Concat(out.all...)
		result = map[string]any{"status": out.status, "headers": out.headers, "body": response.Body, "pieces": out.texts()}
	}
	if r.Method == http.MethodHead {
		result["body"], result["pieces"], response.Body = "", nil, nil
	}
	if v, err := goval.DecodeJSON(response.Body); err == nil {
		result["json"] = v
	}
	return c.Return(result)
}

// readRouteRequest reads the options of a request. It records most faults in o.
func readRouteRequest(o *goval.Reader) (lua.Request, error) {
	o.RefuseUnknown("query", "headers", "body", "json", "account_id", "key", "bound", "role", "leave_after")
	r := lua.Request{Headers: map[string]string{}, Body: []byte(o.Text("body", "")), Key: o.Text("key", "")}
	if v, ok := o.Map["json"]; ok {
		text, err := goval.EncodeJSON(v)
		if err != nil {
			return r, fmt.Errorf("options.json: %w", err)
		}
		r.Body, r.Headers["content-type"] = text, "application/json"
	}
	if bound := o.Table("bound"); bound != nil {
		b := &goval.Reader{Map: bound, Path: "options.bound."}
		b.RefuseUnknown("account_id", "lists")
		o.Faults = append(o.Faults, b.Faults...)
		r.Bound = bound
	}
	r.Query = readQuery(o, "query")
	account, err := trialAccount(o.Map)
	if err != nil {
		return r, fmt.Errorf("options.%w", err)
	}
	if account != nil {
		r.Query["account_id"] = []string{account.String()}
	}
	if role := o.Text("role", ""); role != "" {
		if !slices.Contains(ns.Roles, role) {
			o.Fault("role", "%q is not one of %q%s", role, ns.Roles, goval.DidYouMean(role, ns.Roles))
		}
		r.Allow = func(needed string) error { return checkRole(role, needed) }
	}
	maps.Copy(r.Headers, readScalars(o, "headers"))
	return r, nil
}

// checkRole returns the error of a server if a key with this role may not use a route.
func checkRole(role, needed string) error {
	if slices.Index(ns.Roles, role) >= slices.Index(ns.Roles, needed) {
		return nil
	}
	return matcher.Errorf(matcher.CodeForbidden, "the route needs a key with the role %s, got %s", needed, role)
}

// errLeft is the error of a client that has left.
var errLeft = errors.New("the client of the test has left")

// pieces is the client of a request that is answered in pieces. It implements
// [ns.AnswerStream].
type pieces struct {
	status  int
	headers map[string]string
	all     [][]byte
	left    int // the number of pieces that the client still reads
}

func (p *pieces) Begin(status int, headers map[string]string) { p.status, p.headers = status, headers }

func (p *pieces) Write(piece []byte) error {
	if p.left == 0 {
		return errLeft
	}
	p.left--
	p.all = append(p.all, slices.Clone(piece))
	return nil
}

func (p *pieces) texts() []string {
	texts := make([]string, len(p.all))
	for i, piece := range p.all {
		texts[i] = string(piece)
	}
	return texts
}

// readScalars reads an option that is a table of texts, numbers and booleans.
func readScalars(r *goval.Reader, field string) map[string]string {
	out := map[string]string{}
	for name, v := range r.Table(field) {
		text, err := goval.ScalarText(v)
		if err != nil {
			r.Fault(field+"."+name, "%w", err)
		}
		out[name] = text
	}
	return out
}

// readQuery reads an option that is a table of texts, numbers and booleans. A list is a
// key that is repeated.
func readQuery(r *goval.Reader, field string) map[string][]string {
	query := map[string][]string{}
	for name, v := range r.Table(field) {
		values, isList := v.([]any)
		if !isList {
			values = []any{v}
		}
		for _, v := range values {
			text, err := goval.ScalarText(v)
			if err != nil {
				r.Fault(field+"."+name, "%w", err)
			}
			query[name] = append(query[name], text)
		}
	}
	return query
}
