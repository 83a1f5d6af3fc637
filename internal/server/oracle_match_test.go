package server_test

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
)

// outcome is what the oracle says that a request is answered with.
type outcome struct {
	codes  []int // of the error: any of them; nil: there is none
	status int
	body   any // nil: none
}

func refused(codes ...int) outcome { return outcome{codes: codes} }

// bounds are the limits of the server.
type bounds struct{ references, cross, values int }

// probe is a reference that has found its descriptor; vector is nil when a key
// found nothing.
type probe struct {
	echo   map[string]any
	vector *vector
}

// given reads a descriptor of a body: an object, or that of the SDK.
func givenVector(v any) *vector {
	if sdk, ok := v.(string); ok {
		raw := must(base64.StdEncoding.DecodeString(sdk))
		return &vector{modelNumbered(int(binary.LittleEndian.Uint32(raw[4:]))), raw[8:]}
	}
	d := v.(map[string]any)
	return &vector{modelNumbered(int(d["version"].(float64))), must(base64.StdEncoding.DecodeString(d["data"].(string)))}
}

// byID and byKey say what reference types name.
var (
	byID  = map[string]int{"face": inFaces, "event": inEvents, "attribute": inAttributes}
	byKey = map[string]struct {
		origin int
		path   string
	}{
		"face_external_id": {inFaces, "external_id"}, "event_external_id": {inEvents, "external_id"}, "event_track_id": {inEvents, "track_id"},
	}
)

// resolve finds what a reference stands for.
func (w *world) resolve(ref map[string]any, body bool, account string) (found []probe, code int) {
	kind, id := ref["type"].(string), ""
	if text, ok := ref["id"].(string); ok {
		id = text
	}
	echo := map[string]any{"type": kind, "id": id}
	if origin, ok := byID[kind]; ok {
		echo["id"] = strings.ToLower(id)
		var t *thing
		for _, h := range w.holdings {
			if t == nil {
				t = h.find(origin, strings.ToLower(id))
			}
		}
		switch {
		case t == nil || !t.visible(account):
			return nil, notFound[origin]
		case t.vectors[which(body)] == nil:
			return nil, 22008
		}
		return []probe{{echo, t.vectors[which(body)]}}, 0
	}
	if ref["data"] != nil {
		return []probe{{echo, givenVector(ref["data"])}}, 0
	}
	key := byKey[kind]
	for _, t := range w.sorted(key.origin) {
		if has, ok := t.at(key.path); ok && has == id && t.visible(account) && t.vectors[which(body)] != nil {
			found = append(found, probe{map[string]any{"type": kind, "id": id, "object_id": t.id}, t.vectors[which(body)]})
		}
	}
	if found == nil {
		found = []probe{{echo: echo}}
	}
	return found, 0
}

// sorted are the things of an origin at all servers, by id.
func (w *world) sorted(origin int) []*thing {
	var all []*thing
	for _, h := range w.holdings {
		all = append(all, h.things[origin]...)
	}
	slices.SortFunc(all, func(a, b *thing) int { return strings.Compare(a.id, b.id) })
	return all
}

// match answers POST /1/matcher/faces and bodies.
func (w *world) match(r *request, isBody bool) outcome {
	body := r.body.(map[string]any)
	refs, sets := body["references"].([]any), body["candidates"].([]any)
	for _, ref := range refs {
		if data := ref.(map[string]any)["data"]; data != nil && givenVector(data).body != isBody {
			return refused(31001) // the body alone is wrong
		}
	}
	var codes []int
	for _, set := range sets {
		if foreign(set.(map[string]any)["filters"], r.account()) {
			codes = append(codes, 31000)
			break
		}
	}
	var probes []probe
	version := r.query["descriptor_version"]
	for _, ref := range refs {
		found, code := w.resolve(ref.(map[string]any), isBody, r.account())
		probes = append(probes, found...)
		wrong := slices.ContainsFunc(found, func(p probe) bool { return version != "" && p.vector != nil && itoa(p.vector.number) != version })
		if wrong {
			codes = append(codes, 31001)
		}
		if code != 0 {
			codes = append(codes, code)
		}
		if len(probes) > w.bounds.references {
			codes = append(codes, 31007)
		}
		if wrong || code != 0 || len(probes) > w.bounds.references {
			break // the first one counts
		}
	}
	asks := slices.ContainsFunc(probes, func(p probe) bool { return p.vector != nil })
	for _, set := range sets {
		if _, ok := w.owner(set.(map[string]any)["filters"]); !ok && asks {
			codes = append(codes, 31011)
		}
	}
	if codes != nil {
		return refused(codes...)
	}
	var taken []candidates
	for _, set := range sets {
		taken = append(taken, w.take(set.(map[string]any), r.account()))
	}
	items := []any{}
	for _, p := range probes {
		matches := []any{}
		for _, c := range taken {
			matches = append(matches, w.against(p, c, r.query["explain"] == "1"))
		}
		items = append(items, map[string]any{"reference": p.echo, "matches": matches})
	}
	return outcome{status: 201, body: items}
}

// foreign reports whether filters name another account than the query.
func foreign(filters any, account string) bool {
	named, ok := filters.(map[string]any)["account_id"].(string)
	return ok && account != "" && strings.ToLower(named) != account
}

// raw answers POST /1/matcher/raw.
func (w *world) raw(r *request) outcome {
	body := r.body.(map[string]any)
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
		if r.query["explain"] == "1" {
			n := float64(len(candidates))
			item["plan"] = map[string]any{"prefilters": []any{}, "by": "memory", "rows_selected": n, "rows_other_version": 0.0, "rows_scanned": n}
		}
		items = append(items, item)
	}
	return outcome{status: 201, body: items}
}

// cross answers POST /1/crossmatcher/faces and bodies.
func (w *world) cross(r *request, isBody bool) outcome {
	body := r.body.(map[string]any)
	filters := func(side string) any { return body[side].(map[string]any)["filters"] }
	if foreign(filters("references"), r.account()) || foreign(filters("candidates"), r.account()) {
		return refused(31000)
	}
	left, known := w.owner(filters("references"))
	if right, also := w.owner(filters("candidates")); !known || !also || left != right {
		return refused(31011)
	}
	_, refs := w.selected(left, filters("references"), r.account())
	if _, candidates := w.selected(left, filters("candidates"), r.account()); len(refs)+len(candidates) > w.bounds.cross {
		return refused(31002)
	}
	slices.SortFunc(refs, func(a, b *thing) int { return strings.Compare(a.id, b.id) })
	set := map[string]any{"filters": filters("candidates")}
	for _, name := range []string{"limit", "threshold", "targets"} {
		if v, ok := body[name]; ok {
			set[name] = v
		}
	}
	items, taken := []any{}, w.take(set, r.account())
	for _, t := range refs {
		if v := t.vectors[which(isBody)]; v != nil {
			echo := map[string]any{"type": singulars[t.origin], "id": t.id}
			items = append(items, map[string]any{"reference": echo, "matches": []any{w.against(probe{echo, v}, taken, r.query["explain"] == "1")}})
		}
	}
	return outcome{status: 201, body: items}
}
