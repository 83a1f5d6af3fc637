package lua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"nearside/lua/vm"
	"nearside/matcher"
)

// maxRoutes bounds the routes of one plugin.
const maxRoutes = 256

// routes are a plugin's handlers: by path, then by method. The table is
// immutable; adding replaces it.
type routes map[string]map[string]route

type route struct {
	in *instance
	fn *vm.Func
}

var (
	routeMethod = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE)$`)
	routePath   = regexp.MustCompile(`^/[A-Za-z0-9._~/-]*$`)
)

// addRoute serves method and path, below the plugin's own, by fn. A route
// that is added again is replaced.
func (in *instance) addRoute(method, path string, fn *vm.Func) error {
	if !routeMethod.MatchString(method) {
		return fmt.Errorf("method %q is not one of GET, HEAD, POST, PUT, PATCH, DELETE", method)
	}
	if !routePath.MatchString(path) || len(path) > 256 {
		return fmt.Errorf("path %q is not of the form /name", path)
	}
	in.plugin.routesMu.Lock() // against other changes; readers need no lock
	defer in.plugin.routesMu.Unlock()
	next := routes{}
	if old := in.plugin.routes.Load(); old != nil {
		maps.Copy(next, *old)
	}
	methods := maps.Clone(next[path])
	if methods == nil {
		methods = map[string]route{}
	}
	methods[method] = route{in, fn}
	next[path] = methods
	if len(next) > maxRoutes {
		return fmt.Errorf("a plugin has at most %d routes", maxRoutes)
	}
	in.plugin.routes.Store(&next)
	in.state.Keep(fn) // for as long as the state; a route is rarely replaced
	return nil
}

// removeRoutes takes out the routes of an instance that has ended.
func (p *plugin) removeRoutes(in *instance) {
	p.routesMu.Lock()
	defer p.routesMu.Unlock()
	old := p.routes.Load()
	if old == nil {
		return
	}
	next := routes{}
	for path, methods := range *old {
		left := maps.Clone(methods)
		maps.DeleteFunc(left, func(_ string, r route) bool { return r.in == in })
		if len(left) > 0 {
			next[path] = left
		}
	}
	p.routes.Store(&next)
}

// A Request is what a route's handler gets.
type Request struct {
	Method  string
	Path    string // below /plugins: "/teapot/status"
	Query   map[string]string
	Headers map[string]string // names in lower case
	Body    []byte
}

// A Response is what it answers.
type Response struct {
	Status  int
	Headers map[string]string
	Body    []byte
}

// Serve answers a request for a path of a plugin. Errors are *matcher.Error:
// CodeNoRoute, CodeMethod, CodeUnavailable, CodeDeadline, and CodeInternal for
// what the plugin did wrong.
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

func (p *plugin) serve(ctx context.Context, path string, r Request) (Response, error) {
	var methods map[string]route
	if table := p.routes.Load(); table != nil {
		methods = (*table)[path]
	}
	if methods == nil {
		return Response{}, matcher.Errorf(matcher.CodeNoRoute, "path: plugin %s has no route %q", p.name, path)
	}
	found, ok := methods[r.Method]
	if !ok {
		return Response{}, matcher.Errorf(matcher.CodeMethod, "method: %s is not one of %s", r.Method, strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
	}
	results, err := found.in.call(ctx, p.limits["route"], found.fn, map[string]any{
		"method": r.Method, "path": r.Path, "query": r.Query, "headers": r.Headers, "body": r.Body,
	})
	if err != nil {
		found.in.report("route", err)
		if errors.Is(err, vm.ErrTimeout) || ctx.Err() != nil {
			return Response{}, matcher.Errorf(matcher.CodeDeadline, "plugin %s: %w", p.name, err)
		}
		return Response{}, matcher.Errorf(matcher.CodeInternal, "plugin %s: %w", p.name, err)
	}
	response, err := parseResponse(results)
	if err != nil {
		found.in.report("route", err)
		return Response{}, matcher.Errorf(matcher.CodeInternal, "plugin %s: %w", p.name, err)
	}
	return response, nil
}

// parseResponse reads status, body, headers. A table as body is sent as JSON.
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
		text, err := encodeJSON(body)
		if err != nil {
			return r, fmt.Errorf("body: %w", err)
		}
		r.Body = text
		r.Headers["content-type"] = "application/json"
	}
	headers, _ := results[2].(map[string]any)
	for name, v := range headers {
		value, ok := v.(string)
		if !ok || strings.ContainsAny(name+value, "\r\n\x00") || http.CanonicalHeaderKey(name) == "" {
			return r, fmt.Errorf("headers.%s: %v is not the text of a header", name, v)
		}
		r.Headers[strings.ToLower(name)] = value
	}
	return r, nil
}
