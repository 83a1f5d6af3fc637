package ns

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// routeModule is ns.route, which serves HTTP requests with functions.
func routeModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "route", Params: []string{"method: string", "path: string", "fn: fun(req: table): (integer?, any, table?)", "options?: {role: string?}"},
		Doc: "Serves requests for /plugins/<name><path> with fn. A segment {name} of path matches one segment of a request. fn receives " +
			"{method, path, params, query, query_all, headers, body, key, bound} and returns the status, the body (a table is encoded as JSON) and the headers. " +
			"req:write(text, {status, headers}?) sends a piece of the answer at once and waits for the client; it returns true, or nil and an error when the client has left or the plugin ends. " +
			"role is what a key needs to use the route: match, read, write or admin (the default).",
		Run: addRoute,
	}}}
}

// Roles are the roles that a route may require of a key, from the lowest to the highest.
var Roles = []string{"match", "read", "write", "admin"}

// defaultRole is the role of a route that names none.
const defaultRole = "admin"

func addRoute(c *vm.Call) error {
	o := &goval.Reader{Map: c.Map(4), Path: "options."}
	o.RefuseUnknown("role")
	role := o.Text("role", defaultRole)
	if !slices.Contains(Roles, role) {
		o.Fault("role", "%q is not one of %q%s", role, Roles, goval.DidYouMean(role, Roles))
	}
	if err := errors.Join(o.Faults...); err != nil {
		return err
	}
	c.Charge(self(c).Plugin.Routes.comparisons())
	return self(c).AddRoute(c.Text(1), c.Text(2), role, c.Func(3))
}

// A Route has a handler for each state that has registered it. The handlers serve its
// requests in turn. If states of the main side have registered the route, only they serve
// it. A Route is immutable except for its turn.
type Route struct {
	Method  string
	Role    string // that a key needs; one of Roles
	pattern pattern

	handlers []Handler // those of the main side come first
	main     int       // the number of handlers of the main side
	turn     atomic.Uint64
}

// A Handler is the function with which an instance serves a route.
type Handler struct {
	In *Instance
	Fn *vm.Func
}

// withHandlers returns a route with other handlers.
func (r *Route) withHandlers(role string, handlers []Handler) *Route {
	next := &Route{Method: r.Method, Role: role, pattern: r.pattern, handlers: handlers}
	slices.SortStableFunc(handlers, func(a, b Handler) int { return strings.Compare(a.In.Info.Side, b.In.Info.Side) })
	for next.main < len(handlers) && handlers[next.main].In.Info.Side == MainSide {
		next.main++
	}
	next.turn.Store(r.turn.Load())
	return next
}

// Next returns the handler for the next request.
func (r *Route) Next() Handler {
	n := r.main
	if n == 0 {
		n = len(r.handlers)
	}
	return r.handlers[(r.turn.Add(1)-1)%uint64(n)]
}

// String returns the route as the status of the plugin shows it, as in "GET /teapot".
func (r *Route) String() string { return r.Method + " " + r.pattern.text }

// without returns the handlers of all instances except in.
func (r *Route) without(in *Instance) []Handler {
	return slices.DeleteFunc(slices.Clone(r.handlers), func(h Handler) bool { return h.In == in })
}

// routeMethods are the methods of requests that a plugin can serve.
var routeMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// AddRoute registers fn for method and path. path is relative to the plugin's own
// path. If the instance has registered the route already, fn replaces its handler.
func (in *Instance) AddRoute(method, path, role string, fn *vm.Func) error {
	if !slices.Contains(routeMethods, method) {
		return fmt.Errorf("method %q is not one of %s", method, strings.Join(routeMethods, ", "))
	}
	p, err := parsePattern(path)
	if err != nil {
		return err
	}
	return in.Plugin.Routes.add(&Route{Method: method, Role: role, pattern: p}, Handler{in, fn})
}

// KeepRoutes makes the state keep the handlers of the instance's routes until it ends.
func (in *Instance) KeepRoutes() { in.State.Keep(servedRoutes{in}) }

// servedRoutes implements [vm.Holder] for the routes of an instance.
type servedRoutes struct{ *Instance }

// VisitHeld implements [vm.Holder].
func (r servedRoutes) VisitHeld(visit func(v any)) {
	for _, route := range r.Plugin.Routes.All() {
		for _, h := range route.handlers {
			if h.In == r.Instance {
				visit(h.Fn)
			}
		}
	}
}
