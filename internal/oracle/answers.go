package oracle

import (
	"maps"
	"slices"
	"strings"
)

// storedList is a list of objects that the World stores.
type storedList struct {
	id, account, userData string
	imported              bool // created by an import without an account, and not changed since
}

// list returns the list with an ID, or nil.
func (h *holding) list(id string) *storedList {
	if i := slices.IndexFunc(h.lists, func(l *storedList) bool { return l.id == id }); i >= 0 {
		return h.lists[i]
	}
	return nil
}

// allows reports whether l may contain objects of an account. It may not if l belongs
// to another account.
func (l *storedList) allows(account string) bool {
	return l.account == "" || account == "" || l.account == account
}

// listsFor returns random lists that objects of an account may be in, ordered by ID.
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

// checkObject gives a new object the account of the query if it has none. It returns the
// code of the first error of its account and lists, or 0. had are the lists that the
// object is already in.
func (w *World) checkObject(o *object, account string, had []any) int {
	if o.account() == "" && account != "" {
		o.fields["account_id"] = account
	}
	if account != "" && o.account() != account {
		return 31000
	}
	lists, _ := o.fields["lists"].([]any)
	for _, id := range lists {
		if slices.Contains(had, id) {
			continue
		}
		l := w.list(id.(string))
		if l == nil || account != "" && l.account != account {
			return 22002
		}
		if !l.allows(o.account()) {
			return 12026
		}
	}
	return 0
}

// store adds o. It replaces an object with the same ID.
func (w *World) store(o *object) {
	if old := w.find(o.origin, o.id); old != nil {
		*old = *o
	} else {
		w.objects[o.origin] = append(w.objects[o.origin], o)
	}
}

// removeObjects removes the objects for which gone returns true, and counts them.
func (w *World) removeObjects(origin int, gone func(*object) bool) (deleted int) {
	before := len(w.objects[origin])
	w.objects[origin] = slices.DeleteFunc(w.objects[origin], gone)
	return before - len(w.objects[origin])
}

// createObjects answers POST of new objects. If one cannot be created, none are.
func (w *World) createObjects(objects []*object, account string) Outcome {
	exists := map[int]int{faceOrigin: 22003, eventOrigin: 22006}
	ids := []any{}
	code := 0
	for _, o := range objects { // the server checks the accounts in the bodies first
		if code == 0 && account != "" && o.account() != "" && o.account() != account {
			code = 31000
		}
	}
	for i, o := range objects {
		if code == 0 && (w.find(o.origin, o.id) != nil || slices.ContainsFunc(objects[:i], func(other *object) bool { return other.id == o.id })) {
			code = exists[o.origin]
		}
		if code == 0 {
			code = w.checkObject(o, account, nil)
		}
		ids = append(ids, o.id)
	}
	if code != 0 {
		return refused(code)
	}
	for _, o := range objects {
		w.store(o)
	}
	if objects[0].origin == faceOrigin {
		return Outcome{Status: 201, Body: map[string]any{"face_id": ids[0]}}
	}
	return Outcome{Status: 201, Body: map[string]any{"event_ids": ids}}
}

// putAnswer answers PUT.
func (w *World) putAnswer(o *object, account string) Outcome {
	old, status := w.find(o.origin, o.id), 200
	if old == nil {
		status = 201
	}
	if account != "" && o.account() != "" && o.account() != account {
		return refused(31000)
	}
	if old != nil && !old.visible(account) {
		return refused(12026)
	}
	var had []any
	if old != nil {
		had, _ = old.fields["lists"].([]any)
		given := o.account()
		if given == "" {
			given = account // the server fills it in
		}
		if given != "" && given != old.account() {
			return refused(12022)
		}
		if old.account() != "" {
			o.fields["account_id"] = old.account()
		}
	}
	if code := w.checkObject(o, account, had); code != 0 {
		return refused(code)
	}
	w.store(o)
	return Outcome{Status: status, Body: map[string]any{singulars[o.origin] + "_id": o.id}}
}

// patchAnswer answers PATCH of a face. It sets fields, and v unless v is nil. A nil
// field is cleared.
func (w *World) patchAnswer(id string, fields map[string]any, v *vector, account string) Outcome {
	o := w.find(faceOrigin, id)
	if given, ok := fields["account_id"]; ok && given == nil {
		return refused(12022)
	}
	if o == nil || !o.visible(account) {
		return refused(22004)
	}
	if given, ok := fields["account_id"]; ok && given != o.account() {
		return refused(12022)
	}
	had, _ := o.fields["lists"].([]any)
	changed := &object{origin: faceOrigin, id: id, fields: maps.Clone(o.fields), vectors: o.vectors}
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
	if code := w.checkObject(changed, account, had); code != 0 {
		return refused(code)
	}
	w.store(changed)
	return Outcome{Status: 200, Body: map[string]any{"face_id": id}}
}

// getAnswer answers GET of one object.
func (w *World) getAnswer(origin int, id string, r *Request) Outcome {
	o := w.find(origin, id)
	switch {
	case o == nil || !o.visible(r.account()):
		return refused(notFound[origin])
	case r.Query["descriptor"] == "1":
		return Outcome{Status: 200, Body: o.whole()}
	case r.Query["descriptor"] == "numbers":
		w.Seen["numbers of "+singulars[origin]]++
		return Outcome{Status: 200, Body: o.withNumbers(o.whole(), r)}
	}
	return Outcome{Status: 200, Body: maps.Clone(o.fields)}
}

