package ns

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"nearside/lua/vm"
)

// routeModule is ns.route, which serves HTTP requests with functions.
func routeModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "route", Params: []string{"method: string", "path: string", "fn: fun(req: table): (integer, any, table?)"},
		Doc: "Serves requests for /plugins/<name><path> with fn. fn receives {method, path, query, query_all, headers, body} and returns the status, the body (a table is encoded as JSON) and the headers.",
		Run: func(c *vm.Call) error { return self(c).AddRoute(c.Text(1), c.Text(2), c.Func(3)) },
	}}}
}

// maxRoutes is the maximum number of route paths of one plugin.
const maxRoutes = 256

// A routeTable holds the handlers of a plugin's routes. Its zero value is empty.
type routeTable struct {
	mu      sync.Mutex // serializes changes; readers need no lock
	current atomic.Pointer[routes]
}

// routes maps a path, then a method, to a route. It is immutable.
type routes map[string]map[string]*route

// A route has a handler for each state that has registered it. The handlers serve its
// requests in turn. If states of the main side have registered the route, only they serve
// it.
type route struct {
	handlers []handler // those of the main side come first
	main     int       // the number of handlers of the main side
	turn     atomic.Uint64
}

// A handler is the function with which an instance serves a route.
type handler struct {
	In *Instance
	Fn *vm.Func
}

func newRoute(handlers []handler) *route {
	r := &route{handlers: handlers}
	slices.SortStableFunc(handlers, func(a, b handler) int { return strings.Compare(a.In.Info.Side, b.In.Info.Side) })
	for r.main < len(handlers) && handlers[r.main].In.Info.Side == MainSide {
		r.main++
	}
	return r
}

// Next returns the handler for the next request.
func (r *route) Next() handler {
	n := r.main
	if n == 0 {
		n = len(r.handlers)
	}
	return r.handlers[(r.turn.Add(1)-1)%uint64(n)]
}

// without returns the handlers of all instances except in.
func (r *route) without(in *Instance) []handler {
	if r == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.handlers), func(h handler) bool { return h.In == in })
}

// Load returns the current routes.
func (t *routeTable) Load() routes {
	if r := t.current.Load(); r != nil {
		return *r
	}
	return nil
}

// add registers the function fn of the instance in for path and method. Handlers of other
// instances stay.
func (t *routeTable) add(in *Instance, method, path string, fn *vm.Func) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := routes{}
	maps.Copy(next, t.Load())
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

// Remove removes the handlers of an instance that is closed.
func (t *routeTable) Remove(in *Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := routes{}
	for path, methods := range t.Load() {
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

// AddRoute registers fn for method and path. path is relative to the plugin's own
// path. If the instance has registered the route already, fn replaces its handler.
func (in *Instance) AddRoute(method, path string, fn *vm.Func) error {
	if !routeMethod.MatchString(method) {
		return fmt.Errorf("method %q is not one of GET, HEAD, POST, PUT, PATCH, DELETE", method)
	}
	if !routePath.MatchString(path) || len(path) > 256 {
		return fmt.Errorf("path %q must begin with / and have up to 256 letters, digits and . _ ~ / -", path)
	}
	return in.Plugin.Routes.add(in, method, path, fn)
}

// KeepRoutes makes the state keep the handlers of the instance's routes until it ends.
func (in *Instance) KeepRoutes() { in.State.Keep(servedRoutes{in}) }

// servedRoutes implements [vm.Holder] for the routes of an instance.
type servedRoutes struct{ *Instance }

// VisitHeld implements [vm.Holder].
func (r servedRoutes) VisitHeld(visit func(v any)) {
	for _, methods := range r.Plugin.Routes.Load() {
		for _, route := range methods {
			for _, h := range route.handlers {
				if h.In == r.Instance {
					visit(h.Fn)
				}
			}
		}
	}
}
