package oracle

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"nearside/internal/testkit"
)

// Request is a random request with the answer that the oracle expects.
type Request struct {
	Kind         string // for the count of successful requests
	Method, Path string
	Query        map[string]string // query parameters except filters and repeated ones
	Body         any               // a JSON value; nil: no body
	Lines        []string          // the body of an import
	Writes       bool              // whether the request changes objects or lists
	Server       int               // the index of the server that gets the request

	// Answer changes the world as the request should change the server, and returns
	// the expected answer. It is called once, in the order of the requests.
	Answer func() Outcome

	filters  map[string]any   // filters by name
	inBody   bool             // the filters are in the body, not in the query
	spelling uint64           // the seed of the spelling of filters in the query
	lists    map[string][]any // query parameters that are lists, except filters
}

func (r *Request) account() string { return strings.ToLower(r.Query["account_id"]) }

// newQuery returns the query of a request, sometimes with an account.
func (w *World) newQuery() map[string]string {
	query := map[string]string{}
	if w.Chance(0.2) {
		account := testkit.Pick(w.rng, w.accounts...)
		if w.Chance(0.1) {
			account = strings.ToUpper(account)
		}
		query["account_id"] = account
	}
	return query
}

// matchRequest returns a random match without mistakes in its form.
func (w *World) matchRequest() *Request {
	isBody := w.Chance(0.35)
	r := &Request{Kind: "match", Method: "POST", Path: "/1/matcher/faces", Query: w.newQuery()}
	switch {
	case isBody:
		r.Path = "/1/matcher/bodies"
	case w.Chance(0.1):
		r.Path = "/1/matcher"
	}
	refs, sets := []any{}, []any{}
	for range testkit.Pick(w.rng, []int{1, 1, 1, 2, 3, 5}...) {
		refs = append(refs, w.randomReference(isBody, r.account()))
	}
	for range testkit.Pick(w.rng, []int{1, 1, 1, 2, 3, 4}...) {
		sets = append(sets, w.randomSet(isBody, r.account(), refs[0].(map[string]any)))
	}
	if w.Chance(0.3) {
		r.Query["explain"] = testkit.Pick(w.rng, []string{"0", "1", "1"}...)
	}
	if w.Chance(0.08) {
		r.Query["descriptor_version"] = w.versionFor(refs[0].(map[string]any), isBody, r.account())
		if w.Chance(0.6) {
			refs = refs[:1]
		}
	}
	r.Body = map[string]any{"references": refs, "candidates": sets}
	r.Answer = func() Outcome { return w.match(r, isBody) }
	return r
}

// versionFor returns a descriptor version, mostly that of ref.
func (w *World) versionFor(ref map[string]any, isBody bool, account string) string {
	if found, _ := w.resolve(ref, isBody, account); len(found) > 0 && found[0].vector != nil && w.Chance(0.8) {
		return strconv.Itoa(found[0].vector.number)
	}
	return strconv.Itoa(w.randomModel(isBody).number)
}

// randomReference returns a random reference. Mostly it can be resolved.
func (w *World) randomReference(isBody bool, account string) map[string]any {
	if w.Chance(0.15) {
		return w.togetherReference(isBody, account)
	}
	return w.plainReference(isBody, account)
}

// plainReference is randomReference without the type together.
func (w *World) plainReference(isBody bool, account string) map[string]any {
	kind := testkit.Pick(w.rng, []string{
		"face", "face", "event", "event", "attribute", "raw_descriptor", "raw_descriptor", "sdk_descriptor",
		"face_external_id", "event_external_id", "event_track_id",
	}...)
	if isBody && strings.HasPrefix(kind, "face") {
		kind = testkit.Pick(w.rng, []string{"event", "event_track_id", "raw_descriptor", kind}...)
	}
	if origin, ok := byID[kind]; ok {
		id := w.idOfObject(origin, func(o *object) bool { return o.visible(account) && o.vectors[vectorIndex(isBody)] != nil })
		if w.Chance(0.05) {
			id = strings.ToUpper(id)
		}
		return map[string]any{"type": kind, "id": id}
	}
	if key, ok := byKey[kind]; ok {
		id := testkit.Pick(w.rng, w.people...)
		if w.Chance(0.7) && len(w.pool(key.origin)) > 0 {
			if has, ok := testkit.Pick(w.rng, w.pool(key.origin)...).field(key.path); ok {
				id = has.(string)
			}
		}
		return map[string]any{"type": kind, "id": id}
	}
	if w.Chance(0.01) {
		isBody = !isBody
	}
	ref := w.givenReference(kind, w.newVector(w.randomModel(isBody)))
	if kind == "raw_descriptor" && w.Chance(0.5) {
		ref["object"] = w.randomSelf()
	}
	return ref
}

