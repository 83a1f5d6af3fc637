package oracle

import (
	"slices"
	"strings"

	"nearside/internal/testkit"
)

// wrongRequest returns a request with one mistake, mostly a match.
func (w *World) wrongRequest() *Request {
	if w.Chance(0.2) {
		return w.wrongFind()
	}
	r := w.matchRequest()
	for r.Answer().Codes != nil {
		r = w.matchRequest()
	}
	delete(r.Query, "descriptor_version")
	r.Kind = "wrong"
	r.Body = cloneJSON(r.Body)
	body := r.Body.(map[string]any)
	refs, sets := body["references"].([]any), body["candidates"].([]any)
	ref, set := refs[0].(map[string]any), testkit.Pick(w.rng, sets...).(map[string]any)
	filters := set["filters"].(map[string]any)
	isBody := strings.HasSuffix(r.Path, "bodies")
	v := w.newVector(w.randomModel(isBody))
	given := func(data any) {
		ref["type"], ref["id"], ref["data"] = "raw_descriptor", "x", data
		delete(ref, "references")
		delete(ref, "fuse")
	}
	code := 12022
	n := w.rng.IntN(32)
	switch n {
	case 24, 25:
		code = w.spoilTogether(ref, isBody)
	case 26, 27:
		given(w.wrongNumbers(v))
	case 11:
		given(map[string]any{"version": 777.0, "data": "AQIDBA=="})
		code = 12036
	case 12:
		d := v.json()
		d["data"] = d["data"].(string)[4:]
		given(d)
	case 13:
		given(map[string]any{"version": 21.0, "data": (&vector{data: slices.Repeat([]byte{0, 0, 192, 127}, 19)}).base()})
	case 14:
		given(map[string]any{"version": 22.0, "data": (&vector{data: make([]byte, 4*33)}).base()})
	case 15:
		body[testkit.Pick(w.rng, []string{"references", "candidates"}...)] = []any{}
	case 16:
		delete(body, testkit.Pick(w.rng, []string{"references", "candidates"}...))
	case 17:
		for len(refs) <= w.Limits.References {
			refs = append(refs, ref)
		}
		body["references"] = refs
		code = 31007
	case 18:
		filters["external_ids"] = slices.Repeat([]any{"x"}, w.Limits.FilterValues+1)
		code = 31007
	case 19:
		r.Query["explain"] = testkit.Pick(w.rng, []string{"2", "", "true"}...)
	case 20:
		r.Query["descriptor_version"], code = "777", 12036
	case 21:
		r.Query[testkit.Pick(w.rng, []string{"limit", "Explain", "page"}...)] = "1"
	case 22:
		r.Query["account_id"] = testkit.Pick(w.rng, []string{"", "x", "00000000-0000-0000-0000-000000000000"}...)
	case 23:
		ref["type"] = testkit.Pick(w.rng, []any{"body", "xpk_file", nil, 1.0}...)
	case 28, 29, 30, 31:
		w.spoilRanking(ref, set)
	default:
		w.spoilMatch(n, body, ref, set)
	}
	r.Answer = func() Outcome { return refused(code) }
	return r
}

// spoilTogether makes ref a reference of type together with a mistake, and returns the
// code of the error.
func (w *World) spoilTogether(ref map[string]any, isBody bool) (code int) {
	part := func() any { return w.givenReference("raw_descriptor", w.newVector(w.randomModel(isBody))) }
	clear(ref)
	ref["type"], ref["references"] = "together", []any{part()}
	switch w.rng.IntN(8) {
	case 0:
		ref["references"] = []any{}
	case 1:
		ref["references"] = []any{part(), map[string]any{"type": "together", "references": []any{part()}}}
	case 2:
		ref["fuse"] = testkit.Pick(w.rng, []any{"worst", "", nil, 1.0}...)
	case 3:
		ref["data"] = part().(map[string]any)["data"]
	case 4:
		delete(ref, "references")
	case 5:
		for len(ref["references"].([]any)) <= partsMax {
			ref["references"] = append(ref["references"].([]any), part())
		}
		return 31007
	case 6:
		a, b := w.randomModel(isBody), w.randomModel(isBody)
		for a == b {
			b = w.randomModel(isBody)
		}
		ref["references"] = []any{w.givenReference("raw_descriptor", w.newVector(a)), w.givenReference("sdk_descriptor", w.newVector(b))}
		return 31005
	default:
		ref["type"], ref["id"] = "raw_descriptor", "x"
		ref["data"] = part().(map[string]any)["data"]
	}
	return 12022
}

// wrongNumbers returns v as an array of numbers with a mistake.
func (w *World) wrongNumbers(v *vector) map[string]any {
	d := v.numbers()
	list := d["data"].([]any)
	if w.Chance(0.3) {
		d["data"] = testkit.Pick(w.rng, list[1:], append(list, 1.0), []any{})
		return d
	}
	wrong := []any{"1", nil, true, []any{}, 1e39, -1e300}
	if v.metric == 'b' {
		wrong = append(wrong, 1.5, 256.0, -1.0)
	}
	list[w.rng.IntN(len(list))] = testkit.Pick(w.rng, wrong...)
	return d
}

