package oracle

import (
	"slices"
	"strings"

	"nearside/internal/testkit"
)

// rawRequest returns a raw match of descriptors, mostly of one version.
func (w *World) rawRequest() *Request {
	r := &Request{Kind: "raw", Method: "POST", Path: "/1/matcher/raw", Query: w.newQuery()}
	m := w.randomModel(w.Chance(0.4))
	references := func(n int) []any {
		all := []any{}
		for range n {
			version := m
			if w.Chance(0.03) {
				version = w.randomModel(m.body)
			}
			all = append(all, w.givenReference(testkit.Pick(w.rng, []string{"raw_descriptor", "sdk_descriptor"}...), w.newVector(version)))
		}
		return all
	}
	r.Body = map[string]any{"references": references(1 + w.rng.IntN(4)), "candidates": references(1 + w.rng.IntN(8))}
	if w.Chance(0.3) {
		r.Query["explain"] = "1"
	}
	r.Answer = func() Outcome { return w.raw(r) }
	return r
}

// crossRequest returns a cross match.
func (w *World) crossRequest() *Request {
	isBody := w.Chance(0.4)
	r := &Request{Kind: "cross", Method: "POST", Path: "/1/crossmatcher/faces", Query: w.newQuery()}
	if isBody {
		r.Path = "/1/crossmatcher/bodies"
	}
	if w.Chance(0.3) {
		r.Query["explain"] = "1"
	}
	r.Body = w.crossBody(r, isBody)
	r.Answer = func() Outcome { return w.cross(r, isBody) }
	return r
}

// crossBody returns the body of a random cross match.
func (w *World) crossBody(r *Request, isBody bool) map[string]any {
	origin := 0
	side := func() map[string]any {
		set := w.randomSet(isBody, r.account(), map[string]any{"type": "face_external_id", "id": "nobody"})
		origin = slices.Index(Origins[:], set["filters"].(map[string]any)["origin"].(string))
		return map[string]any{"filters": set["filters"]}
	}
	body := map[string]any{"references": side(), "candidates": side()}
	w.limitAnswer(body, origin)
	return body
}

// readRequest returns a request for an object, a page, an export or lists.
func (w *World) readRequest() *Request {
	origin := w.rng.IntN(3)
	r := &Request{Kind: "get " + singulars[origin], Method: "GET", Query: w.newQuery()}
	w.chooseServer(r, origin)
	if w.Chance(0.45) {
		r.Query["descriptor"] = testkit.Pick(w.rng, []string{"0", "1", "numbers", "numbers"}...)
	}
	switch {
	case w.Chance(0.1):
		return w.readLists(r)
	case w.Chance(0.3):
		id := w.idOfObject(origin, func(o *object) bool { return o.visible(r.account()) })
		r.Path = "/1/" + Origins[origin] + "/" + id
		r.Answer = func() Outcome { return w.getAnswer(origin, id, r) }
		return r
	}
	r.filters, r.spelling = w.randomFilters(origin, r.account()), w.rng.Uint64()
	p := w.randomPage(origin)
	if w.Chance(0.5) {
		w.useFindBody(r, origin, p)
		return r
	}
	if named, ok := r.filters["account_id"]; ok { // the query has its own account_id
		r.Query["account_id"] = named.(string)
		delete(r.filters, "account_id")
	}
	if w.Chance(0.2) && origin != attributeOrigin {
		r.Kind, r.Path = "export "+Origins[origin], "/1/export"
		r.Query["origin"] = Origins[origin]
		if r.Query["descriptor"] == "0" {
			delete(r.Query, "descriptor")
		}
		r.Answer = func() Outcome { return w.exportAnswer(origin, r) }
		return r
	}
	r.Kind, r.Path = "page of "+Origins[origin], "/1/"+Origins[origin]
	for name, v := range p.fields() {
		switch v := v.(type) {
		case []any:
			r.lists = map[string][]any{name: v}
		case string:
			r.Query[name] = v
		default:
			r.Query[name] = JSON(v)
		}
	}
	r.Answer = func() Outcome { return w.pageAnswer(origin, p, r) }
	return r
}