// idOfObject returns an ID, mostly of an object for which good returns true.
func (w *World) idOfObject(origin int, good func(*object) bool) string {
	if w.Chance(0.97) {
		for range 30 {
			if len(w.pool(origin)) == 0 {
				break
			}
			if o := testkit.Pick(w.rng, w.pool(origin)...); good(o) || w.Chance(0.01) {
				return o.id
			}
		}
	}
	return testkit.Pick(w.rng, w.ids...)
}

// givenReference returns a reference with the descriptor v.
func (w *World) givenReference(kind string, v *vector) map[string]any {
	ref := map[string]any{"type": kind, "id": testkit.Pick(w.rng, []string{"probe", "é/1", ""}...)}
	if w.Chance(0.1) {
		delete(ref, "id")
	}
	ref["data"] = any(w.spelled(v))
	if kind == "sdk_descriptor" || w.Chance(0.1) {
		ref["data"] = v.sdk()
	}
	return ref
}

// randomSet returns a random candidate set.
func (w *World) randomSet(isBody bool, account string, ref map[string]any) map[string]any {
	origin := testkit.Pick(w.rng, []int{0, 0, 0, 1, 1, 1, 2}...)
	if isBody {
		origin = testkit.Pick(w.rng, []int{0, 1, 1, 1, 1, 2, 2}...)
	}
	filters := w.randomFilters(origin, account)
	filters["origin"] = Origins[origin]
	set := map[string]any{"filters": filters}
	w.limitAnswer(set, origin)
	if w.Chance(0.6) {
		set["order"] = testkit.Pick(w.rng, []string{"similarity", "create_time_asc", "create_time_desc"}...)
	}
	if w.Chance(0.15) {
		set["label"] = testkit.Pick(w.rng, []any{"x", 1.5, nil, []any{true, "é"}, map[string]any{"a": map[string]any{"b": 0.0}}}...)
	}
	w.rankingFields(set, origin)
	if w.Chance(0.3) {
		w.sharpThreshold(set, isBody, account, ref)
	}
	return set
}

// sharpThreshold sets the threshold to the similarity of a row, or to the next float
// above or below.
func (w *World) sharpThreshold(set map[string]any, isBody bool, account string, ref map[string]any) {
	found, _ := w.resolve(ref, isBody, account)
	if len(found) == 0 || found[0].vector == nil {
		return
	}
	at, ok := w.owner(set["filters"])
	if !ok {
		return
	}
	_, all := w.selected(at, set["filters"], account)
	all = slices.DeleteFunc(all, func(o *object) bool { return !o.hasVersion(found[0].vector.model) })
	if len(all) > 0 {
		_, similarity := found[0].figures(testkit.Pick(w.rng, all...).vectors[vectorIndex(found[0].vector.body)])
		at := w.near(similarity)
		set["threshold"] = math.Min(1, math.Max(0, at))
	}
}

// limitAnswer sets a random limit, threshold and targets.
func (w *World) limitAnswer(set map[string]any, origin int) {
	if w.Chance(0.7) {
		set["limit"] = float64(testkit.Pick(w.rng, []int{1, 2, 3, 4, 7, 10, 20, 1 + w.rng.IntN(20)}...))
	}
	if w.Chance(0.02) {
		set["limit"] = 1000.0
	}
	if w.Chance(0.2) {
		set["threshold"] = testkit.Pick(w.rng, []float64{0, 1, 0.5, w.rng.Float64(), w.rng.Float64()}...)
	}
	if w.Chance(0.5) {
		targets := []any{}
		for range testkit.Pick(w.rng, []int{0, 1, 2, 3, 6}...) {
			targets = append(targets, testkit.Pick(w.rng, targetsOf[origin]...))
		}
		set["targets"] = targets
	}
}

// targetsOf has the targets of each origin.
var targetsOf = func() (all [3][]string) {
	for origin, fields := range optional {
		all[origin] = []string{singulars[origin] + "_id", "create_time", "similarity", "distance"}
		for _, f := range fields {
			all[origin] = append(all[origin], f.name)
		}
	}
	all[faceOrigin] = append(all[faceOrigin], "lists")
	return all
}()

// cloneJSON returns a deep copy of a JSON value.
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
