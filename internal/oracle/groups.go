package oracle

import (
	"slices"
	"strings"

	"nearside/internal/testkit"
)

// groupNames are the fields by which objects of each origin can be grouped.
var groupNames = [3][]string{
	faceOrigin:  {"external_id", "user_data"},
	eventOrigin: {"external_id", "user_data", "face_id", "track_id", "source"},
}

// self names an object that a reference stands for.
type self struct {
	kind string // face, event or attribute
	id   string
}

// selfsOf returns the object of a reference with a descriptor, if it names one.
func selfsOf(ref map[string]any) []self {
	key, ok := ref["object"].(map[string]any)
	if !ok {
		return nil
	}
	return []self{{key["type"].(string), strings.ToLower(key["id"].(string))}}
}

// isSelf reports whether p stands for an object.
func (p probe) isSelf(origin int, id string) bool {
	return slices.Contains(p.selfs, self{singulars[origin], id})
}

// withoutSelf returns rows without the objects of the reference, if the set excludes them.
func withoutSelf(p probe, c candidates, rows []ranked) []ranked {
	if c.set["exclude_self"] != true {
		return rows
	}
	return slices.DeleteFunc(rows, func(r ranked) bool { return p.isSelf(r.origin, r.id) })
}

// groupValue returns the value by which a candidate set groups o, "" if o has none.
func groupValue(set map[string]any, o *object) string {
	group := set["group"].(map[string]any)
	value, _ := o.field(group["by"].(string))
	text, _ := value.(string)
	return text
}

// inGroups divides rows, which are in the order of the answer, into groups. Without a
// group in the set, each row is a group.
func inGroups(set map[string]any, rows []ranked) (groups [][]ranked) {
	_, grouped := set["group"]
	for _, r := range rows {
		at := -1
		if grouped && groupValue(set, r.object) != "" {
			at = slices.IndexFunc(groups, func(g []ranked) bool { return groupValue(set, g[0].object) == groupValue(set, r.object) })
		}
		if at >= 0 {
			groups[at] = append(groups[at], r)
		} else {
			groups = append(groups, []ranked{r})
		}
	}
	return groups
}

// pageOfGroups returns the rows of the answer.
func pageOfGroups(set map[string]any, groups [][]ranked) (rows []ranked) {
	offset, _ := set["offset"].(float64)
	groups = groups[min(int(offset), len(groups)):]
	size := 1
	if group, ok := set["group"].(map[string]any); ok {
		if n, ok := group["size"].(float64); ok {
			size = int(n)
		}
	}
	for _, g := range groups[:min(limit(set), len(groups))] {
		rows = append(rows, g[:min(size, len(g))]...)
	}
	return rows
}

// isRanked reports whether a set has fields that only the local matcher and remotes know.
func isRanked(set map[string]any) bool {
	offset, _ := set["offset"].(float64)
	return set["group"] != nil || offset > 0 || set["count"] == true || set["exclude_self"] == true
}

// rankingFields sets a random group, offset, count and exclude_self.
func (w *World) rankingFields(set map[string]any, origin int) {
	if names := groupNames[origin]; names != nil && w.Chance(0.3) {
		group := map[string]any{"by": testkit.Pick(w.rng, names...)}
		if w.Chance(0.6) {
			group["size"] = float64(1 + w.rng.IntN(10))
		}
		set["group"] = group
	}
	if w.Chance(0.3) {
		set["offset"] = float64(testkit.Pick(w.rng, []int{0, 1, 2, 5, 10, 40, 3000}...))
	}
	if w.Chance(0.3) {
		set["count"] = w.Chance(0.9)
	}
	if w.Chance(0.3) {
		set["exclude_self"] = w.Chance(0.9)
	}
}

// randomSelf returns the object field of a reference with a descriptor.
func (w *World) randomSelf() map[string]any {
	origin := w.rng.IntN(3)
	id := w.idOfObject(origin, func(*object) bool { return true })
	if w.Chance(0.1) {
		id = strings.ToUpper(id)
	}
	return map[string]any{"type": singulars[origin], "id": id}
}

// spoilRanking puts a mistake into the group, the offset, the count or exclude_self of a
// set, or into the object of a reference.
func (w *World) spoilRanking(ref, set map[string]any) {
	by := "external_id"
	origin := slices.Index(Origins[:], set["filters"].(map[string]any)["origin"].(string))
	switch w.rng.IntN(6) {
	case 0:
		set["offset"] = testkit.Pick(w.rng, []any{-1.0, 0.5, "1", nil, 100_001.0}...)
	case 1:
		set["count"] = testkit.Pick(w.rng, []any{1.0, "true", nil}...)
	case 2:
		set["exclude_self"] = testkit.Pick(w.rng, []any{1.0, "", nil}...)
	case 3:
		set["group"] = testkit.Pick(w.rng, []any{
			nil, "external_id",
			map[string]any{},
			map[string]any{"by": nil},
			map[string]any{"by": by, "limit": 1.0},
			map[string]any{"by": by, "size": 0.0},
			map[string]any{"by": by, "size": 11.0},
			map[string]any{"by": by, "size": 1.5},
		}...)
	case 4:
		wrong := [3][]string{{"source", "face_id", "track_id", "age"}, {"event_id", "age", "top_match"}, {"external_id", "user_data"}}
		set["group"] = map[string]any{"by": testkit.Pick(w.rng, wrong[origin]...)}
	default:
		ref["object"] = testkit.Pick(w.rng, []any{
			nil, "face",
			map[string]any{"type": "face"},
			map[string]any{"id": w.ids[0]},
			map[string]any{"type": "faces", "id": w.ids[0]},
			map[string]any{"type": "face", "id": "x"},
			map[string]any{"type": "face", "id": w.ids[0], "name": "x"},
		}...)
	}
}

// countRanking counts the features of a match whose groups are found.
func (w *World) countRanking(p probe, c candidates, rows []ranked, groups [][]ranked) {
	set, name := c.set, Origins[c.origin]
	if group, ok := set["group"].(map[string]any); ok && len(groups) < len(rows) {
		w.Seen["group by "+group["by"].(string)+" of "+name]++
		if size, ok := group["size"].(float64); ok && size > 1 {
			w.Seen["group of several rows"]++
		}
		if n := limit(set); n < len(groups) && groups[n-1][0].distance == groups[n][0].distance {
			w.Seen["tie across groups"]++
		}
	}
	switch offset, _ := set["offset"].(float64); {
	case offset > 0 && int(offset) < len(groups):
		w.Seen["offset"]++
	case offset > 0:
		w.Seen["offset beyond the end"]++
	}
	if set["count"] == true {
		w.Seen["count of "+name]++
		if threshold, _ := set["threshold"].(float64); threshold > 0 {
			w.Seen["count above a threshold"]++
		}
	}
	if set["exclude_self"] == true && slices.ContainsFunc(c.objects, func(o *object) bool { return p.isSelf(o.origin, o.id) }) {
		w.Seen["exclude_self of "+p.echo["type"].(string)]++
	}
}
