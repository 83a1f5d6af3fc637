package lua

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"nearside/internal/units"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// A Kind is a kind of plugin. A plugin may have several kinds.
type Kind string

// The kinds of plugins.
const (
	Event      Kind = "event"
	Background Kind = "background"
	Matching   Kind = "matching"
)

// EventNames are the names of the events that plugins can listen to.
var EventNames = []string{"monitoring_event", sendingEvent, faceEvent, listEvent, attributeEvent}

// hookNames are the names of the hooks: the functions of a plugin's table that the host
// calls.
var hookNames = append([]string{"initialize", "handle_event", "start", "close", "cost", "prefilter", "match"}, laterHooks...)

// laterHooks are hooks that earlier versions did not have. Older plugins may have data with
// such names, and with similar ones.
var laterHooks = []string{"request", "results"}

// matchingHooks are the hooks of plugins of kind matching.
var matchingHooks = []string{"request", "cost", "prefilter", "match", "results"}

const maxStates = 64

// shape is the checked content of a plugin's table.
type shape struct {
	ns.Declared
	kinds      []Kind
	eventNames []string
	persistKV  bool           // whether ns.kv is kept on disk
	ownEvents  bool           // whether the plugin receives the events that it causes
	schema     map[string]any // nil: the plugin takes no settings
	required   bool           // whether the service starts only with this plugin
	limits     map[string]vm.Limits
	memory     int64       // bytes that all states may hold together
	matching   *capability // nil unless the plugin is of kind matching
	hooks      map[string]bool
}

// capability is the field matching of a plugin's table: the sub-requests that the
// plugin can process. An empty list allows all values.
type capability struct {
	references, origins, descriptors, orders []string
	targets                                  map[string][]string // by origin
	failOnError                              bool                // whether a failure of its prefilter fails the request
	order                                    int
}

// defaultLimits returns the default budgets of hooks and routes.
func defaultLimits() map[string]vm.Limits {
	return map[string]vm.Limits{
		"request": requestLimits(50 * time.Millisecond), "cost": requestLimits(50 * time.Millisecond),
		"prefilter": requestLimits(50 * time.Millisecond), "results": requestLimits(50 * time.Millisecond),
		"match":        {}, // only the request's deadline
		"handle_event": {Total: 10 * time.Second},
		"initialize":   {Total: 30 * time.Second}, "start": {Total: 30 * time.Second},
		"route": {Total: 30 * time.Second}, "close": {Total: 30 * time.Second},
	}
}

// fieldNames are the fields of a plugin's table that are not hooks.
var fieldNames = []string{
	"api", "name", "version", "kinds", "events", "permissions", "schema", "states", "limits", "matching", "required", "own_events", "kv",
}

// contractNames are all names that have a meaning in a plugin's table.
var contractNames = slices.Concat(fieldNames, hookNames)

// misspeltData are the names that a misspelt field that is not a function may stand for.
var misspeltData = slices.DeleteFunc(slices.Clone(contractNames), func(name string) bool { return slices.Contains(laterHooks, name) })

// parseShape checks the value that a plugin's file returned. fileName is the name of the
// file or folder without ".lua". inherited are the fields that exist only through
// metatables, as vm.State.Inherited returns them.
func parseShape(fileName string, value any, inherited []string) (shape, error) {
	s := shape{limits: defaultLimits(), memory: vm.DefaultMemory, hooks: map[string]bool{}}
	m, ok := value.(map[string]any)
	if !ok {
		return s, errors.New("the file must return one table with the plugin's fields")
	}
	r := &goval.Reader{Map: m}
	if m["api"] != 1.0 {
		r.Fault("api", "must be 1, the only version of the plugin interface, got %s", goval.Describe(m["api"]))
	}
	if s.Name = r.Text("name", ""); s.Name != fileName {
		r.Fault("name", "%q is not the name of the plugin's file, %q", s.Name, fileName)
	}
	s.Version = r.Text("version", "")
	for _, k := range r.Texts("kinds", []string{string(Event), string(Background), string(Matching)}) {
		s.kinds = append(s.kinds, Kind(k))
	}
	if len(s.kinds) == 0 {
		r.Fault("kinds", "name at least one of event, background, matching")
	}
	s.eventNames = r.Texts("events", EventNames)
	var err error
	if s.Permissions, err = ns.ParsePermissions(r.List("permissions")); err != nil {
		r.Faults = append(r.Faults, err)
	}
	s.ownEvents = r.Boolean("own_events", false)
	if r.Map["own_events"] != nil && !slices.Contains(s.kinds, Event) {
		r.Fault("own_events", "is only for plugins of kind event: add it to kinds")
	}
	s.schema = r.Table("schema")
	s.required = r.Boolean("required", true)
	kv := &goval.Reader{Map: r.Table("kv"), Path: "kv."}
	kv.RefuseUnknown("persist")
	s.persistKV = kv.Boolean("persist", false)
	r.Faults = append(r.Faults, kv.Faults...)
	s.States = r.Whole("states", 1, 1, maxStates)
	s.parseLimits(r)
	s.parseHooks(r, inherited)
	refuseInherited(r, s.ownNames(inherited))
	checkOwnFields(r)
	if slices.Contains(s.kinds, Matching) {
		s.parseMatching(r)
	} else if m["matching"] != nil {
		r.Fault("matching", "is only for plugins of kind matching")
	}
	return s, errors.Join(r.Faults...)
}

