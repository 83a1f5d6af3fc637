package oracle

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"nearside/internal/testkit"
)

// Outcome is the answer that the oracle expects.
type Outcome struct {
	Codes  []int // the answer is an error with one of these codes; nil: it is not an error
	Status int   // when the answer is not an error
	Body   any   // decoded as by Decode; nil: there is no body
}

// refused returns the outcome of a request that fails with one of codes.
func refused(codes ...int) Outcome { return Outcome{Codes: codes} }

// probe is a resolved reference. An answer repeats echo. vector is nil if a key
// matched no object. selfs are the objects that the reference stands for. A reference of type
// together has parts; vector is then the first of them.
type probe struct {
	echo           map[string]any
	vector         *vector
	selfs          []self
	together, mean bool
	parts          []*vector
}

// givenVector decodes a descriptor in a body: an object, or text from the SDK.
func givenVector(v any) *vector {
	if sdk, ok := v.(string); ok {
		raw := testkit.Must(base64.StdEncoding.DecodeString(sdk))
		return &vector{modelNumbered(int(binary.LittleEndian.Uint32(raw[4:]))), raw[8:]}
	}
	d := v.(map[string]any)
	if numbers, ok := d["data"].([]any); ok {
		m := modelNumbered(int(d["version"].(float64)))
		return &vector{m, m.dataOf(numbers)}
	}
	return &vector{modelNumbered(int(d["version"].(float64))), testkit.Must(base64.StdEncoding.DecodeString(d["data"].(string)))}
}

// byID has the reference types that name an object, byKey those that name all objects
// with a key.
var (
	byID  = map[string]int{"face": faceOrigin, "event": eventOrigin, "attribute": attributeOrigin}
	byKey = map[string]struct {
		origin int
		path   string
	}{
		"face_external_id": {faceOrigin, "external_id"}, "event_external_id": {eventOrigin, "external_id"}, "event_track_id": {eventOrigin, "track_id"},
	}
)

// resolve returns the probes of a reference, or an error code.
func (w *World) resolve(ref map[string]any, body bool, account string) (found []probe, code int) {
	kind, id := ref["type"].(string), ""
	if kind == "together" {
		return w.resolveTogether(ref, body, account)
	}
	if text, ok := ref["id"].(string); ok {
		id = text
	}
	echo := map[string]any{"type": kind, "id": id}
	if origin, ok := byID[kind]; ok {
		echo["id"] = strings.ToLower(id)
		var o *object
		for _, h := range w.holdings {
			if o == nil {
				o = h.find(origin, strings.ToLower(id))
			}
		}
		switch {
		case o == nil || !o.visible(account):
			return nil, notFound[origin]
		case o.vectors[vectorIndex(body)] == nil:
			return nil, 22008
		}
		return []probe{{echo: echo, vector: o.vectors[vectorIndex(body)], selfs: []self{{kind, o.id}}}}, 0
	}
	if ref["data"] != nil {
		return []probe{{echo: echo, vector: givenVector(ref["data"]), selfs: selfsOf(ref)}}, 0
	}
	key := byKey[kind]
	for _, o := range w.sorted(key.origin) {
		if has, ok := o.field(key.path); ok && has == id && o.visible(account) && o.vectors[vectorIndex(body)] != nil {
			found = append(found, probe{
				echo: map[string]any{"type": kind, "id": id, "object_id": o.id}, vector: o.vectors[vectorIndex(body)], selfs: []self{{singulars[key.origin], o.id}},
			})
		}
	}
	if found == nil {
		found = []probe{{echo: echo}}
	}
	return found, 0
}

// sorted returns the objects of an origin at all servers, ordered by ID.
func (w *World) sorted(origin int) []*object {
	var all []*object
	for _, h := range w.holdings {
		all = append(all, h.objects[origin]...)
	}
	slices.SortFunc(all, func(a, b *object) int { return strings.Compare(a.id, b.id) })
	return all
}

