package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/remote"
)

// topology is the servers under test, and how they differ from one with
// nothing but its memory.
type topology struct {
	name       string
	percent    int               // of all requests
	plugins    map[string]string // sources by name
	prefilters []prefilter       // of plugins, in their order

	// remote is what the server knows of another one; without copies, that one
	// owns something.
	remote func(w *world) remote.Config
	copies bool // the other one gets all writes, too
	// owns says which server has all that filters are about, -1: none.
	owns func(w *world, filters map[string]any) int
	// home is the server that a new thing goes to.
	home func(w *world, origin int) int
	// refusable reports whether the first server refuses such a write.
	refusable func(w *world, r *request) bool

	chosen func(w *world, set map[string]any) string // the matcher that answers
}

// prefilter is a plugin that narrows sets of some origins.
type prefilter struct {
	name, origins string
	passes        func(*thing) bool
}

// open starts the servers.
func (w *world) open(t *testing.T) []*service {
	common := func(s *settings) {
		s.versions, s.now = registered(), func() time.Time { return w.now }
		s.limits.FilterValues, s.cross = w.bounds.values, w.bounds.cross
	}
	var other *service
	if w.remote != nil {
		other = start(t, common, func(s *settings) { s.limits.References = 1000 })
	}
	first := start(t, common, func(s *settings) {
		s.limits.References, s.plugins = w.bounds.references, w.plugins
		if other != nil {
			c := w.remote(w)
			c.URL, c.Timeout, c.MaxInflight = "http://"+other.address, time.Minute, 16
			s.remotes = []remote.Config{c}
		}
	})
	if other == nil {
		return []*service{first}
	}
	return []*service{first, other}
}

// patient begins plugins: their budgets are of a machine that is not busy.
const patient = "local slow = {cost = 60, prefilter = 60, slice = 1}\n"

func byMemory(*world, map[string]any) string { return "memory" }

// byOwner is who holds the set.
func byOwner(w *world, set map[string]any) string {
	if h, ok := w.owner(set["filters"]); ok && h == w.holdings[1] {
		return "there"
	}
	return "memory"
}

// topologies are the servers that TestOracle asks.
var topologies = []topology{
	{name: "memory", percent: 40, chosen: byMemory},
	{
		name: "plugins", percent: 20,
		plugins: map[string]string{
			"adults": patient + `return {api = 1, name = "adults", kinds = {"matching"}, limits = slow, matching = {on_error = "fail", order = 10, origins = {"faces", "events"}},
				prefilter = function(self, req, set) return set:where("age", ">=", 18) end}`,
			"unmasked": patient + `return {api = 1, name = "unmasked", kinds = {"matching"}, limits = slow, matching = {on_error = "fail", order = 20, origins = {"events"}},
				prefilter = function(self, req, set) return set - set:one_of("mask", {2, 3}) end}`,
			"thin": patient + `return {api = 1, name = "thin", kinds = {"matching"}, limits = slow, matching = {origins = {"faces"}, orders = {"similarity"}},
				cost = function(self, req) if req.filters.list_id then return 10 end end,
				match = function(self, req, set) if req.limit == 2 then return nil end return set:scan(req.limit) end}`,
			"table": patient + `return {api = 1, name = "table", kinds = {"matching"}, limits = slow, matching = {origins = {"events", "attributes"}},
				cost = function(self, req) if req.limit % 2 == 0 then return 20 end end,
				match = function(self, req, set)
					local rows = {}
					for i, row in ipairs(set:to_table(10000)) do rows[i] = {id = row[req.origin == "events" and "event_id" or "attribute_id"]} end
					return rows
				end}`,
		},
		prefilters: []prefilter{
			{"adults", "fe", func(t *thing) bool { age, ok := t.fields["age"].(float64); return ok && age >= 18 }},
			{"unmasked", "e", func(t *thing) bool { mask, _ := t.fields["mask"].(float64); return mask < 2 }},
		},
		chosen: func(_ *world, set map[string]any) string {
			filters := set["filters"].(map[string]any)
			order, _ := set["order"].(string)
			switch {
			case filters["origin"] == "faces" && filters["list_id"] != nil && (order == "" || order == "similarity") && limit(set) != 2:
				return "thin"
			case filters["origin"] != "faces" && limit(set)%2 == 0:
				return "table"
			}
			return "memory"
		},
	},
	{
		name: "owner of events", percent: 14,
		remote: func(*world) remote.Config {
			return remote.Config{Name: "there", Cost: 100, Origins: []matcher.Origin{matcher.Events}}
		},
		owns: func(_ *world, filters map[string]any) int {
			if filters["origin"] == "events" {
				return 1
			}
			return 0
		},
		home: func(_ *world, origin int) int {
			if origin == inEvents {
				return 1
			}
			return 0
		},
		refusable: func(_ *world, r *request) bool {
			return strings.Contains(r.kind, "event") && (r.kind != "delete events" || len(r.filters) > 0)
		},
		chosen: byOwner,
	},
	{
		name: "owner of lists", percent: 14,
		remote: func(w *world) remote.Config {
			c := remote.Config{Name: "there", Cost: 100}
			for _, id := range w.holdings[1].listIDs {
				c.Lists = append(c.Lists, must(matcher.ParseID(id)))
			}
			return c
		},
		owns: func(w *world, filters map[string]any) int {
			lists, _ := filters["lists"].([]any)
			if id, ok := filters["list_id"]; ok {
				lists = append(slices.Clone(lists), id)
			}
			owned := 0
			for _, id := range lists {
				if slices.Contains(w.holdings[1].listIDs, strings.ToLower(id.(string))) {
					owned++
				}
			}
			switch owned {
			case 0:
				return 0
			case len(lists):
				return 1
			}
			return -1
		},
		home: func(w *world, origin int) int {
			if origin == inFaces && w.chance(0.4) {
				return 1
			}
			return 0
		},
		refusable: func(w *world, r *request) bool {
			names := r.url()
			if r.filters != nil {
				return false // it may name lists of both
			}
			if r.path == "/1/lists" || r.path == "/1/linker" {
				names += jsonOf(r.body.(map[string]any)["list_id"])
			}
			return slices.ContainsFunc(w.holdings[1].listIDs, func(id string) bool { return strings.Contains(names, id) })
		},
		chosen: byOwner,
	},
	{
		name: "replica", percent: 12,
		remote: func(*world) remote.Config { return remote.Config{Name: "copy", Cost: 1} },
		copies: true,
		chosen: func(*world, map[string]any) string { return "copy" },
	},
}
