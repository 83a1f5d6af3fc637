package lua

import (
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"nearside/lua/vm"
)

// A Kind is what a plugin is for.
type Kind string

// The kinds of plugins.
const (
	Event      Kind = "event"
	Background Kind = "background"
	Matching   Kind = "matching"
)

// EventNames are the events that plugins may ask for.
var EventNames = []string{"monitoring_event", "sending_event"}

// hookNames are the functions that a plugin's table may have.
var hookNames = []string{"initialize", "handle_event", "start", "close", "cost", "prefilter", "match"}

const maxStates = 64

// shape is what the table of a plugin says, checked.
type shape struct {
	name, version string
	kinds         []Kind
	eventNames    []string
	permissions   permissions
	schema        map[string]any // nil: any settings
	required      bool           // whether the service starts only with this plugin
	states        int
	limits        map[string]vm.Limits
	memory        int64       // bytes that all states may hold together
	matching      *capability // nil unless it is of that kind
	hooks         map[string]bool
}

// capability is the matching part: what a plugin can answer. An empty list
// means any.
type capability struct {
	references, origins, descriptors, orders []string
	targets                                  map[string][]string // by origin
	failOnError                              bool                // of its prefilter
	order                                    int
}

// defaultLimits are the budgets of hooks.
func defaultLimits() map[string]vm.Limits {
	limits := map[string]vm.Limits{
		"cost": briefly(50 * time.Millisecond), "prefilter": briefly(50 * time.Millisecond),
		"match":        {}, // the request's deadline
		"handle_event": {Total: 10 * time.Second},
		"initialize":   {Total: 30 * time.Second}, "start": {Total: 30 * time.Second},
		"route": {Total: 30 * time.Second}, "close": {Total: 30 * time.Second},
	}
	return limits
}

// fieldNames are the fields of a plugin's table beside hooks.
var fieldNames = []string{
	"api", "name", "version", "kinds", "events", "permissions", "schema", "states", "limits", "matching", "required",
}

// contractNames are the names that a plugin's table has a meaning for.
var contractNames = slices.Concat(fieldNames, hookNames)

// parseShape checks the value that a plugin's file returned. inherited are
// the fields that exist only by metatables, as vm.State.Inherited finds them.
func parseShape(entry string, value any, inherited []string) (shape, error) {
	s := shape{version: "", limits: defaultLimits(), memory: vm.DefaultMemory, hooks: map[string]bool{}}
	m, ok := value.(map[string]any)
	if !ok {
		return s, errors.New("the file must return one table with the plugin's fields")
	}
	r := &reader{m: m}
	if m["api"] != 1.0 {
		r.fault("api", "%v is not a version of the interface that this host has: 1", m["api"])
	}
	if s.name = r.text("name", ""); s.name != entry {
		r.fault("name", "%q is not the name of the plugin's file, %q", s.name, entry)
	}
	s.version = r.text("version", "")
	for _, k := range r.texts("kinds", []string{string(Event), string(Background), string(Matching)}) {
		s.kinds = append(s.kinds, Kind(k))
	}
	if len(s.kinds) == 0 {
		r.fault("kinds", "name at least one of event, background, matching")
	}
	s.eventNames = r.texts("events", EventNames)
	var err error
	if s.permissions, err = parsePermissions(r.list("permissions")); err != nil {
		r.faults = append(r.faults, err)
	}
	s.schema = r.table("schema")
	s.required = r.boolean("required", true)
	s.states = int(r.number("states", 1, 1, maxStates))
	s.parseLimits(r)
	s.parseHooks(r, inherited)
	r.inherited(inherited)
	r.own()
	if slices.Contains(s.kinds, Matching) {
		s.parseMatching(r)
	} else if m["matching"] != nil {
		r.fault("matching", "is only for plugins of kind matching")
	}
	return s, errors.Join(r.faults...)
}

