package server_test

import (
	"maps"
	"slices"
	"strings"
)

// listed is a list.
type listed struct{ id, account, userData string }

func (h *holding) list(id string) *listed {
	if i := slices.IndexFunc(h.lists, func(l *listed) bool { return l.id == id }); i >= 0 {
		return h.lists[i]
	}
	return nil
}

// joins reports whether things of an account can be in l: they do not belong
// to two accounts.
func (l *listed) joins(account string) bool {
	return l.account == "" || account == "" || l.account == account
}

// listsFor are some lists that things of an account can be in, by id.
func (w *world) listsFor(account string) []any {
	lists := []any{}
	for _, l := range w.lists {
		if l.joins(account) && w.chance(0.3) {
			lists = append(lists, l.id)
		}
	}
	slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return lists
}

// admit completes a new thing by the account of the query, and finds the first
// error of its account and lists; had are lists that it is in already.
func (w *world) admit(t *thing, account string, had []any) int {
	if t.account() == "" && account != "" {
		t.fields["account_id"] = account
	}
	if account != "" && t.account() != account {
		return 31000
	}
	lists, _ := t.fields["lists"].([]any)
	for _, id := range lists {
		if slices.Contains(had, id) {
			continue
		}
		if l := w.list(id.(string)); l == nil || account != "" && l.account != account || !l.joins(t.account()) {
			return 22002
		}
	}
	return 0
}

// keep puts t in place of the thing of its id, if there is one.
func (w *world) keep(t *thing) {
	if old := w.find(t.origin, t.id); old != nil {
		*old = *t
	} else {
		w.things[t.origin] = append(w.things[t.origin], t)
	}
}

func (w *world) remove(origin int, gone func(*thing) bool) (deleted int) {
	before := len(w.things[origin])
	w.things[origin] = slices.DeleteFunc(w.things[origin], gone)
	return before - len(w.things[origin])
}

// create answers POST of new things; all or none.
func (w *world) create(things []*thing, account string) outcome {
	exists := map[int]int{inFaces: 22003, inEvents: 22006}
	ids := []any{}
	code := 0
	for _, t := range things { // what the bodies say of accounts comes first
		if code == 0 && account != "" && t.account() != "" && t.account() != account {
			code = 31000
		}
	}
	for i, t := range things {
		if code == 0 && (w.find(t.origin, t.id) != nil || slices.ContainsFunc(things[:i], func(o *thing) bool { return o.id == t.id })) {
			code = exists[t.origin]
		}
		if code == 0 {
			code = w.admit(t, account, nil)
		}
		ids = append(ids, t.id)
	}
	if code != 0 {
		return refused(code)
	}
	for _, t := range things {
		w.keep(t)
	}
	if things[0].origin == inFaces {
		return outcome{status: 201, body: map[string]any{"face_id": ids[0]}}
	}
	return outcome{status: 201, body: map[string]any{"event_ids": ids}}
}

// put answers PUT.
func (w *world) put(t *thing, account string) outcome {
	old, status := w.find(t.origin, t.id), 200
	if old == nil {
		status = 201
	}
	if account != "" && t.account() != "" && t.account() != account {
		return refused(31000)
	}
	if old != nil && !old.visible(account) {
		return refused(12026)
	}
	if code := w.admit(t, account, nil); code != 0 {
		return refused(code)
	}
	w.keep(t)
	return outcome{status: status, body: map[string]any{singulars[t.origin] + "_id": t.id}}
}

// patch answers PATCH of a face: fields and, unless it is nil, v are set, null
// clears.
func (w *world) patch(id string, fields map[string]any, v *vector, account string) outcome {
	t := w.find(inFaces, id)
	if t == nil || !t.visible(account) {
		return refused(22004)
	}
	had, _ := t.fields["lists"].([]any)
	changed := &thing{origin: inFaces, id: id, fields: maps.Clone(t.fields), vectors: t.vectors}
	for name, value := range fields {
		if changed.fields[name] = value; value == nil {
			delete(changed.fields, name)
			if name == "lists" {
				changed.fields[name] = []any{}
			}
		}
	}
	if v != nil {
		changed.vectors[0] = v
	}
	if code := w.admit(changed, account, had); code != 0 {
		return refused(code)
	}
	w.keep(changed)
	return outcome{status: 200, body: map[string]any{"face_id": id}}
}

