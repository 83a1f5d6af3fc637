package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// countMatch counts the features of a match that found rows.
func (w *World) countMatch(p probe, c candidates, rows []ranked) {
	set, origin := c.set, c.origin
	if len(rows) == 0 {
		return
	}
	name := Origins[origin]
	w.countFilters("filter of ", origin, set["filters"].(map[string]any))
	w.Seen["reference "+p.echo["type"].(string)+" to "+name]++
	order, _ := set["order"].(string)
	if len(rows) > 1 {
		w.Seen["order "+order+" of "+name]++
	}
	targets, _ := set["targets"].([]any)
	for _, target := range targets {
		if _, ok := rows[0].fields[target.(string)]; ok || target == "similarity" || target == "distance" {
			w.Seen["target "+target.(string)+" of "+name]++
		}
	}
	w.Seen["version "+strconv.Itoa(p.vector.number)]++
	if len(rows) > limit(set) {
		w.Seen["limit"]++
		if rows[limit(set)].distance == rows[limit(set)-1].distance {
			w.Seen["tie at the limit"]++
		}
	}
	if _, ok := set["threshold"]; ok && len(rows) < len(c.objects) {
		w.Seen["threshold"]++
	}
	if by := w.chosenFor(p, c); by != "memory" {
		w.Seen["by "+by]++
	}
	if p.together {
		w.countTogether(p, c, rows)
	}
}

// countTogether counts the features of a match of a reference of type together.
func (w *World) countTogether(p probe, c candidates, rows []ranked) {
	kind := "together best"
	if p.mean {
		kind = "together mean"
	}
	order, _ := c.set["order"].(string)
	w.Seen[kind]++
	w.Seen[kind+" order "+order]++
	w.Seen["together of "+strconv.Itoa(len(p.parts))]++
	if len(rows) > limit(c.set) && len(p.parts) > 1 {
		w.Seen[kind+" limit"]++
	}
}

// countPage counts the features of a page that has rows.
func (w *World) countPage(kind string, p page, rows int) {
	if p.after != "" {
		w.Seen[kind+" after"]++
	}
	if p.targets != nil {
		w.Seen[kind+" targets"]++
	}
	if rows > 1 {
		w.Seen[kind+" order "+p.order]++
	}
}

// countFilters counts the names of filters.
func (w *World) countFilters(prefix string, origin int, filters map[string]any) {
	for name := range filters {
		if name != "origin" {
			w.Seen[prefix+Origins[origin]+" "+name]++
		}
	}
}

// Count adds a request and its expected answer to w.Seen.
func (w *World) Count(r *Request, want Outcome) {
	if want.Codes == nil {
		w.Seen[r.Kind]++
		return
	}
	for _, code := range want.Codes {
		w.Seen["error "+strconv.Itoa(code)]++
	}
}

// Uncovered returns a message for each kind of request that was successful too rarely in
// a run of all topologies. seen is the sum of [World.Seen] over the topologies. Short runs
// may cover less.
func Uncovered(seen map[string]int, steps int) []string {
	var faults []string
	want := map[string]int{"by thin": 10, "by table": 50, "by owner": 50, "by copy": 50, "error 31011": 5}
	for origin, name := range Origins {
		for _, f := range filtersOf(origin) {
			if origin == attributeOrigin && (f.name == "external_ids" || f.name == "user_data") {
				continue // attributes have neither
			}
			want["filter of "+name+" "+f.name] = 5
		}
		for _, target := range targetsOf[origin] {
			want["target "+target+" of "+name] = 5
		}
		for _, order := range []string{"", "similarity", "create_time_asc", "create_time_desc"} {
			want["order "+order+" of "+name] = 20
		}
		for _, kind := range slices.Concat(slices.Collect(maps.Keys(byID)), slices.Collect(maps.Keys(byKey)), []string{"raw_descriptor", "sdk_descriptor", "together"}) {
			want["reference "+kind+" to "+name] = 10
		}
	}
	for origin, names := range groupNames {
		for _, name := range names {
			want["group by "+name+" of "+Origins[origin]] = 5
		}
		want["count of "+Origins[origin]] = 20
	}
	for _, kind := range []string{"face", "event", "attribute", "raw_descriptor", "face_external_id", "event_external_id", "event_track_id"} {
		want["exclude_self of "+kind] = 5
	}
	for _, m := range models {
		want["version "+strconv.Itoa(m.number)] = 20
	}
	for _, kind := range []string{
		"match", "raw", "cross", "get face", "get event", "get attribute", "get list", "page of faces", "page of events", "page of lists",
		"page of attributes", "page of attributes after", "page of attributes targets", "page of attributes order create_time_asc",
		"find attributes", "find attributes after", "find attributes targets", "delete attributes", "delete found attributes",
		"find faces", "find events", "delete found faces", "delete found events",
		"page of faces after", "page of events after", "page of lists after", "find faces after", "find events after",
		"page of faces targets", "page of events targets", "find faces targets", "find events targets",
		"page of faces order create_time_asc", "page of events order create_time_desc", "find faces order create_time_desc", "find events order create_time_asc",
		"export faces", "export events", "create face", "create events", "put face", "put attribute", "patch face", "delete face",
		"delete event", "delete attribute", "delete faces", "delete events", "attach", "detach", "create list", "patch list", "delete list",
		"numbers in a body", "numbers of face", "numbers of event", "numbers of faces", "numbers of events", "numbers in an export",
		"together best", "together mean", "together mean order create_time_desc", "together without objects", "together of 3",
		"delete list with faces", "import faces", "import events", "limit", "tie at the limit", "threshold",
		"group of several rows", "tie across groups", "offset", "offset beyond the end", "count above a threshold", "in both codecs", "null in find",
		"lines", "lines of several rows", "lines of several pairs",
		"error 12022", "error 12026", "error 12036", "error 22001", "error 22002", "error 22003", "error 22004", "error 22005",
		"error 22006", "error 22007", "error 22008", "error 31000", "error 31001", "error 31002", "error 31005", "error 31007",
	} {
		want[kind] = 1
	}
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		if n := want[kind]; steps >= 10_000 && seen[kind] < n || steps >= 5000 && seen[kind] == 0 {
			faults = append(faults, fmt.Sprintf("%q was successful %d times, want %d", kind, seen[kind], n))
		}
	}
	return faults
}
