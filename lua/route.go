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
	"sync"
	"sync/atomic"

	"nearside/lua/vm"
	"nearside/matcher"
)

// maxRoutes bounds the routes of one plugin.
const maxRoutes = 256

// A routeTable has the handlers of a plugin. Its zero value is empty.
type routeTable struct {
	mu      sync.Mutex // of changes; readers need no lock
	current atomic.Pointer[routes]
}

// routes are handlers by path, then by method. They are immutable.
type routes map[string]map[string]*route

// A route is served by the states that have registered it, in turn: by those
// of the main side if there are any.
type route struct {
	handlers []handler // of the main side first
	main     int       // how many of them are of the main side
	turn     atomic.Uint64
}

type handler struct {
	in *instance
	fn *vm.Func
}

func newRoute(handlers []handler) *route {
	r := &route{handlers: handlers}
	slices.SortStableFunc(handlers, func(a, b handler) int { return strings.Compare(a.in.info.side, b.in.info.side) })
	for r.main < len(handlers) && handlers[r.main].in.info.side == mainSide {
		r.main++
	}
	return r
}

// next is the handler for one more request.
func (r *route) next() handler {
	n := r.main
	if n == 0 {
		n = len(r.handlers)
	}
	return r.handlers[(r.turn.Add(1)-1)%uint64(n)]
}

// without returns the handlers of other instances than in.
func (r *route) without(in *instance) []handler {
	if r == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.handlers), func(h handler) bool { return h.in == in })
}

// load returns the routes of now.
func (t *routeTable) load() routes {
	if r := t.current.Load(); r != nil {
		return *r
	}
	return nil
}

// add has in serve path and method by fn, beside other instances.
func (t *routeTable) add(in *instance, method, path string, fn *vm.Func) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := routes{}
	maps.Copy(next, t.load())
	methods := map[string]*route{}
	maps.Copy(methods, next[path])
	methods[method] = newRoute(append(methods[method].without(in), handler{in, fn}))
	next[path] = methods
	if len(next) > maxRoutes {
		return fmt.Errorf("a plugin has at most %d routes", maxRoutes)
	}
	t.current.Store(&next)
	return nil
}

// remove takes out the handlers of an instance that is closed.
func (t *routeTable) remove(in *instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := routes{}
	for path, methods := range t.load() {
		for method, r := range methods {
			left := r.without(in)
			if len(left) == 0 {
				continue
			}
			if next[path] == nil {
				next[path] = map[string]*route{}
			}
			next[path][method] = r
			if len(left) < len(r.handlers) {
				next[path][method] = newRoute(left)
			}
		}
	}
	t.current.Store(&next)
}

var (
	routeMethod = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE)$`)
	routePath   = regexp.MustCompile(`^/[A-Za-z0-9._~/-]*$`)
)

// addRoute serves method and path, below the plugin's own, by fn. A route
// that the instance adds again is replaced.
func (in *instance) addRoute(method, path string, fn *vm.Func) error {
	if !routeMethod.MatchString(method) {
		return fmt.Errorf("method %q is not one of GET, HEAD, POST, PUT, PATCH, DELETE", method)
	}
	if !routePath.MatchString(path) || len(path) > 256 {
		return fmt.Errorf("path %q is not of the form /name", path)
	}
	return in.plugin.routes.add(in, method, path, fn)
}

// servedRoutes are the routes of an instance, as a [vm.Holder].
type servedRoutes struct{ *instance }

// Held implements [vm.Holder].
func (r servedRoutes) Held(visit func(v any)) {
	for _, methods := range r.plugin.routes.load() {
		for _, route := range methods {
			for _, h := range route.handlers {
				if h.in == r.instance {
					visit(h.fn)
				}
			}
		}
	}
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
	if reason := p.degraded.Load(); reason != nil {
		return Response{}, matcher.Errorf(matcher.CodeUnavailable, "plugin %s does not run: %s", p.name, *reason)
	}
	methods := p.routes.load()[path]
	if methods == nil {
		return Response{}, matcher.Errorf(matcher.CodeNoRoute, "path: plugin %s has no route %q", p.name, path)
	}
	registered, ok := methods[r.Method]
	if !ok {
		return Response{}, matcher.Errorf(matcher.CodeMethod, "method: %s is not one of %s", r.Method, strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
	}
	found := registered.next()
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
