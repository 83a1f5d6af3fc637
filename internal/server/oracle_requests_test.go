package server_test

import (
	"encoding/json"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
)

// request is a request and how the oracle answers it.
type request struct {
	kind         string // for the count of what was asked
	method, path string
	query        map[string]string
	filters      map[string]any // of the query
	body         any            // as JSON has it; nil: none
	lines        []string       // of an import
	writes       bool           // changes objects
	server       int            // that gets it
	answer       func() outcome
}

func (r *request) account() string { return strings.ToLower(r.query["account_id"]) }

// url is the path with the query.
func (r *request) url() string {
	values := url.Values{}
	for name, text := range r.query {
		values.Set(name, text)
	}
	for name, v := range r.filters {
		values.Set(name, inQuery(v))
	}
	if len(values) == 0 {
		return r.path
	}
	return r.path + "?" + values.Encode()
}

// inQuery writes a value of a filter: lists with commas, objects as JSON.
func inQuery(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var texts []string
		for _, one := range v {
			texts = append(texts, inQuery(one))
		}
		return strings.Join(texts, ",")
	}
	return string(must(json.Marshal(v)))
}

// queryable reports whether a query can say the filters: texts with commas it
// cannot, nor a list of one empty text.
func queryable(filters map[string]any) bool {
	for _, v := range filters {
		list, ok := v.([]any)
		if ok && slices.ContainsFunc(list, func(one any) bool {
			text, is := one.(string)
			return is && (text == "" || strings.Contains(text, ","))
		}) {
			return false
		}
	}
	return true
}

// maybeAccount is the query of a request, with an account now and then.
func (w *world) maybeAccount() map[string]string {
	query := map[string]string{}
	if w.chance(0.2) {
		account := pick(w, w.accounts)
		if w.chance(0.1) {
			account = strings.ToUpper(account)
		}
		query["account_id"] = account
	}
	return query
}

// matchRequest is a random match that is well formed.
func (w *world) matchRequest() *request {
	isBody := w.chance(0.35)
	r := &request{kind: "match", method: "POST", path: "/1/matcher/faces", query: w.maybeAccount()}
	switch {
	case isBody:
		r.path = "/1/matcher/bodies"
	case w.chance(0.1):
		r.path = "/1/matcher"
	}
	refs, sets := []any{}, []any{}
	for range pick(w, []int{1, 1, 1, 2, 3, 5}) {
		refs = append(refs, w.reference(isBody, r.account()))
	}
	for range pick(w, []int{1, 1, 1, 2, 3, 4}) {
		sets = append(sets, w.set(isBody, r.account(), refs[0].(map[string]any)))
	}
	if w.chance(0.3) {
		r.query["explain"] = pick(w, []string{"0", "1", "1"})
	}
	if w.chance(0.08) {
		r.query["descriptor_version"] = w.version(refs[0].(map[string]any), isBody, r.account())
		if w.chance(0.6) {
			refs = refs[:1]
		}
	}
	r.body = map[string]any{"references": refs, "candidates": sets}
	r.answer = func() outcome { return w.match(r, isBody) }
	return r
}

// version is mostly that of a reference.
func (w *world) version(ref map[string]any, isBody bool, account string) string {
	if found, _ := w.resolve(ref, isBody, account); len(found) > 0 && found[0].vector != nil && w.chance(0.8) {
		return itoa(found[0].vector.number)
	}
	return itoa(w.model(isBody).number)
}

// reference is a random one; most are good.
func (w *world) reference(isBody bool, account string) map[string]any {
	kind := pick(w, []string{
		"face", "face", "event", "event", "attribute", "raw_descriptor", "raw_descriptor", "sdk_descriptor",
		"face_external_id", "event_external_id", "event_track_id",
	})
	if isBody && strings.HasPrefix(kind, "face") {
		kind = pick(w, []string{"event", "event_track_id", "raw_descriptor", kind})
	}
	if origin, ok := byID[kind]; ok {
		id := w.referable(origin, func(t *thing) bool { return t.visible(account) && t.vectors[which(isBody)] != nil })
		if w.chance(0.05) {
			id = strings.ToUpper(id)
		}
		return map[string]any{"type": kind, "id": id}
	}
	if key, ok := byKey[kind]; ok {
		id := pick(w, w.people)
		if w.chance(0.7) && len(w.pool(key.origin)) > 0 {
			if has, ok := pick(w, w.pool(key.origin)).at(key.path); ok {
				id = has.(string)
			}
		}
		return map[string]any{"type": kind, "id": id}
	}
	if w.chance(0.01) {
		isBody = !isBody
	}
	return w.givenReference(kind, w.vector(w.model(isBody)))
}