// match answers POST /1/matcher/faces and bodies.
func (w *World) match(r *Request, isBody bool) Outcome {
	body := r.Body.(map[string]any)
	refs, sets := body["references"].([]any), body["candidates"].([]any)
	for _, ref := range refs {
		for _, part := range partsOf(ref) {
			if data := part.(map[string]any)["data"]; data != nil && givenVector(data).body != isBody {
				return refused(31001) // found before any other error
			}
		}
	}
	var codes []int
	for _, set := range sets {
		if namesOtherAccount(set.(map[string]any)["filters"], r.account()) {
			codes = append(codes, 31000)
			break
		}
	}
	var probes []probe
	version := r.Query["descriptor_version"]
	for _, ref := range refs {
		found, code := w.resolve(ref.(map[string]any), isBody, r.account())
		probes = append(probes, found...)
		wrong := slices.ContainsFunc(found, func(p probe) bool {
			return version != "" && p.vector != nil && strconv.Itoa(p.vector.number) != version
		})
		if wrong {
			codes = append(codes, 31001)
		}
		if code != 0 {
			codes = append(codes, code)
			if ref.(map[string]any)["type"] == "together" && version != "" {
				codes = append(codes, 31001) // of an earlier part
			}
		}
		if countOf(probes) > w.Limits.References {
			codes = append(codes, 31007)
		}
		if wrong || code != 0 || countOf(probes) > w.Limits.References {
			break // the server returns the first error
		}
	}
	for _, set := range sets { // also if no reference was found (docs/remotes.md)
		if _, ok := w.owner(set.(map[string]any)["filters"]); !ok {
			codes = append(codes, 31011)
		}
	}
	if codes != nil {
		return refused(codes...)
	}
	var selected []candidates
	for _, set := range sets {
		selected = append(selected, w.selectCandidates(set.(map[string]any), r.account()))
	}
	items := []any{}
	for _, p := range probes {
		matches := []any{}
		for _, c := range selected {
			matches = append(matches, w.compareWith(p, c, r.Query["explain"] == "1"))
		}
		items = append(items, map[string]any{"reference": p.echo, "matches": matches})
	}
	return Outcome{Status: 201, Body: items}
}

// namesOtherAccount reports whether filters name another account than the query.
func namesOtherAccount(filters any, account string) bool {
	named, ok := filters.(map[string]any)["account_id"].(string)
	return ok && account != "" && strings.ToLower(named) != account
}

// raw answers POST /1/matcher/raw.
func (w *World) raw(r *Request) Outcome {
	body := r.Body.(map[string]any)
	refs, candidates := body["references"].([]any), body["candidates"].([]any)
	vectorOf := func(ref any) *vector { return givenVector(ref.(map[string]any)["data"]) }
	for _, ref := range append(slices.Clone(refs), candidates...) {
		if vectorOf(ref).model != vectorOf(refs[0]).model {
			return refused(31005)
		}
	}
	echo := func(ref any) any {
		text, _ := ref.(map[string]any)["id"].(string)
		return map[string]any{"type": ref.(map[string]any)["type"], "id": text}
	}
	items := []any{}
	for _, ref := range refs {
		matches := []any{}
		for _, c := range candidates {
			d := vectorOf(ref).distance(vectorOf(c))
			matches = append(matches, map[string]any{"result": map[string]any{
				"candidate": echo(c), "distance": d, "similarity": vectorOf(ref).similarity(d),
			}})
		}
		item := map[string]any{"reference": echo(ref), "matches": matches}
		if r.Query["explain"] == "1" {
			n := float64(len(candidates))
			item["plan"] = map[string]any{"prefilters": []any{}, "by": "memory", "rows_selected": n, "rows_other_version": 0.0, "rows_scanned": n}
		}
		items = append(items, item)
	}
	return Outcome{Status: 201, Body: items}
}

// compared counts the objects that a cross match compares.
func compared(refs, candidates []*object, isBody bool) (n int) {
	versions := map[int]bool{}
	for _, o := range refs {
		if v := o.vectors[vectorIndex(isBody)]; v != nil {
			versions[v.number] = true
			n++
		}
	}
	for _, o := range candidates {
		if v := o.vectors[vectorIndex(isBody)]; v != nil && versions[v.number] {
			n++
		}
	}
	return n
}

// cross answers POST /1/crossmatcher/faces and bodies.
func (w *World) cross(r *Request, isBody bool) Outcome {
	body := r.Body.(map[string]any)
	filters := func(side string) any { return body[side].(map[string]any)["filters"] }
	if namesOtherAccount(filters("references"), r.account()) || namesOtherAccount(filters("candidates"), r.account()) {
		return refused(31000)
	}
	left, known := w.owner(filters("references"))
	if right, also := w.owner(filters("candidates")); !known || !also || left != right {
		return refused(31011)
	}
	_, refs := w.selected(left, filters("references"), r.account())
	_, candidates := w.selected(left, filters("candidates"), r.account())
	if compared(refs, candidates, isBody) > w.Limits.CrossObjects {
		return refused(31002)
	}
	slices.SortFunc(refs, func(a, b *object) int { return strings.Compare(a.id, b.id) })
	set := map[string]any{"filters": filters("candidates")}
	for _, name := range []string{"limit", "threshold", "targets"} {
		if v, ok := body[name]; ok {
			set[name] = v
		}
	}
	items, selected := []any{}, w.selectCandidates(set, r.account())
	for _, o := range refs {
		if v := o.vectors[vectorIndex(isBody)]; v != nil {
			echo := map[string]any{"type": singulars[o.origin], "id": o.id}
			items = append(items, map[string]any{"reference": echo, "matches": []any{w.compareWith(probe{echo: echo, vector: v}, selected, r.Query["explain"] == "1")}})
		}
	}
	return Outcome{Status: 201, Body: items}
}