// parseLimits reads the field limits.
func (s *shape) parseLimits(r *goval.Reader) {
	limits := &goval.Reader{Map: r.Table("limits"), Path: "limits."}
	for _, name := range slices.Sorted(maps.Keys(limits.Map)) {
		switch name {
		case "memory":
			s.memory = readSize(limits, name, MemoryMin, MemoryMax)
			continue
		case "slice":
			continue // read below, for all hooks
		}
		lim, ok := s.limits[name]
		if !ok {
			known := append(slices.Sorted(maps.Keys(s.limits)), "memory", "slice")
			limits.Fault(name, "is unknown; the known names are %q%s", known, goval.DidYouMean(name, known))
			continue
		}
		seconds := limits.Number(name, 1, 0.001, 3600)
		d := time.Duration(math.Round(seconds * float64(time.Second)))
		if lim.Work > 0 {
			lim = requestLimits(d)
		} else {
			lim.Total = d
		}
		s.limits[name] = lim
	}
	if _, ok := limits.Map["slice"]; ok {
		slice := time.Duration(limits.Number("slice", 0.05, 0.001, 1) * float64(time.Second))
		for name, lim := range s.limits {
			lim.Slice = slice
			s.limits[name] = lim
		}
	}
	r.Faults = append(r.Faults, limits.Faults...)
}

// parseHooks checks that hooks and kinds fit together. It refuses a hook that would
// never run, and a kind without its hook.
func (s *shape) parseHooks(r *goval.Reader, inherited []string) {
	for _, name := range hookNames {
		switch r.Map[name].(type) {
		case nil:
		case *vm.Func:
			s.hooks[name] = true
		default:
			if !slices.Contains(laterHooks, name) {
				r.Fault(name, "is not a function")
			}
		}
	}
	onlyFor := func(kind Kind, hook string) {
		if s.hooks[hook] && !slices.Contains(s.kinds, kind) {
			r.Fault(hook, "is only for plugins of kind %s: add it to kinds", kind)
		}
	}
	onlyFor(Event, "handle_event")
	onlyFor(Background, "start")
	for _, hook := range matchingHooks {
		onlyFor(Matching, hook)
	}
	if s.hooks["cost"] && !s.hooks["match"] {
		r.Fault("cost", "is only for plugins with the hook match")
	}
	needsHook := func(kind Kind, signature string, hooks ...string) {
		has := func(hook string) bool {
			_, isFunction := r.Map[hook].(*vm.Func)
			return isFunction || r.Map[hook] != nil && !slices.Contains(laterHooks, hook) || slices.Contains(inherited, hook)
		}
		if slices.Contains(s.kinds, kind) && !slices.ContainsFunc(hooks, has) {
			r.Fault("kinds", "%s needs a hook: add %s, or remove the kind", kind, signature)
		}
	}
	needsHook(Event, "M:handle_event(points)", "handle_event")
	needsHook(Matching, "M:request(req), M:prefilter(req, set), M:match(req, set) or M:results(req, rows)", matchingHooks...)
	if slices.Contains(s.kinds, Event) && len(s.eventNames) == 0 {
		r.Fault("events", "name at least one of %q", EventNames)
	}
	if len(s.eventNames) > 0 && !slices.Contains(s.kinds, Event) {
		r.Fault("events", "is only for plugins of kind event: add it to kinds")
	}
}

