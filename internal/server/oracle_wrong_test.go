package server_test

import (
	"slices"
	"strings"
)

// wrongRequest is a good match with one fault in it.
func (w *world) wrongRequest() *request {
	r := w.matchRequest()
	for r.answer().codes != nil {
		r = w.matchRequest()
	}
	delete(r.query, "descriptor_version")
	r.kind = "wrong"
	r.body = cloneJSON(r.body)
	body := r.body.(map[string]any)
	refs, sets := body["references"].([]any), body["candidates"].([]any)
	ref, set := refs[0].(map[string]any), pick(w, sets).(map[string]any)
	filters := set["filters"].(map[string]any)
	isBody := strings.HasSuffix(r.path, "bodies")
	v := w.vector(w.model(isBody))
	given := func(data any) {
		ref["type"], ref["id"], ref["data"] = "raw_descriptor", "x", data
	}
	code := 12022
	switch w.rng.IntN(24) {
	case 0:
		body["limit"] = 5.0
	case 1:
		ref["name"] = "x"
	case 2:
		set["name"] = nil
	case 3:
		filters[pick(w, []string{"Age", "origins", "age", "meta.vip__lt", "meta.size__eq", "attribute_id"})] = 5.0
	case 4:
		wrong := map[string]string{"faces": "sources", "events": "lists", "attributes": "face_ids"}
		filters[wrong[filters["origin"].(string)]] = []any{}
	case 5:
		set["limit"] = pick(w, []any{0.0, -1.0, 1001.0, 1.5, "5", nil})
	case 6:
		set["threshold"] = pick(w, []any{1.5, -0.001, "0", nil})
	case 7:
		set["order"] = pick(w, []any{"age", "", nil, 1.0})
	case 8:
		set["targets"] = pick(w, []any{[]any{"descriptor"}, []any{"Age"}, "age", []any{1.0}, nil})
	case 9:
		filters["origin"] = pick(w, []any{"people", "", nil, 1.0})
	case 10:
		delete(set, "filters")
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
		body[pick(w, []string{"references", "candidates"})] = []any{}
	case 16:
		delete(body, pick(w, []string{"references", "candidates"}))
	case 17:
		for len(refs) <= w.bounds.references {
			refs = append(refs, ref)
		}
		body["references"] = refs
		code = 31007
	case 18:
		filters["external_ids"] = slices.Repeat([]any{"x"}, w.bounds.values+1)
		code = 31007
	case 19:
		r.query["explain"] = pick(w, []string{"2", "", "true"})
	case 20:
		r.query["descriptor_version"], code = "777", 12036
	case 21:
		r.query[pick(w, []string{"limit", "Explain", "page"})] = "1"
	case 22:
		r.query["account_id"] = pick(w, []string{"", "x", "00000000-0000-0000-0000-000000000000"})
	case 23:
		ref["type"] = pick(w, []any{"body", "xpk_file", nil, 1.0})
	}
	r.answer = func() outcome { return refused(code) }
	return r
}
