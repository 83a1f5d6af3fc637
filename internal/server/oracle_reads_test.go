package server_test

import (
	"slices"
	"strings"
)

// rawRequest compares descriptors that it brings, mostly of one version.
func (w *world) rawRequest() *request {
	r := &request{kind: "raw", method: "POST", path: "/1/matcher/raw", query: w.maybeAccount()}
	m := w.model(w.chance(0.4))
	some := func(n int) []any {
		all := []any{}
		for range n {
			one := m
			if w.chance(0.03) {
				one = w.model(m.body)
			}
			all = append(all, w.givenReference(pick(w, []string{"raw_descriptor", "sdk_descriptor"}), w.vector(one)))
		}
		return all
	}
	r.body = map[string]any{"references": some(1 + w.rng.IntN(4)), "candidates": some(1 + w.rng.IntN(8))}
	if w.chance(0.3) {
		r.query["explain"] = "1"
	}
	r.answer = func() outcome { return w.raw(r) }
	return r
}

// crossRequest matches objects against objects.
func (w *world) crossRequest() *request {
	isBody := w.chance(0.4)
	r := &request{kind: "cross", method: "POST", path: "/1/crossmatcher/faces", query: w.maybeAccount()}
	if isBody {
		r.path = "/1/crossmatcher/bodies"
	}
	origin := 0
	side := func() map[string]any {
		set := w.set(isBody, r.account(), map[string]any{"type": "face_external_id", "id": "nobody"})
		origin = slices.Index(origins[:], set["filters"].(map[string]any)["origin"].(string))
		return map[string]any{"filters": set["filters"]}
	}
	body := map[string]any{"references": side(), "candidates": side()}
	w.amount(body, origin)
	if w.chance(0.3) {
		r.query["explain"] = "1"
	}
	r.body = body
	r.answer = func() outcome { return w.cross(r, isBody) }
	return r
}

// readRequest gets one object, a page, an export or lists.
func (w *world) readRequest() *request {
	origin := w.rng.IntN(3)
	r := &request{kind: "get " + singulars[origin], method: "GET", query: w.maybeAccount()}
	w.settle(r, origin)
	if w.chance(0.3) {
		r.query["descriptor"] = pick(w, []string{"0", "1"})
	}
	switch {
	case w.chance(0.1):
		return w.readLists(r)
	case w.chance(0.3) || origin == inAttributes:
		id := w.referable(origin, func(t *thing) bool { return t.visible(r.account()) })
		r.path = "/1/" + origins[origin] + "/" + id
		r.answer = func() outcome { return w.get(origin, id, r) }
		return r
	}
	for r.filters = w.filters(origin, r.account()); !queryable(r.filters); {
		r.filters = w.filters(origin, r.account())
	}
	if named, ok := r.filters["account_id"]; ok { // the query's own
		r.query["account_id"] = named.(string)
		delete(r.filters, "account_id")
	}
	if w.chance(0.1) {
		r.kind, r.path = "export "+origins[origin], "/1/export"
		r.query["origin"] = origins[origin]
		delete(r.query, "descriptor")
		r.answer = func() outcome { return w.export(origin, r) }
		return r
	}
	page, size := 1, 10
	if w.chance(0.4) {
		page = 1 + w.rng.IntN(4)
		r.query["page"] = itoa(page)
	}
	if w.chance(0.4) {
		size = 1 + w.rng.IntN(20)
		r.query["page_size"] = itoa(size)
	}
	r.kind, r.path = "page of "+origins[origin], "/1/"+origins[origin]
	r.answer = func() outcome { return w.page(origin, page, size, r) }
	return r
}

func (w *world) readLists(r *request) *request {
	delete(r.query, "descriptor")
	w.settle(r, inFaces)
	visible := func(l *listed) bool { return r.account() == "" || l.account == r.account() }
	if w.chance(0.5) && len(w.lists) > 0 {
		l := pick(w, w.lists)
		r.kind, r.path = "get list", "/1/lists/"+l.id
		r.answer = func() outcome {
			if !visible(l) {
				return refused(22002)
			}
			return outcome{status: 200, body: w.shownList(l, r.account())}
		}
		return r
	}
	r.kind, r.path = "page of lists", "/1/lists"
	r.query["page_size"] = "1000"
	r.answer = func() outcome {
		shown := []any{}
		for _, l := range w.lists {
			if visible(l) {
				shown = append(shown, w.shownList(l, r.account()))
			}
		}
		slices.SortFunc(shown, func(a, b any) int {
			return strings.Compare(a.(map[string]any)["list_id"].(string), b.(map[string]any)["list_id"].(string))
		})
		return outcome{status: 200, body: map[string]any{"lists": shown, "count": float64(len(shown))}}
	}
	return r
}