// parseMatching reads the field matching.
func (s *shape) parseMatching(r *goval.Reader) {
	m := &goval.Reader{Map: r.Table("matching"), Path: "matching."}
	m.RefuseUnknown("references", "origins", "descriptors", "orders", "targets", "on_error", "order")
	origins := []string{"faces", "events", "attributes"}
	c := &capability{
		references:  m.Texts("references", nil),
		origins:     m.Texts("origins", origins),
		descriptors: m.Texts("descriptors", []string{"face", "body"}),
		orders:      m.Texts("orders", nil),
		order:       m.Whole("order", 100, -1e6, 1e6),
	}
	targets := &goval.Reader{Map: m.Table("targets"), Path: "matching.targets."}
	targets.RefuseUnknown(origins...)
	c.targets = map[string][]string{}
	for origin := range targets.Map {
		c.targets[origin] = targets.Texts(origin, nil)
	}
	switch on := m.Text("on_error", "skip"); on {
	case "skip":
	case "fail":
		c.failOnError = true
	default:
		m.Fault("on_error", "%q is not one of skip, fail", on)
	}
	s.matching = c
	r.Faults = append(append(r.Faults, m.Faults...), targets.Faults...)
}

// checkOwnFields checks the plugin's own fields, which the contract does not name. The
// names of functions must begin with an underscore, so that misspelt hooks are noticed.
// Other fields may have any name that does not look like a misspelt name of the contract.
func checkOwnFields(r *goval.Reader) {
	for _, name := range slices.Sorted(maps.Keys(r.Map)) {
		if strings.HasPrefix(name, "_") || slices.Contains(contractNames, name) {
			continue
		}
		if _, isFunction := r.Map[name].(*vm.Func); isFunction {
			r.Fault(name, "is not a hook, so the host would never call it; make your own functions local, or begin their names with an underscore%s",
				goval.DidYouMean(name, hookNames))
		} else if goval.Misspelt(name, misspeltData) {
			r.Fault(name, "is unknown; rename it, or begin it with an underscore, if it is a field of your own%s", goval.DidYouMean(name, misspeltData))
		}
	}
}

// ownNames removes the names of laterHooks from inherited, unless they are hooks of the
// plugin. A plugin of another kind may have its own functions with such names.
func (s *shape) ownNames(inherited []string) []string {
	if slices.Contains(s.kinds, Matching) {
		return inherited
	}
	return slices.DeleteFunc(slices.Clone(inherited), func(name string) bool { return slices.Contains(laterHooks, name) })
}

// refuseInherited refuses fields that exist only through a metatable. The host does not
// read metatables, so an inherited hook would never run.
func refuseInherited(r *goval.Reader, paths []string) {
	for _, path := range paths {
		if field, nested := strings.CutSuffix(path, ".*"); nested {
			r.Fault(field, "has a metatable with __index, which is not read: write the fields into the table itself")
		} else {
			r.Fault(path, "is inherited through a metatable, which is not read: copy it with ns.extend(Base, M)")
		}
	}
}

// Bounds of limits.memory, in bytes.
const (
	MemoryMin = 1 << 20
	MemoryMax = 1 << 40
)

// requestLimits returns the budget of a hook that delays a request: d for the work of Lua
// code and d for waiting. Work is counted, not measured by a clock, so a busy machine
// does not make the hook fail.
func requestLimits(d time.Duration) vm.Limits { return vm.Limits{Work: d, Wait: d} }

// readSize reads a field that is a number of bytes from low to high, or a text such
// as "64MiB".
func readSize(r *goval.Reader, field string, low, high int64) int64 {
	n, ok := parseSize(r.Map[field])
	if !ok || n < low || n > high {
		r.Fault(field, "%v is not a size from %d to %d bytes: write a number of bytes, or a text such as \"64MiB\"", r.Map[field], low, high)
		return low
	}
	return n
}

func parseSize(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case string:
		return units.ParseSize(v)
	}
	return 0, false
}
