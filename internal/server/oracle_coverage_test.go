package server_test

import (
	"maps"
	"slices"
	"testing"
)

// noteMatch counts what a match with rows was asked with.
func (w *world) noteMatch(p probe, c candidates, rows []ranked) {
	set, origin := c.set, c.origin
	if len(rows) == 0 {
		return
	}
	name := origins[origin]
	w.noteFilters("filter of ", origin, set["filters"].(map[string]any))
	w.seen["reference "+p.echo["type"].(string)+" to "+name]++
	order, _ := set["order"].(string)
	if len(rows) > 1 {
		w.seen["order "+order+" of "+name]++
	}
	targets, _ := set["targets"].([]any)
	for _, target := range targets {
		if _, ok := rows[0].fields[target.(string)]; ok || target == "similarity" || target == "distance" {
			w.seen["target "+target.(string)+" of "+name]++
		}
	}
	w.seen["version "+itoa(p.vector.number)]++
	if len(rows) > limit(set) {
		w.seen["limit"]++
		if rows[limit(set)].distance == rows[limit(set)-1].distance {
			w.seen["tie at the limit"]++
		}
	}
	if _, ok := set["threshold"]; ok && len(rows) < len(c.things) {
		w.seen["threshold"]++
	}
	if w.chosen(w, set) != "memory" {
		w.seen["by "+w.chosen(w, set)]++
	}
}

func (w *world) noteFilters(how string, origin int, filters map[string]any) {
	for name := range filters {
		if name != "origin" {
			w.seen[how+origins[origin]+" "+name]++
		}
	}
}

// coverage fails when something was never asked, or hardly.
func coverage(t *testing.T, seen map[string]int, steps int) {
	t.Helper()
	want := map[string]int{"by thin": 20, "by table": 50, "by there": 50, "by copy": 50, "error 31011": 5}
	for origin, name := range origins {
		for _, f := range filtersOf(origin) {
			if origin == inAttributes && (f.name == "external_ids" || f.name == "user_data") {
				continue // they have neither
			}
			want["filter of "+name+" "+f.name] = 5
		}
		for _, target := range targetsOf[origin] {
			want["target "+target+" of "+name] = 5
		}
		for _, order := range []string{"", "similarity", "create_time_asc", "create_time_desc"} {
			want["order "+order+" of "+name] = 20
		}
		for _, kind := range slices.Concat(slices.Collect(maps.Keys(byID)), slices.Collect(maps.Keys(byKey)), []string{"raw_descriptor", "sdk_descriptor"}) {
			want["reference "+kind+" to "+name] = 10
		}
	}
	for _, m := range models {
		want["version "+itoa(m.number)] = 20
	}
	for _, kind := range []string{
		"match", "raw", "cross", "get face", "get event", "get attribute", "get list", "page of faces", "page of events", "page of lists",
		"export faces", "export events", "create face", "create events", "put face", "put attribute", "patch face", "delete face",
		"delete event", "delete attribute", "delete faces", "delete events", "attach", "detach", "create list", "patch list", "delete list",
		"delete list with faces", "import faces", "import events", "limit", "tie at the limit", "threshold", "in both codecs",
		"error 12022", "error 12026", "error 12036", "error 22001", "error 22002", "error 22003", "error 22004", "error 22005",
		"error 22006", "error 22007", "error 22008", "error 31000", "error 31001", "error 31002", "error 31005", "error 31007",
	} {
		want[kind] = 2
	}
	for _, what := range slices.Sorted(maps.Keys(want)) {
		if n := want[what]; steps >= 10_000 && seen[what] < n || steps >= 5000 && seen[what] == 0 {
			t.Errorf("%q was asked %d times with success, want %d", what, seen[what], n)
		}
	}
}
