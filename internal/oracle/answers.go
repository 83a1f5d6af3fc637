package oracle

import (
	"maps"
	"slices"
	"strings"
)

// listed is a list.
type listed struct {
	id, account, userData string
	imported              bool // created by an import without an account, and not changed since
}

// list returns the list with an ID, or nil.
func (h *holding) list(id string) *listed {
	if i := slices.IndexFunc(h.lists, func(l *listed) bool { return l.id == id }); i >= 0 {
		return h.lists[i]
	}
	return nil
}

// allows reports whether l may contain things of an account. It may not if l belongs
// to another account.
func (l *listed) allows(account string) bool {
	return l.account == "" || account == "" || l.account == account
}

// listsFor returns random lists that things of an account may be in, ordered by ID.
func (w *World) listsFor(account string) []any {
	lists := []any{}
	for _, l := range w.lists {
		if l.allows(account) && w.Chance(0.3) {
			lists = append(lists, l.id)
		}
	}
	slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return lists
}

// checkThing gives a new thing the account of the query if it has none. It returns the
// code of the first error of its account and lists, or 0. had are the lists that the
// thing is already in.
func (w *World) checkThing(t *thing, account string, had []any) int {
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
		l := w.list(id.(string))
		if l == nil || account != "" && l.account != account {
			return 22002
		}
		if !l.allows(t.account()) {
			return 12026
		}
	}
	return 0
}

// store adds t. It replaces a thing with the same ID.
func (w *World) store(t *thing) {
	if old := w.find(t.origin, t.id); old != nil {
		*old = *t
	} else {
		w.things[t.origin] = append(w.things[t.origin], t)
	}
}

// removeThings removes the things for which gone returns true, and counts them.
func (w *World) removeThings(origin int, gone func(*thing) bool) (deleted int) {
	before := len(w.things[origin])
	w.things[origin] = slices.DeleteFunc(w.things[origin], gone)
	return before - len(w.things[origin])
}

// createThings answers POST of new things. If one cannot be created, none are.
func (w *World) createThings(things []*thing, account string) Outcome {
	exists := map[int]int{faceOrigin: 22003, eventOrigin: 22006}
	ids := []any{}
	code := 0
	for _, t := range things { // the server checks the accounts in the bodies first
		if code == 0 && account != "" && t.account() != "" && t.account() != account {
			code = 31000
		}
	}
	for i, t := range things {
		if code == 0 && (w.find(t.origin, t.id) != nil || slices.ContainsFunc(things[:i], func(o *thing) bool { return o.id == t.id })) {
			code = exists[t.origin]
		}
		if code == 0 {
			code = w.checkThing(t, account, nil)
		}
		ids = append(ids, t.id)
	}
	if code != 0 {
		return refused(code)
	}
	for _, t := range things {
		w.store(t)
	}
	if things[0].origin == faceOrigin {
		return Outcome{Status: 201, Body: map[string]any{"face_id": ids[0]}}
	}
	return Outcome{Status: 201, Body: map[string]any{"event_ids": ids}}
}

// putAnswer answers PUT.
func (w *World) putAnswer(t *thing, account string) Outcome {
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
	var had []any
	if old != nil {
		had, _ = old.fields["lists"].([]any)
		given := t.account()
		if given == "" {
			given = account // filled in
		}
		if given != "" && given != old.account() {
			return refused(12022)
		}
		if old.account() != "" {
			t.fields["account_id"] = old.account()
		}
	}
	if code := w.checkThing(t, account, had); code != 0 {
		return refused(code)
	}
	w.store(t)
	return Outcome{Status: status, Body: map[string]any{singulars[t.origin] + "_id": t.id}}
}

// patchAnswer answers PATCH of a face. It sets fields, and v unless v is nil. A nil
// field is cleared.
func (w *World) patchAnswer(id string, fields map[string]any, v *vector, account string) Outcome {
	t := w.find(faceOrigin, id)
	if given, ok := fields["account_id"]; ok && given == nil {
		return refused(12022)
	}
	if t == nil || !t.visible(account) {
		return refused(22004)
	}
	if given, ok := fields["account_id"]; ok && given != t.account() {
		return refused(12022)
	}
	had, _ := t.fields["lists"].([]any)
	changed := &thing{origin: faceOrigin, id: id, fields: maps.Clone(t.fields), vectors: t.vectors}
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
	if code := w.checkThing(changed, account, had); code != 0 {
		return refused(code)
	}
	w.store(changed)
	return Outcome{Status: 200, Body: map[string]any{"face_id": id}}
}

// getAnswer answers GET of one thing.
func (w *World) getAnswer(origin int, id string, r *Request) Outcome {
	t := w.find(origin, id)
	switch {
	case t == nil || !t.visible(r.account()):
		return refused(notFound[origin])
	case r.Query["descriptor"] == "1":
		return Outcome{Status: 200, Body: t.whole()}
	}
	return Outcome{Status: 200, Body: maps.Clone(t.fields)}
}

// deleteAnswer answers DELETE of one thing.
func (w *World) deleteAnswer(origin int, id, account string) Outcome {
	if t := w.find(origin, id); t == nil || !t.visible(account) {
		return refused(notFound[origin])
	}
	w.removeThings(origin, func(t *thing) bool { return t.id == id })
	return Outcome{Status: 204}
}

