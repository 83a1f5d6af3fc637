package lua

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
)

// A Request is a request to a route of a plugin.
type Request struct {
	Method  string
	Path    string              // decoded, without the prefix /plugins, as in "/teapot/status"
	RawPath string              // Path as the client has encoded it; empty: unknown
	Query   map[string][]string // the values of each key, in the order of the query
	Headers map[string]string   // names in lower case
	Body    []byte

	Key    string                  // the name of the caller's key; empty: the caller has none
	Bound  map[string]any          // account_id and lists, ids as texts, to which the key is bound; nil: it is not bound
	Allow  func(role string) error // returns an error if the caller may not use a route of this role; nil: all may
	Stream ns.AnswerStream         // for req:write; nil: the answer cannot be sent in pieces
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

// segments returns the decoded segments of path, the end of r.Path. A segment of the
// encoded path may contain %2F, which is a slash within a segment.
func (r *Request) segments(path string) []string {
	decoded := strings.Split(path[1:], "/")
	if r.RawPath == "" {
		return decoded
	}
	raw := strings.Split(r.RawPath, "/")
	var segments []string
	for _, text := range raw[min(2, len(raw)):] { // without the empty text before the first slash, and without the plugin's name
		segment, err := url.PathUnescape(text)
		if err != nil {
			return decoded
		}
		segments = append(segments, segment)
	}
	if strings.Join(segments, "/") != path[1:] {
		return decoded // the server has normalised the path
	}
	return segments
}

// A Response is the answer of a route's handler. If Streamed is true, the handler has sent
// the answer through Request.Stream, and the other fields are not set.
type Response struct {
	Status   int
	Headers  map[string]string
	Body     []byte
	Streamed bool
}

// Serve answers a request for a path of a plugin. Its errors are *matcher.Error with
// CodeNoRoute, CodeMethod, CodeUnavailable, CodeDeadline, or CodeInternal for a fault
// of the plugin, or the error of Request.Allow. Requests for HEAD that have no route are
// served by the route for GET. Requests for OPTIONS that have no route are answered with the
// methods of the path; they need no role.
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
	segments := r.segments(path)
	route, params := p.Routes.Find(r.Method, segments)
	if route == nil {
		allowed := p.Routes.Methods(segments)
		switch {
		case allowed == nil:
			return Response{}, matcher.Errorf(matcher.CodeNoRoute, "path: plugin %s has no route %q", p.Name, path)
		case r.Method == http.MethodOptions:
			return Response{Status: http.StatusNoContent, Headers: map[string]string{"allow": strings.Join(allowed, ", ")}}, nil
		}
		return Response{}, matcher.MethodNotAllowed(allowed, "method: %s is not one of %s", r.Method, strings.Join(allowed, ", "))
	}
	if r.Allow != nil {
		if err := r.Allow(route.Role); err != nil {
			return Response{}, err
		}
	}
	return p.answer(ctx, route, params, &r)
}

// answer calls a handler of the route.
func (p *plugin) answer(ctx context.Context, route *ns.Route, params map[string]string, r *Request) (Response, error) {
	handler := route.Next()
	query, queryAll := r.query()
	fields := map[string]any{
		"method": route.Method, "path": r.Path, "params": params, "query": query, "query_all": queryAll, "headers": r.Headers, "body": r.Body,
	}
	if r.Key != "" {
		fields["key"] = r.Key
	}
	if r.Bound != nil {
		fields["bound"] = r.Bound
	}
	ends := func() bool { return p.ending.Load() != nil }
	answer := ns.NewAnswer(&p.host.Host, r.Stream, ends)
	results, err := handler.In.Call(ctx, p.limits["route"], handler.Fn, answer.Request(fields))
	streamed := answer.End()
	if err != nil && ctx.Err() == nil && (errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed)) {
		return Response{}, matcher.Errorf(matcher.CodeUnavailable, "plugin %s was closed before it answered", p.Name)
	}
	if err != nil {
		handler.In.Report("route", err)
		if errors.Is(err, vm.ErrTimeout) || ctx.Err() != nil {
			return Response{}, matcher.Errorf(matcher.CodeDeadline, "plugin %s: route: %w", p.Name, p.withhold(err))
		}
		return Response{}, matcher.Errorf(matcher.CodeInternal, "plugin %s: %w", p.Name, err)
	}
	if !streamed && len(results) == 0 && ends() { // req:write may have refused the first piece
		return Response{}, matcher.Errorf(matcher.CodeUnavailable, "plugin %s is being closed", p.Name)
	}
	response, err := parseResponse(results, streamed)
	if err != nil {
		handler.In.Report("route", err)
		return Response{}, matcher.Errorf(matcher.CodeInternal, "plugin %s: %w", p.Name, err)
	}
	return response, nil
}

// parseResponse reads the results of a handler: status, body, headers. A body that is
// not text is encoded as JSON. A handler that has sent its answer with req:write returns
// nothing.
func parseResponse(results []any, streamed bool) (Response, error) {
	results = append(results, nil, nil, nil)
	if streamed {
		if results[0] != nil {
			return Response{}, fmt.Errorf("the handler has sent its answer with req:write, so it must return nothing, got %s", goval.Describe(results[0]))
		}
		return Response{Streamed: true}, nil
	}
	r := Response{}
	status, ok := results[0].(float64)
	if r.Status = int(status); !ok || float64(r.Status) != status || r.Status < 200 || r.Status > 599 {
		return r, fmt.Errorf("the handler must return a status (a number from 200 to 599), got %s", goval.Describe(results[0]))
	}
	table, _ := results[2].(map[string]any)
	headers, err := ns.AnswerHeaders(table)
	if err != nil {
		return r, err
	}
	r.Headers = headers
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
		if _, given := headers["content-type"]; !given {
			headers["content-type"] = "application/json"
		}
	}
	return r, nil
}