// referable is the id of a thing that mostly is good.
func (w *world) referable(origin int, good func(*thing) bool) string {
	if w.chance(0.97) {
		for range 30 {
			if len(w.pool(origin)) == 0 {
				break
			}
			if t := pick(w, w.pool(origin)); good(t) || w.chance(0.01) {
				return t.id
			}
		}
	}
	return pick(w, w.ids)
}

func (w *world) givenReference(kind string, v *vector) map[string]any {
	ref := map[string]any{"type": kind, "id": pick(w, []string{"probe", "é/1", ""})}
	if w.chance(0.1) {
		delete(ref, "id")
	}
	ref["data"] = any(v.json())
	if kind == "sdk_descriptor" || w.chance(0.1) {
		ref["data"] = v.sdk()
	}
	return ref
}

// set is a random candidate set.
func (w *world) set(isBody bool, account string, ref map[string]any) map[string]any {
	origin := pick(w, []int{0, 0, 0, 1, 1, 1, 2})
	if isBody {
		origin = pick(w, []int{0, 1, 1, 1, 1, 2, 2})
	}
	filters := w.filters(origin, account)
	filters["origin"] = origins[origin]
	set := map[string]any{"filters": filters}
	w.amount(set, origin)
	if w.chance(0.6) {
		set["order"] = pick(w, []string{"similarity", "create_time_asc", "create_time_desc"})
	}
	if w.chance(0.15) {
		set["label"] = pick(w, []any{"x", 1.5, nil, []any{true, "é"}, map[string]any{"a": map[string]any{"b": 0.0}}})
	}
	if w.chance(0.3) {
		w.sharpThreshold(set, isBody, account, ref)
	}
	return set
}

// sharpThreshold is just what some row has, or a float beside it.
func (w *world) sharpThreshold(set map[string]any, isBody bool, account string, ref map[string]any) {
	found, _ := w.resolve(ref, isBody, account)
	if len(found) == 0 || found[0].vector == nil {
		return
	}
	at, ok := w.owner(set["filters"])
	if !ok {
		return
	}
	_, all := w.selected(at, set["filters"], account)
	all = slices.DeleteFunc(all, func(t *thing) bool { return !t.has(found[0].vector.model) })
	if len(all) > 0 {
		at := w.near(found[0].vector.similarity(found[0].vector.distance(pick(w, all).vectors[which(found[0].vector.body)])))
		set["threshold"] = math.Min(1, math.Max(0, at))
	}
}

// amount says how much of the answer is wanted.
func (w *world) amount(set map[string]any, origin int) {
	if w.chance(0.7) {
		set["limit"] = float64(pick(w, []int{1, 2, 3, 4, 7, 10, 20, 1 + w.rng.IntN(20)}))
	}
	if w.chance(0.02) {
		set["limit"] = 1000.0
	}
	if w.chance(0.2) {
		set["threshold"] = pick(w, []float64{0, 1, 0.5, w.rng.Float64(), w.rng.Float64()})
	}
	if w.chance(0.5) {
		targets := []any{}
		for range pick(w, []int{0, 1, 2, 3, 6}) {
			targets = append(targets, pick(w, targetsOf[origin]))
		}
		set["targets"] = targets
	}
}

// targetsOf are the targets by origin.
var targetsOf = func() (all [3][]string) {
	for origin, fields := range shapes {
		all[origin] = []string{singulars[origin] + "_id", "create_time", "similarity", "distance"}
		for _, f := range fields {
			all[origin] = append(all[origin], f.name)
		}
	}
	all[inFaces] = append(all[inFaces], "lists")
	return all
}()

// cloneJSON copies a value of JSON.
func cloneJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := maps.Clone(v)
		for key, x := range c {
			c[key] = cloneJSON(x)
		}
		return c
	case []any:
		c := slices.Clone(v)
		for i, x := range c {
			c[i] = cloneJSON(x)
		}
		return c
	}
	return v
}