// selectedBy returns the things that the filters of r select, ordered by ID.
func (w *World) selectedBy(origin int, r *Request) []*thing {
	filters := maps.Clone(r.filters)
	filters["origin"] = Origins[origin]
	_, all := w.selected(w.holding, filters, r.account())
	slices.SortFunc(all, func(a, b *thing) int { return strings.Compare(a.id, b.id) })
	return all
}

// page says which things a page shows, and how.
type page struct {
	number, size int // number is from 1; 0: the default
	after, order string
	targets      []any // nil: all fields
}

// pageAnswer answers a request for a page of things.
func (w *World) pageAnswer(origin int, p page, r *Request) Outcome {
	all := w.selectedBy(origin, r)
	body := map[string]any{"count": float64(len(all))}
	switch {
	case p.after != "" && (p.number != 0 || p.order != "" && p.order != "id"):
		return refused(12022)
	case p.after != "":
		delete(body, "count")
		all = slices.DeleteFunc(all, func(t *thing) bool { return t.id <= strings.ToLower(p.after) })
	case p.order == "create_time_asc":
		slices.SortStableFunc(all, func(a, b *thing) int { return strings.Compare(a.time(), b.time()) })
	case p.order == "create_time_desc":
		slices.SortStableFunc(all, func(a, b *thing) int { return strings.Compare(b.time(), a.time()) })
	}
	first := (max(p.number, 1) - 1) * p.size
	shown := []any{}
	for _, t := range all[min(len(all), first):min(len(all), first+p.size)] {
		fields := t.shown(p.targets)
		if r.Query["descriptor"] == "1" {
			for name, v := range t.whole() {
				if strings.HasSuffix(name, "descriptor") {
					fields[name] = v
				}
			}
		}
		shown = append(shown, fields)
	}
	if len(shown) > 0 {
		w.countFilters(r.Kind+" ", origin, r.filters)
		w.countPage(r.Kind, p, len(shown))
	}
	body[Origins[origin]] = shown
	return Outcome{Status: 200, Body: body}
}

// exportAnswer answers GET /1/export with lines ordered by ID. The caller must sort
// the lines of the server.
func (w *World) exportAnswer(origin int, r *Request) Outcome {
	lines := []any{}
	for _, t := range w.selectedBy(origin, r) {
		line := t.whole()
		others := map[string]any{} // accounts of lists that differ from that of the thing
		for _, id := range listsOf(t) {
			switch l := w.list(id.(string)); {
			case l.account == "" && t.account() != "":
				others[l.id] = nil
			case l.account != t.account():
				others[l.id] = l.account
			}
		}
		if r.account() == "" && len(others) > 0 {
			line["list_accounts"] = others
		}
		lines = append(lines, line)
	}
	return Outcome{Status: 200, Body: lines}
}

// deleteSelected answers DELETE of things by filters.
func (w *World) deleteSelected(origin int, r *Request) Outcome {
	if _, named := r.filters["account_id"]; len(r.filters) == 0 || named && len(r.filters) == 1 {
		return refused(12022)
	}
	gone := w.selectedBy(origin, r)
	w.removeThings(origin, func(t *thing) bool { return slices.Contains(gone, t) })
	return Outcome{Status: 200, Body: map[string]any{"deleted": float64(len(gone))}}
}

// listsOf returns the lists that a thing is in.
func listsOf(t *thing) []any {
	lists, _ := t.fields["lists"].([]any)
	return lists
}

// importThing imports t and reports whether its line is accepted. A thing with the
// same ID is replaced. hasLists says whether the line has lists, stated has the
// accounts of lists in the line, and add is a list that t joins too.
func (w *World) importThing(t *thing, hasLists bool, stated map[string]any, add, account string) bool {
	for id, list := range stated {
		if !hasLists || !slices.Contains(listsOf(t), any(id)) || account != "" && list != nil && list != account {
			return false
		}
	}
	if account != "" {
		stated = nil
	}
	if account != "" && t.account() == "" {
		t.fields["account_id"] = account
	}
	old := w.find(t.origin, t.id)
	if account != "" && t.account() != account || old != nil && !old.visible(account) {
		return false
	}
	if t.origin != faceOrigin {
		w.store(t)
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
	accountOf := func(id any) string { // of a list that the import creates
		if list, ok := stated[id.(string)]; ok {
			text, _ := list.(string)
			return text
		}
		return t.account()
	}
	for _, id := range lists {
		if !(&listed{account: accountOf(id)}).allows(t.account()) {
			return false
		}
		l := w.list(id.(string))
		if l == nil {
			continue
		}
		hidden := account != "" && l.account != account && (old == nil || !slices.Contains(old.fields["lists"].([]any), id))
		if hidden || !l.allows(t.account()) && (account != "" || !l.imported) {
			return false
		}
	}
	for _, id := range lists {
		if l := w.list(id.(string)); l == nil {
			w.lists = append(w.lists, &listed{id: id.(string), account: accountOf(id), imported: account == ""})
		} else if account == "" && l.imported && l.account != accountOf(id) {
			l.account = ""
		}
	}
	t.fields["lists"] = lists
	w.store(t)
	return true
}