// spoilMatch puts mistake n, 0 to 10, into a match: an unknown name, a wrong value, or
// a missing value.
func (w *World) spoilMatch(n int, body, ref, set map[string]any) {
	filters := set["filters"].(map[string]any)
	switch n {
	case 0:
		body["limit"] = 5.0
	case 1:
		ref["name"] = "x"
	case 2:
		set["name"] = nil
	case 3:
		filters[testkit.Pick(w.rng, []string{"Age", "origins", "age", "meta.vip__lt", "meta.size__eq", "attribute_id", "face_id__lte"}...)] = 5.0
	case 4:
		wrong := map[string]string{"faces": "sources", "events": "lists", "attributes": "face_ids"}
		filters[wrong[filters["origin"].(string)]] = []any{}
	case 5:
		set["limit"] = testkit.Pick(w.rng, []any{0.0, -1.0, 1001.0, 1.5, "5", nil}...)
	case 6:
		set["threshold"] = testkit.Pick(w.rng, []any{1.5, -0.001, "0", nil}...)
	case 7:
		set["order"] = testkit.Pick(w.rng, []any{"age", "", nil, 1.0}...)
	case 8:
		set["targets"] = testkit.Pick(w.rng, []any{[]any{"descriptor"}, []any{"Age"}, "age", []any{1.0}, nil}...)
	case 9:
		filters["origin"] = testkit.Pick(w.rng, []any{"people", "", nil, 1.0}...)
	case 10:
		delete(set, "filters")
	}
}

// wrongFilters are queries of faces or events with a mistake. If the server ignored the
// mistake, they would select objects.
var wrongFilters = []string{
	"user_data=%zz", "user_data=a%", "user_data=%e", "user%xdata=a", "user_data=%ff", "external_ids=person+1,+é", "external_ids=a,b", "external_ids=[a", "external_ids=%5B1%5D",
	`external_ids=["%5Cud800"]`, `external_ids=["a"],["b"]`, "age__gte=33.5", "age__gte=1e400", "age__gte=256", "age__gte=null", "gender=1&gender=1", "gender=", "gender=male",
	"ethnic_groups=1,,2", "ethnic_groups=1+", "nosuch=1", "external_id=a", "create_time__gte=2026-06-31T00:00:00Z", "create_time__gte=2026-06-15T12:00:60Z",
	"create_time__lt=10000-01-01T00:00:00Z", "create_time__lt=now%2B1d", "face_ids=x", "event_ids=%5Bnull%5D", "account_id=%zz", "account_id=x",
}

// wrongFind returns a page, an export or a delete with a mistake in its filters.
func (w *World) wrongFind() *Request {
	origin := w.rng.IntN(2)
	r := &Request{Kind: "wrong find", Query: map[string]string{}}
	w.chooseServer(r, origin)
	r.Answer = func() Outcome { return refused(12022) }
	path := "/1/" + Origins[origin]
	switch w.rng.IntN(5) {
	case 0:
		r.Method, r.Path = "GET", path+"?"+testkit.Pick(w.rng, wrongFilters...)
	case 1:
		r.Method, r.Path = "DELETE", path+"?age__gte=0&"+testkit.Pick(w.rng, wrongFilters...)
	case 2:
		r.Method, r.Path = "GET", "/1/export?origin="+Origins[origin]+"&"+testkit.Pick(w.rng, wrongFilters...)
	case 3:
		r.Method, r.Path, r.Body = "POST", path+"/find", testkit.Pick(w.rng, []any{
			[]any{},
			map[string]any{"filters": map[string]any{"gender": nil}},
			map[string]any{"limit": nil},
			map[string]any{"page": 0.0},
			map[string]any{"filters": []any{}},
			map[string]any{"after": testkit.Pick(w.rng, w.ids...), "page": 1.0},
			map[string]any{"targets": []any{"similarity"}},
			map[string]any{"order": "similarity"},
		}...)
	default:
		r.Method, r.Path, r.Body = "POST", path+"/delete", testkit.Pick(w.rng, []any{
			map[string]any{},
			map[string]any{"filters": nil},
			map[string]any{"filters": map[string]any{}},
			map[string]any{"filters": map[string]any{"age__gte": 0.0, "gender": nil}},
			map[string]any{"filters": map[string]any{"account_id": testkit.Pick(w.rng, w.accounts...)}},
			map[string]any{"filters": map[string]any{"age__gte": 0.0}, "page": 1.0},
			map[string]any{"filters": map[string]any{"age__gte": 0.0, "origin": "attributes"}},
		}...)
	}
	return r
}