// randomPage returns a random page.
func (w *World) randomPage(origin int) page {
	p := page{size: 10}
	if w.Chance(0.4) {
		p.size = 1 + w.rng.IntN(20)
	}
	if w.Chance(0.8) {
		p.order = testkit.Pick(w.rng, []string{"id", "create_time_asc", "create_time_desc"}...)
	}
	if w.Chance(0.3) {
		p.number = 1 + w.rng.IntN(4)
	}
	if w.Chance(0.3) {
		p.after = testkit.Pick(w.rng, w.ids...)
		if len(w.objects[origin]) > 0 && w.Chance(0.7) {
			p.after = testkit.Pick(w.rng, w.objects[origin]...).id
		}
		if w.Chance(0.1) {
			p.after = strings.ToUpper(p.after)
		}
		if w.Chance(0.9) {
			p.number, p.order = 0, testkit.Pick(w.rng, []string{"", "id"}...)
		}
	}
	if w.Chance(0.3) {
		p.targets = []any{}
		for _, name := range targetsOf[origin] {
			if name != "similarity" && name != "distance" && w.Chance(0.2) {
				p.targets = append(p.targets, name)
			}
		}
	}
	return p
}

// fields returns p as the fields of a request.
func (p page) fields() map[string]any {
	all := map[string]any{}
	if p.number != 0 {
		all["page"] = float64(p.number)
	}
	if p.size != 10 {
		all["page_size"] = float64(p.size)
	}
	if p.after != "" {
		all["after"] = p.after
	}
	if p.order != "" {
		all["order"] = p.order
	}
	if p.targets != nil {
		all["targets"] = p.targets
	}
	return all
}

// useFindBody makes r a request for a page with a body.
func (w *World) useFindBody(r *Request, origin int, p page) {
	body := p.fields()
	w.useFilterBody(r, body, origin)
	r.Kind, r.Method, r.Path = "find "+Origins[origin], "POST", "/1/"+Origins[origin]+"/find"
	r.Answer = func() Outcome {
		if w.twoAccounts(r) {
			return refused(31000, 12022)
		}
		return w.pageAnswer(origin, p, r)
	}
}

// useFilterBody moves the filters of r from the query into a body.
func (w *World) useFilterBody(r *Request, body map[string]any, origin int) {
	filters := cloneJSON(r.filters).(map[string]any)
	if w.Chance(0.5) {
		filters["origin"] = Origins[origin]
	}
	if len(filters) > 0 || r.Writes || w.Chance(0.5) {
		body["filters"] = filters
	}
	for _, name := range []string{"filters", "page", "page_size", "after", "order", "targets"} {
		if _, given := body[name]; !given && !r.Writes && w.Chance(0.05) {
			body[name] = nil // null has the same meaning as absent
			w.Seen["null in find"]++
		}
	}
	r.Body, r.inBody = body, true
}

// twoAccounts reports whether the query and the filters name two accounts.
func (w *World) twoAccounts(r *Request) bool {
	named, ok := r.filters["account_id"].(string)
	return ok && r.account() != "" && strings.ToLower(named) != r.account()
}

// readLists makes r a request for a list or a page of lists.
func (w *World) readLists(r *Request) *Request {
	delete(r.Query, "descriptor")
	w.chooseServer(r, faceOrigin)
	visible := func(l *storedList) bool { return r.account() == "" || l.account == r.account() }
	if w.Chance(0.5) && len(w.lists) > 0 {
		l := testkit.Pick(w.rng, w.lists...)
		r.Kind, r.Path = "get list", "/1/lists/"+l.id
		r.Answer = func() Outcome {
			if !visible(l) {
				return refused(22002)
			}
			return Outcome{Status: 200, Body: w.shownList(l, r.account())}
		}
		return r
	}
	r.Kind, r.Path = "page of lists", "/1/lists"
	r.Query["page_size"] = "1000"
	after := ""
	if w.Chance(0.5) {
		after = testkit.Pick(w.rng, slices.Concat(w.ids, w.listIDs)...)
		r.Query["after"] = after
	}
	r.Answer = func() Outcome {
		shown := []any{}
		for _, l := range w.lists {
			if visible(l) && l.id > after {
				shown = append(shown, w.shownList(l, r.account()))
			}
		}
		slices.SortFunc(shown, func(a, b any) int {
			return strings.Compare(a.(map[string]any)["list_id"].(string), b.(map[string]any)["list_id"].(string))
		})
		body := map[string]any{"lists": shown, "count": float64(len(shown))}
		if after != "" {
			delete(body, "count")
			w.Seen["page of lists after"]++
		}
		return Outcome{Status: 200, Body: body}
	}
	return r
}