// get answers GET of one thing.
func (w *world) get(origin int, id string, r *request) outcome {
	t := w.find(origin, id)
	switch {
	case t == nil || !t.visible(r.account()):
		return refused(notFound[origin])
	case r.query["descriptor"] == "1":
		return outcome{status: 200, body: t.whole()}
	}
	return outcome{status: 200, body: maps.Clone(t.fields)}
}

// delete answers DELETE of one thing.
func (w *world) delete(origin int, id, account string) outcome {
	if t := w.find(origin, id); t == nil || !t.visible(account) {
		return refused(notFound[origin])
	}
	w.remove(origin, func(t *thing) bool { return t.id == id })
	return outcome{status: 204}
}

// chosenBy are the visible things that the filters of a query select, by id.
func (w *world) chosenBy(origin int, r *request) []*thing {
	filters := maps.Clone(r.filters)
	filters["origin"] = origins[origin]
	_, all := w.selected(w.holding, filters, r.account())
	slices.SortFunc(all, func(a, b *thing) int { return strings.Compare(a.id, b.id) })
	return all
}

// page answers GET of things by filters.
func (w *world) page(origin, page, size int, r *request) outcome {
	all := w.chosenBy(origin, r)
	shown := []any{}
	for _, t := range all[min(len(all), (page-1)*size):min(len(all), page*size)] {
		if r.query["descriptor"] == "1" {
			shown = append(shown, t.whole())
		} else {
			shown = append(shown, maps.Clone(t.fields))
		}
	}
	if len(shown) > 0 {
		w.noteFilters("query of ", origin, r.filters)
	}
	return outcome{status: 200, body: map[string]any{origins[origin]: shown, "count": float64(len(all))}}
}

// export answers GET /1/export; the driver sorts the lines by id.
func (w *world) export(origin int, r *request) outcome {
	lines := []any{}
	for _, t := range w.chosenBy(origin, r) {
		lines = append(lines, t.whole())
	}
	return outcome{status: 200, body: lines}
}

// deleteBy answers DELETE of things by filters.
func (w *world) deleteBy(origin int, r *request) outcome {
	if len(r.filters) == 0 {
		return refused(12022)
	}
	gone := w.chosenBy(origin, r)
	w.remove(origin, func(t *thing) bool { return slices.Contains(gone, t) })
	return outcome{status: 200, body: map[string]any{"deleted": float64(len(gone))}}
}

// importThing takes a line of an import: t in place of the thing of its id;
// add is one more list. It reports whether the line is accepted.
func (w *world) importThing(t *thing, hasLists bool, add, account string) bool {
	if account != "" && t.account() == "" {
		t.fields["account_id"] = account
	}
	old := w.find(t.origin, t.id)
	if account != "" && t.account() != account || old != nil && !old.visible(account) {
		return false
	}
	if t.origin != inFaces {
		w.keep(t)
		return true
	}
	lists := []any{}
	if hasLists {
		lists = append(lists, t.fields["lists"].([]any)...)
	} else if old != nil {
		lists = append(lists, old.fields["lists"].([]any)...)
	}
	if add != "" {
		lists = append(lists, add)
	}
	slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	lists = slices.Compact(lists)
	for _, id := range lists {
		if l := w.list(id.(string)); l != nil && (account != "" && l.account != account || !l.joins(t.account())) {
			return false
		}
	}
	for _, id := range lists {
		if w.list(id.(string)) == nil {
			w.lists = append(w.lists, &listed{id: id.(string), account: t.account()})
		}
	}
	t.fields["lists"] = lists
	w.keep(t)
	return true
}
