package lua

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
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

// reader reads fields of a table and keeps the faults.
type reader struct {
	m      map[string]any
	at     string
	faults []error
}

func (r *reader) fault(field, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s%s: "+format, append([]any{r.at, field}, args...)...))
}

func (r *reader) text(field, other string) string {
	switch v := r.m[field].(type) {
	case nil:
		return other
	case string:
		return v
	default:
		r.fault(field, "%v is not a text", v)
		return other
	}
}

func (r *reader) number(field string, other, low, high float64) float64 {
	switch v := r.m[field].(type) {
	case nil:
		return other
	case float64:
		if v >= low && v <= high {
			return v
		}
	}
	r.fault(field, "%v is not a number from %v to %v", r.m[field], low, high)
	return other
}

// texts is a list of texts, each of allowed if that is not nil.
func (r *reader) texts(field string, allowed []string) []string {
	var out []string
	for i, item := range r.list(field) {
		text, ok := item.(string)
		switch {
		case !ok:
			r.fault(field, "[%d]: %v is not a text", i+1, item)
		case allowed != nil && !slices.Contains(allowed, text):
			r.fault(field, "[%d]: %q is not one of %q", i+1, text, allowed)
		case slices.Contains(out, text):
			r.fault(field, "[%d]: %q is there twice", i+1, text)
		default:
			out = append(out, text)
		}
	}
	return out
}

func (r *reader) list(field string) []any {
	switch v := r.m[field].(type) {
	case nil, vm.Empty:
	case []any:
		return v
	default:
		r.fault(field, "is not a list")
	}
	return nil
}

func (r *reader) table(field string) map[string]any {
	switch v := r.m[field].(type) {
	case nil, vm.Empty:
	case map[string]any:
		return v
	default:
		r.fault(field, "is not a table with string keys")
	}
	return nil
}

// known refuses other fields.
func (r *reader) known(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(r.m)) {
		if !slices.Contains(names, name) {
			r.fault(name, "is unknown; there are %q", names)
		}
	}
}

// fieldNames are the fields of a plugin's table beside hooks.
var fieldNames = []string{
	"api", "name", "version", "kinds", "events", "permissions", "schema", "states", "limits", "matching",
}

// parseShape checks the value that a plugin's file returned. Other fields
// than the contract's are refused, lest a misspelt one go unnoticed, unless
// they are functions or begin with an underscore.
func parseShape(entry string, value any) (shape, error) {
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
	s.states = int(r.number("states", 1, 1, maxStates))
	s.parseLimits(r)
	s.parseHooks(r)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		_, isFunction := m[name].(*vm.Func)
		if !isFunction && !strings.HasPrefix(name, "_") && !slices.Contains(fieldNames, name) && !slices.Contains(hookNames, name) {
			r.fault(name, "is unknown; there are %q; the plugin's own begin with an underscore", fieldNames)
		}
	}
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
			limits.fault(name, "is unknown; there are memory, slice, %q", slices.Sorted(maps.Keys(s.limits)))
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

func (s *shape) parseHooks(r *reader) {
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