// deleteAnswer answers DELETE of one object.
func (w *World) deleteAnswer(origin int, id, account string) Outcome {
	if o := w.find(origin, id); o == nil || !o.visible(account) {
		return refused(notFound[origin])
	}
	w.removeObjects(origin, func(o *object) bool { return o.id == id })
	return Outcome{Status: 204}
}

// selectedBy returns the objects that the filters of r select, ordered by ID.
func (w *World) selectedBy(origin int, r *Request) []*object {
	filters := maps.Clone(r.filters)
	filters["origin"] = Origins[origin]
	_, all := w.selected(w.holding, filters, r.account())
	slices.SortFunc(all, func(a, b *object) int { return strings.Compare(a.id, b.id) })
	return all
}

// page is the part of a request that selects a page and its fields.
type page struct {
	number, size int // number is from 1; 0: the default
	after, order string
	targets      []any // nil: all fields
}

// pageAnswer answers a request for a page of objects.
func (w *World) pageAnswer(origin int, p page, r *Request) Outcome {
	all := w.selectedBy(origin, r)
	body := map[string]any{"count": float64(len(all))}
	switch {
	case p.after != "" && (p.number != 0 || p.order != "" && p.order != "id"):
		return refused(12022)
	case p.after != "":
		delete(body, "count")
		all = slices.DeleteFunc(all, func(o *object) bool { return o.id <= strings.ToLower(p.after) })
	case p.order == "create_time_asc":
		slices.SortStableFunc(all, func(a, b *object) int { return strings.Compare(a.time(), b.time()) })
	case p.order == "create_time_desc":
		slices.SortStableFunc(all, func(a, b *object) int { return strings.Compare(b.time(), a.time()) })
	}
	first := (max(p.number, 1) - 1) * p.size
	shown := []any{}
	for _, o := range all[min(len(all), first):min(len(all), first+p.size)] {
		fields := o.shown(p.targets)
		if given := r.Query["descriptor"]; given == "1" || given == "numbers" {
			for name, v := range o.withNumbers(o.whole(), r) {
				if strings.HasSuffix(name, "descriptor") {
					fields[name] = v
				}
			}
		}
		shown = append(shown, fields)
	}
	if len(shown) > 0 {
		if r.Query["descriptor"] == "numbers" {
			w.Seen["numbers of "+Origins[origin]]++
		}
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
	for _, o := range w.selectedBy(origin, r) {
		line := o.withNumbers(o.whole(), r)
		if r.Query["descriptor"] == "numbers" {
			w.Seen["numbers in an export"]++
		}
		others := map[string]any{} // accounts of lists that differ from that of the object
		for _, id := range listsOf(o) {
			switch l := w.list(id.(string)); {
			case l.account == "" && o.account() != "":
				others[l.id] = nil
			case l.account != o.account():
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

// deleteSelected answers DELETE of objects by filters.
func (w *World) deleteSelected(origin int, r *Request) Outcome {
	if _, named := r.filters["account_id"]; len(r.filters) == 0 || named && len(r.filters) == 1 {
		return refused(12022)
	}
	gone := w.selectedBy(origin, r)
	w.removeObjects(origin, func(o *object) bool { return slices.Contains(gone, o) })
	return Outcome{Status: 200, Body: map[string]any{"deleted": float64(len(gone))}}
}

// listsOf returns the lists that an object is in.
func listsOf(o *object) []any {
	lists, _ := o.fields["lists"].([]any)
	return lists
}

// importObject imports o and reports whether its line is accepted. An object with the
// same ID is replaced. hasLists says whether the line has lists, stated has the
// accounts of lists in the line, and joined is a list that o joins too.
func (w *World) importObject(o *object, hasLists bool, stated map[string]any, joined, account string) bool {
	for id, list := range stated {
		if !hasLists || !slices.Contains(listsOf(o), any(id)) || account != "" && list != nil && list != account {
			return false
		}
	}
	if account != "" {
		stated = nil
	}
	if account != "" && o.account() == "" {
		o.fields["account_id"] = account
	}
	old := w.find(o.origin, o.id)
	if account != "" && o.account() != account || old != nil && !old.visible(account) {
		return false
	}
	if o.origin != faceOrigin {
		w.store(o)
		return true
	}
	lists := []any{}
	if hasLists {
		lists = append(lists, o.fields["lists"].([]any)...)
	} else if old != nil {
		lists = append(lists, old.fields["lists"].([]any)...)
	}
	if joined != "" {
		lists = append(lists, joined)
	}
	slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	lists = slices.Compact(lists)
	accountOf := func(id any) string { // of a list that the import creates
		if list, ok := stated[id.(string)]; ok {
			text, _ := list.(string)
			return text
		}
		return o.account()
	}
	for _, id := range lists {
		if !(&storedList{account: accountOf(id)}).allows(o.account()) {
			return false
		}
		l := w.list(id.(string))
		if l == nil {
			continue
		}
		hidden := account != "" && l.account != account && (old == nil || !slices.Contains(old.fields["lists"].([]any), id))
		if hidden || !l.allows(o.account()) && (account != "" || !l.imported) {
			return false
		}
	}
	for _, id := range lists {
		if l := w.list(id.(string)); l == nil {
			w.lists = append(w.lists, &storedList{id: id.(string), account: accountOf(id), imported: account == ""})
		} else if account == "" && l.imported && l.account != accountOf(id) {
			l.account = ""
		}
	}
	o.fields["lists"] = lists
	w.store(o)
	return true
}
