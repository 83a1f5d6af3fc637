package ns

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxRoutes is the maximum number of routes of one plugin.
const maxRoutes = 4096

// A routeTable holds the routes of a plugin. Its zero value is empty. Its methods may be
// called by any goroutine.
type routeTable struct {
	mu    sync.RWMutex
	byKey map[string]*Route     // by Route.String
	trees map[string]*routeNode // by method
}

// A routeNode is the place of a segment in the tree of all paths of one method.
type routeNode struct {
	literal map[string]*routeNode // the next segment has this text
	any     *routeNode            // the next segment is a parameter
	route   *Route                // the path ends here; nil: none does
}

// comparisons returns the number of routes with which a new route is compared.
func (t *routeTable) comparisons() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byKey)
}

// All returns the routes, sorted by path and method.
func (t *routeTable) All() []*Route {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.SortedFunc(maps.Values(t.byKey), func(a, b *Route) int {
		if c := strings.Compare(a.pattern.text, b.pattern.text); c != 0 {
			return c
		}
		return strings.Compare(a.Method, b.Method)
	})
}

// add adds the handler h to the route r. Handlers of other instances stay.
func (t *routeTable) add(r *Route, h Handler) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byKey[r.String()]
	switch {
	case old != nil:
		others := old.without(h.In)
		if len(others) > 0 && old.Role != r.Role {
			return fmt.Errorf("%s has the role %s in another state of the plugin, not %s: all states must register a route with the same role", r, old.Role, r.Role)
		}
		t.put(old.withHandlers(r.Role, append(others, h)))
		return nil
	case len(t.byKey) >= maxRoutes:
		return fmt.Errorf("a plugin has at most %d routes", maxRoutes)
	}
	for _, other := range t.byKey {
		if other.Method != r.Method {
			continue
		}
		if path := r.pattern.conflict(&other.pattern); path != "" {
			return fmt.Errorf("%s conflicts with %s: both match %s, and neither is more specific", r, other, path)
		}
	}
	t.put(r.withHandlers(r.Role, []Handler{h}))
	return nil
}

// put adds a route or replaces it. The caller holds the lock.
func (t *routeTable) put(r *Route) {
	if t.byKey == nil {
		t.byKey, t.trees = map[string]*Route{}, map[string]*routeNode{}
	}
	t.byKey[r.String()] = r
	node := t.trees[r.Method]
	if node == nil {
		node = &routeNode{}
		t.trees[r.Method] = node
	}
	for _, s := range r.pattern.segments {
		node = node.next(s)
	}
	node.route = r
}

// next returns the node of a segment after n. It creates the node if necessary.
func (n *routeNode) next(s segment) *routeNode {
	if s.name != "" {
		if n.any == nil {
			n.any = &routeNode{}
		}
		return n.any
	}
	if n.literal == nil {
		n.literal = map[string]*routeNode{}
	}
	if n.literal[s.text] == nil {
		n.literal[s.text] = &routeNode{}
	}
	return n.literal[s.text]
}

// Remove removes the handlers of an instance that is closed.
func (t *routeTable) Remove(in *Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.byKey
	t.byKey, t.trees = nil, nil
	for _, r := range all {
		switch left := r.without(in); {
		case len(left) == len(r.handlers):
			t.put(r)
		case len(left) > 0:
			t.put(r.withHandlers(r.Role, left))
		}
	}
}

// Find returns the route for a request and the values of its parameters. path is decoded
// and begins with a slash; segments are its decoded segments. A request for HEAD that has
// no route is served by the route for GET. Find returns nil if no route matches.
func (t *routeTable) Find(method string, segments []string) (*Route, map[string]string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.trees[method].find(segments)
	if r == nil && method == http.MethodHead {
		r = t.trees[http.MethodGet].find(segments)
	}
	if r == nil {
		return nil, nil
	}
	params := map[string]string{}
	for i, s := range r.pattern.segments {
		if s.name != "" {
			params[s.name] = segments[i]
		}
	}
	return r, params
}

// Methods returns the methods of requests for a path that are answered, sorted. The result
// is empty if no route matches the path.
func (t *routeTable) Methods(segments []string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var methods []string
	for method, tree := range t.trees {
		if tree.find(segments) != nil {
			methods = append(methods, method)
		}
	}
	if len(methods) == 0 {
		return nil
	}
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	methods = append(methods, http.MethodOptions)
	slices.Sort(methods)
	return slices.Compact(methods)
}

// find returns the route below n for a path with these segments. A literal segment is more
// specific than a parameter. The parameter is tried when no route with the literal matches
// the rest of the path.
func (n *routeNode) find(segments []string) *Route {
	if n == nil {
		return nil
	}
	if len(segments) == 0 {
		return n.route
	}
	if r := n.literal[segments[0]].find(segments[1:]); r != nil {
		return r
	}
	if segments[0] == "" { // a parameter is never empty
		return nil
	}
	return n.any.find(segments[1:])
}