func (s *shape) parseLimits(r *reader) {
	limits := &reader{m: r.table("limits"), at: "limits."}
	for _, name := range slices.Sorted(maps.Keys(limits.m)) {
		if name == "memory" {
			s.memory = limits.size(name, minMemory, maxMemory)
			continue
		}
		lim, ok := s.limits[name]
		if !ok && name != "slice" {
			known := append(slices.Sorted(maps.Keys(s.limits)), "memory", "slice")
			limits.fault(name, "is unknown; there are %q%s", known, didYouMean(name, known))
			continue
		}
		seconds := limits.number(name, 1, 0.001, 3600)
		d := time.Duration(math.Round(seconds * float64(time.Second)))
		if name != "slice" {
			if lim.Work > 0 {
				lim = briefly(d)
			} else {
				lim.Total = d
			}
			s.limits[name] = lim
		}
	}
	if _, ok := limits.m["slice"]; ok {
		slice := time.Duration(limits.number("slice", 0.05, 0.001, 1) * float64(time.Second))
		for name, lim := range s.limits {
			lim.Slice = slice
			s.limits[name] = lim
		}
	}
	r.faults = append(r.faults, limits.faults...)
}

// parseHooks checks that hooks and kinds fit: no hook is there that would
// never run, and no kind that would do nothing.
func (s *shape) parseHooks(r *reader, inherited []string) {
	for _, name := range hookNames {
		switch r.m[name].(type) {
		case nil:
		case *vm.Func:
			s.hooks[name] = true
		default:
			r.fault(name, "is not a function")
		}
	}
	need := func(kind Kind, hook string) {
		if s.hooks[hook] && !slices.Contains(s.kinds, kind) {
			r.fault(hook, "is only for plugins of kind %s: add it to kinds", kind)
		}
	}
	need(Event, "handle_event")
	need(Background, "start")
	need(Matching, "cost")
	need(Matching, "prefilter")
	need(Matching, "match")
	if s.hooks["cost"] && !s.hooks["match"] {
		r.fault("cost", "makes sense only with match")
	}
	wants := func(kind Kind, what string, hooks ...string) {
		has := func(hook string) bool { return r.m[hook] != nil || slices.Contains(inherited, hook) }
		if slices.Contains(s.kinds, kind) && !slices.ContainsFunc(hooks, has) {
			r.fault("kinds", "%s without its hook: write %s, or leave the kind out", kind, what)
		}
	}
	wants(Event, "M:handle_event(points)", "handle_event")
	wants(Matching, "M:prefilter(req, set) or M:match(req, set)", "prefilter", "match", "cost")
	if slices.Contains(s.kinds, Event) && len(s.eventNames) == 0 {
		r.fault("events", "name at least one of %q", EventNames)
	}
	if len(s.eventNames) > 0 && !slices.Contains(s.kinds, Event) {
		r.fault("events", "is only for plugins of kind event: add it to kinds")
	}
}

func (s *shape) parseMatching(r *reader) {
	m := &reader{m: r.table("matching"), at: "matching."}
	m.known("references", "origins", "descriptors", "orders", "targets", "on_error", "order")
	origins := []string{"faces", "events", "attributes"}
	c := &capability{
		references:  m.texts("references", nil),
		origins:     m.texts("origins", origins),
		descriptors: m.texts("descriptors", []string{"face", "body"}),
		orders:      m.texts("orders", nil),
		order:       int(m.number("order", 100, -1e6, 1e6)),
	}
	targets := &reader{m: m.table("targets"), at: "matching.targets."}
	targets.known(origins...)
	c.targets = map[string][]string{}
	for origin := range targets.m {
		c.targets[origin] = targets.texts(origin, nil)
	}
	switch on := m.text("on_error", "skip"); on {
	case "skip":
	case "fail":
		c.failOnError = true
	default:
		m.fault("on_error", "%q is not one of skip, fail", on)
	}
	s.matching = c
	r.faults = append(append(r.faults, m.faults...), targets.faults...)
}
