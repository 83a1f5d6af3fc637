package lua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
)

// A Request is a request to a route of a plugin.
type Request struct {
	Method  string
	Path    string              // without the prefix /plugins, as in "/teapot/status"
	Query   map[string][]string // the values of each key, in the order of the query
	Headers map[string]string   // names in lower case
	Body    []byte
	Key     string // the name of the caller's key; empty: none
}

// query returns the query in the form that a handler receives: the last value of each
// key, and all values of each key.
func (r *Request) query() (last map[string]string, all map[string]any) {
	last, all = make(map[string]string, len(r.Query)), make(map[string]any, len(r.Query))
	for key, values := range r.Query {
		last[key], all[key] = values[len(values)-1], values
	}
	return last, all
}

// A Response is the answer of a route's handler.
type Response struct {
	Status  int
	Headers map[string]string
	Body    []byte
	Key     string // the name of the caller's key; empty: none
}

// Serve answers a request for a path of a plugin. Its errors are *matcher.Error with
// CodeNoRoute, CodeMethod, CodeUnavailable, CodeDeadline, or CodeInternal for a fault
// of the plugin.
func (h *Host) Serve(ctx context.Context, r Request) (Response, error) {
	name, path, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	path = "/" + path
	for {
		g := h.current.Load()
		p := g.find(name)
		if p == nil {
			return Response{}, matcher.Errorf(matcher.CodeNoRoute, "path: no plugin %q is active", name)
		}
		if !p.gate.enter() {
			if g == h.current.Load() {
				return Response{}, matcher.Errorf(matcher.CodeUnavailable, "plugin %s is being closed", name)
			}
			continue // a new generation has taken over
		}
		defer p.gate.leave()
		return p.serve(ctx, path, r)
	}
}

// serve answers a request. path is relative to the plugin's own path.
func (p *plugin) serve(ctx context.Context, path string, r Request) (Response, error) {
	if p.degraded.Load() != nil {
		return Response{}, matcher.Errorf(matcher.CodeUnavailable, "plugin %s does not run; %s", p.Name, seeLog)
	}
	methods := p.Routes.Load()[path]
	if methods == nil {
		return Response{}, matcher.Errorf(matcher.CodeNoRoute, "path: plugin %s has no route %q", p.Name, path)
	}
	route, ok := methods[r.Method]
	if !ok {
		allowed := slices.Sorted(maps.Keys(methods))
		return Response{}, matcher.MethodNotAllowed(allowed, "method: %s is not one of %s", r.Method, strings.Join(allowed, ", "))
	}
	handler := route.Next()
	query, queryAll := r.query()
	results, err := handler.In.Call(ctx, p.limits["route"], handler.Fn, map[string]any{
		"method": r.Method, "path": r.Path, "query": query, "query_all": queryAll, "headers": r.Headers, "body": r.Body,
	})
	if err != nil {
		handler.In.Report("route", err)
		if errors.Is(err, vm.ErrTimeout) || ctx.Err() != nil {
			return Response{}, matcher.Errorf(matcher.CodeDeadline, "plugin %s: route: %w", p.Name, p.withhold(err))
		}
		return Response{}, matcher.Errorf(matcher.CodeInternal, "plugin %s: %w", p.Name, err)
	}
	response, err := parseResponse(results)
	if err != nil {
		handler.In.Report("route", err)
		return Response{}, matcher.Errorf(matcher.CodeInternal, "plugin %s: %w", p.Name, err)
	}
	return response, nil
}

// parseResponse reads the results of a handler: status, body, headers. A body that is
// not text is encoded as JSON.
func parseResponse(results []any) (Response, error) {
	results = append(results, nil, nil, nil)
	r := Response{Headers: map[string]string{}}
	status, ok := results[0].(float64)
	if r.Status = int(status); !ok || float64(r.Status) != status || r.Status < 200 || r.Status > 599 {
		return r, fmt.Errorf("the handler's first result, %v, is not a status from 200 to 599", results[0])
	}
	switch body := results[1].(type) {
	case nil:
	case string:
		r.Body = []byte(body)
	default:
		text, err := goval.EncodeJSON(body)
		if err != nil {
			return r, fmt.Errorf("body: %w", err)
		}
		r.Body = text
		r.Headers["content-type"] = "application/json"
	}
	headers, _ := results[2].(map[string]any)
	for name, v := range headers {
		value, ok := v.(string)
		switch {
		case name == "":
			return r, errors.New("headers: a name is empty")
		case !ok:
			return r, fmt.Errorf("headers.%s: must be a string, got %v", name, v)
		case strings.ContainsAny(name+value, "\r\n\x00"):
			return r, fmt.Errorf("headers: neither names nor values may have line breaks or zero bytes, got %q: %q", name, value)
		}
		r.Headers[strings.ToLower(name)] = value
	}
	return r, nil
}
