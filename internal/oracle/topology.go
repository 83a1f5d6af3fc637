package oracle

import (
	"slices"
	"strings"
)

// Topology says how the servers under test work together. Server 0 gets all
// requests, except writes that server 1 owns.
type Topology struct {
	Name    string
	Percent int  // of the requests of all topologies
	Remote  bool // server 0 has server 1 as a remote
	Copies  bool // server 1 is a replica: it gets all writes too

	prefilters []prefilter // of the plugins, in their order

	// owns returns the server that has all objects that filters can select, -1
	// when no server has all of them; nil: server 0.
	owns func(w *World, filters map[string]any) int
	// home returns the server that a new object goes to; nil: server 0.
	home func(w *World, origin int) int
	// refusable reports whether server 0 must refuse a write, because server 1 owns the data.
	refusable func(w *World, r *Request) bool
	// chosen returns the name of the matcher that answers for a candidate set.
	chosen func(w *World, set map[string]any) string
}

// prefilter is the model of a plugin that narrows candidate sets.
type prefilter struct {
	name    string
	origins string // initials of the origins
	passes  func(*object) bool
}

// Names of matchers in plans.
const (
	ReplicaName = "copy"  // a remote with the same objects
	OwnerName   = "owner" // a remote that owns objects
)

// pluginMatchers are the plugins that answer for some candidate sets. They
// decide which rows they examine, so the counts of their plans are not compared.
var pluginMatchers = []string{"thin", "table"}

// Topologies are the topologies that tests run.
var Topologies = []Topology{
	{Name: "memory", Percent: 40, chosen: chosenMemory},
	{
		Name: "plugins", Percent: 20,
		prefilters: []prefilter{
			{"adults", "fe", func(o *object) bool { age, ok := o.fields["age"].(float64); return ok && age >= 18 }},
			{"unmasked", "e", func(o *object) bool { mask, _ := o.fields["mask"].(float64); return mask < 2 }},
		},
		chosen: chosenPlugin,
	},
	{
		Name: "owner of events", Percent: 14, Remote: true,
		owns: func(_ *World, filters map[string]any) int { return serverOfEvents(filters["origin"] == "events") },
		home: func(_ *World, origin int) int { return serverOfEvents(origin == eventOrigin) },
		refusable: func(_ *World, r *Request) bool {
			return strings.Contains(r.Kind, "event") && (r.Kind != "delete events" || len(r.filters) > 0)
		},
		chosen: chosenOwner,
	},
	{
		Name: "owner of lists", Percent: 14, Remote: true,
		owns: ownerOfLists,
		home: func(w *World, origin int) int {
			if origin == faceOrigin && w.Chance(0.4) {
				return 1
			}
			return 0
		},
		refusable: namesOwnedList,
		chosen:    chosenOwner,
	},
	{
		Name: "replica", Percent: 12, Remote: true, Copies: true,
		chosen: func(*World, map[string]any) string { return ReplicaName },
	},
}

func chosenMemory(*World, map[string]any) string { return "memory" }

// chosenOwner returns the matcher of the server that holds the set.
func chosenOwner(w *World, set map[string]any) string {
	if h, ok := w.owner(set["filters"]); ok && h == w.holdings[1] {
		return OwnerName
	}
	return "memory"
}

// chosenPlugin follows the costs that the plugins of the topology return.
func chosenPlugin(_ *World, set map[string]any) string {
	filters := set["filters"].(map[string]any)
	order, _ := set["order"].(string)
	switch {
	case isRanked(set):
		return "memory"
	case filters["origin"] == "faces" && filters["list_id"] != nil && (order == "" || order == "similarity") && limit(set) != 2:
		return "thin"
	case filters["origin"] != "faces" && limit(set)%2 == 0:
		return "table"
	}
	return "memory"
}

func serverOfEvents(isEvent bool) int {
	if isEvent {
		return 1
	}
	return 0
}

// ownerOfLists returns the server that owns all lists that filters name.
func ownerOfLists(w *World, filters map[string]any) int {
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
}

// namesOwnedList reports whether a write names a list of server 1.
func namesOwnedList(w *World, r *Request) bool {
	names := r.URL()
	if r.filters != nil {
		return false // filters may name lists of both servers
	}
	if r.Path == "/1/lists" || r.Path == "/1/linker" {
		names += JSON(r.Body.(map[string]any)["list_id"])
	}
	return slices.ContainsFunc(w.holdings[1].listIDs, func(id string) bool { return strings.Contains(names, id) })
}
