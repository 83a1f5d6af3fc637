package oracle

import (
	"cmp"
	"slices"
	"strings"
)

// ranked is an object with its distance from the reference.
type ranked struct {
	*object
	distance, similarity float64
}

// candidates is a candidate set with the objects that it selects.
type candidates struct {
	set        map[string]any
	origin     int
	objects    []*object
	prefilters []any // in the plan
}

// owner returns the server that has all objects that filters can select, or false if no
// server has all of them.
func (w *World) owner(filters any) (*holding, bool) {
	if w.Topology.owns == nil {
		return w.holdings[0], true
	}
	n := w.Topology.owns(w, filters.(map[string]any))
	if n < 0 {
		return nil, false
	}
	return w.holdings[n], true
}

// selectCandidates applies the filters and the prefilters of a candidate set.
func (w *World) selectCandidates(set map[string]any, account string) candidates {
	c := candidates{set: set, prefilters: []any{}}
	at, ok := w.owner(set["filters"])
	if !ok {
		return c
	}
	c.origin, c.objects = w.selected(at, set["filters"], account)
	for _, p := range w.Topology.prefilters {
		if strings.Contains(p.origins, Origins[c.origin][:1]) {
			before := len(c.objects)
			c.objects = slices.DeleteFunc(c.objects, func(o *object) bool { return !p.passes(o) })
			c.prefilters = append(c.prefilters, map[string]any{"plugin": p.name, "before": float64(before), "after": float64(len(c.objects))})
		}
	}
	return c
}

// compareWith returns the item of an answer for one reference and one candidate set.
func (w *World) compareWith(p probe, c candidates, explain bool) map[string]any {
	item := map[string]any{"filters": c.set["filters"], "result": []any{}}
	if label, ok := c.set["label"]; ok {
		item["label"] = label
	}
	if c.set["count"] == true {
		item["count"] = 0.0
	}
	if p.vector == nil {
		if p.together {
			w.Seen["together without objects"]++
		}
		if explain {
			item["plan"] = map[string]any{"prefilters": []any{}}
		}
		return item
	}
	rows := withoutSelf(p, c, w.rank(p, c))
	groups := inGroups(c.set, rows)
	item["result"] = showRows(pageOfGroups(c.set, groups), c)
	if c.set["count"] == true {
		item["count"] = float64(len(groups))
	}
	if explain {
		plan := map[string]any{"prefilters": c.prefilters, "by": w.chosenFor(p, c)}
		item["plan"] = plan
		if !slices.Contains(pluginMatchers, plan["by"].(string)) {
			compared := 0
			for _, o := range c.objects {
				if o.hasVersion(p.vector.model) {
					compared++
				}
			}
			plan["rows_selected"], plan["rows_other_version"], plan["rows_scanned"] = float64(len(c.objects)), float64(len(c.objects)-compared), float64(compared)
		}
	}
	w.countMatch(p, c, rows)
	w.countRanking(p, c, rows, groups)
	return item
}

// chosenFor returns the name of the matcher that answers. Plugins do not answer references
// of type together.
func (w *World) chosenFor(p probe, c candidates) string {
	by := w.Topology.chosen(w, c.set)
	if p.together && slices.Contains(pluginMatchers, by) {
		return "memory"
	}
	return by
}

// limit returns the limit of a candidate set.
func limit(set map[string]any) int {
	if n, ok := set["limit"].(float64); ok {
		return int(n)
	}
	return 5
}

// hasVersion reports whether o has a descriptor of a version.
func (o *object) hasVersion(m *model) bool {
	v := o.vectors[vectorIndex(m.body)]
	return v != nil && v.model == m
}

// rank returns the rows that pass the threshold, in the order of the answer.
func (w *World) rank(p probe, c candidates) []ranked {
	threshold, _ := c.set["threshold"].(float64)
	var rows []ranked
	for _, o := range c.objects {
		if !o.hasVersion(p.vector.model) {
			continue
		}
		if d, s := p.figures(o.vectors[vectorIndex(p.vector.body)]); s >= threshold {
			rows = append(rows, ranked{o, d, s})
		}
	}
	slices.SortFunc(rows, func(a, b ranked) int {
		first := cmp.Or(cmp.Compare(b.similarity, a.similarity), cmp.Compare(a.distance, b.distance))
		switch c.set["order"] {
		case "create_time_asc":
			first = strings.Compare(a.time(), b.time())
		case "create_time_desc":
			first = strings.Compare(b.time(), a.time())
		}
		return cmp.Or(first, strings.Compare(a.id, b.id))
	})
	return rows
}

// showRows returns rows as a client gets them.
func showRows(rows []ranked, c candidates) []any {
	targets, _ := c.set["targets"].([]any)
	all := []any{}
	for _, r := range rows {
		row := map[string]any{singulars[c.origin]: r.shown(targets)}
		if c.set["group"] != nil && groupValue(c.set, r.object) != "" {
			row["group"] = groupValue(c.set, r.object)
		}
		if targets == nil || slices.Contains(targets, any("similarity")) {
			row["similarity"] = r.similarity
		}
		if targets == nil || slices.Contains(targets, any("distance")) {
			row["distance"] = r.distance
		}
		all = append(all, row)
	}
	return all
}
