package lua

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/simd"
)

// faceID is the ID of face n.
func faceID(n int) matcher.ID { return matcher.ID{14: byte(n >> 8), 15: byte(n)} }

// listID is the list of the even faces.
var listID = matcher.ID{0: 1}

// people returns a memory of n faces. Face i has age i%100, gender i%2, descriptor i and
// second i as its create_time.
func people(t testing.TB, n int) (*memory.Memory, *matcher.Version) {
	t.Helper()
	registry, err := matcher.NewRegistry([]matcher.Version{
		{Number: 1, Length: 2, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1000, Steepness: 0.01}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0], Workers: 2, Cost: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	changes := []store.Change{{Kind: store.PutList, List: &matcher.List{ID: listID}}}
	for i := range n {
		o := &matcher.Object{
			ID: faceID(i), CreateTime: matcher.Time(i * 1000), UserData: fmt.Sprint("user ", i),
			Age: matcher.SmallOf(uint8(i % 100)), Gender: matcher.SmallOf(uint8(i % 2)),
		}
		if i%2 == 0 {
			o.Lists = []matcher.ID{listID}
		}
		o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: []byte{byte(i), byte(i >> 8)}}
		changes = append(changes, store.Change{Kind: store.PutObject, Object: o})
	}
	m.Apply(changes)
	return m, registry.Version(1)
}

// subRequest returns a sub-request for the faces nearest to face n.
func subRequest(v *matcher.Version, n int, c *matcher.Candidates) matcher.SubRequest {
	return matcher.SubRequest{
		Reference:  &matcher.Reference{Type: matcher.RefRaw, ID: "probe", Descriptor: matcher.Descriptor{Version: 1, Data: []byte{byte(n), byte(n >> 8)}}},
		Candidates: c, Version: v, RequestID: "1,x",
	}
}

// withMatcher returns an option that gives a host a local matcher.
func withMatcher(m *memory.Memory) func(*Options) {
	return func(o *Options) { o.Services.Matching, o.MatchStates = m, 2 }
}

// faceNumbers returns the numbers of the faces in an answer.
func faceNumbers(t *testing.T, r matcher.Result) []int {
	t.Helper()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	found := []int{}
	for _, m := range r.Matches {
		found = append(found, int(m.ID[14])<<8|int(m.ID[15]))
	}
	return found
}

// runPrefilter runs the prefilter of the only plugin over all people.
func runPrefilter(t *testing.T, h *Host, m *memory.Memory, sub matcher.SubRequest) ([]int, error) {
	t.Helper()
	rows, err := m.Select(t.Context(), sub.Candidates, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, prefilters, release := h.Acquire()
	defer release()
	if len(prefilters) != 1 || prefilters[0].Name() != "p" || !prefilters[0].Applies(&sub) {
		t.Fatalf("%d prefilters", len(prefilters))
	}
	left, err := prefilters[0].Narrow(t.Context(), &sub, rows)
	if err != nil {
		return nil, err
	}
	found := []int{}
	for r := range left.(*memory.Selection).Rows() {
		o := left.(*memory.Selection).Object(r)
		found = append(found, int(o.ID[14])<<8|int(o.ID[15]))
	}
	slices.Sort(found)
	return found, nil
}

// TestPrefilterLargeIntegers: a filter on meta reaches a plugin exactly.
func TestPrefilterLargeIntegers(t *testing.T) {
	m, v := people(t, 3)
	h, _ := startHost(t, luatest.MatchingPlugin(`function M:prefilter(req, set)
  local want = req.filters["meta.frame__in"]
  assert(tostring(want[1]) == "9007199254740993" and tostring(want[2]) == "18446744073709551615" and want[3] == 1.5)
  assert(want[1] == ns.json.decode("9007199254740993") and ns.json.encode(req.filters) == '{"meta.frame__in":[9007199254740993,18446744073709551615,1.5]}')
  return set:where("age", "=", 1)
end`), withMatcher(m))
	c := &matcher.Candidates{Origin: matcher.Faces, Limit: 3, Filter: matcher.Filter{Event: matcher.EventFilter{Meta: []matcher.MetaFilter{{
		Field: matcher.MetaField{Path: "frame"}, Op: matcher.MetaIn,
		Values: []matcher.MetaValue{{Number: matcher.IntNumber(9007199254740993)}, {Number: matcher.UintNumber(math.MaxUint64)}, {Number: matcher.Number{Float: 1.5}}},
	}}}}}
	sub := subRequest(v, 0, c)
	_, prefilters, release := h.Acquire()
	defer release()
	rows, err := m.Select(t.Context(), &matcher.Candidates{Origin: matcher.Faces}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := prefilters[0].Narrow(t.Context(), &sub, rows); err != nil || left.(*memory.Selection).Len() != 1 {
		t.Error(left, err)
	}
}

// TestPrefilterOperations: every operation of a set, as scripts call it.
func TestPrefilterOperations(t *testing.T) {
	m, v := people(t, 300)
	keep := func(test func(i int) bool) []int {
		found := []int{}
		for i := range 300 {
			if test(i) {
				found = append(found, i)
			}
		}
		return found
	}
	id := func(n int) string { return "'" + faceID(n).String() + "'" }
	for source, want := range map[string]func(i int) bool{
		`return set:where("age", ">=", 18)`:                                    func(i int) bool { return i%100 >= 18 },
		`return set:where("user_data", "=", "user 7")`:                         func(i int) bool { return i == 7 },
		`return set:where("create_time", "<", 10)`:                             func(i int) bool { return i < 10 },
		`return set:where("create_time", ">=", "1970-01-01T00:04:00Z")`:        func(i int) bool { return i >= 240 },
		`return set:between("age", 20, 30)`:                                    func(i int) bool { return i%100 >= 20 && i%100 <= 30 },
		`return set:one_of("age", {1, 5, 300})`:                                func(i int) bool { return i%100 == 1 || i%100 == 5 },
		`return set:ids({` + id(3) + `, ` + id(299) + `, ` + id(900) + `})`:    func(i int) bool { return i == 3 || i == 299 },
		`return set:exclude({` + id(3) + `})`:                                  func(i int) bool { return i != 3 },
		`return set:top("create_time", 5)`:                                     func(i int) bool { return i >= 295 },
		`return set:where("age", "<", 10):union(set:where("age", ">", 90))`:    func(i int) bool { return i%100 < 10 || i%100 > 90 },
		`return set:where("age", "<", 10) + set:where("age", ">", 90)`:         func(i int) bool { return i%100 < 10 || i%100 > 90 },
		`return set:where("age", "<", 10) * set:where("gender", "=", 1)`:       func(i int) bool { return i%100 < 10 && i%2 == 1 },
		`return set:intersect(set:where("gender", "=", 1))`:                    func(i int) bool { return i%2 == 1 },
		`return set - set:where("gender", "=", 1)`:                             func(i int) bool { return i%2 == 0 },
		`return set:minus(set:where("lists", "=", '` + listID.String() + `'))`: func(i int) bool { return i%2 == 1 },
		`return set:filter(function(age, user) return age % 7 == 0 and user ~= "user 7" end, "age", "user_data")`: func(i int) bool {
			return i%100%7 == 0 && i != 7
		},
		`if #set ~= 300 or set:len() ~= 300 then error("len") end
		 if #set:sample(20, 1) ~= 20 or #(set:sample(20, 1) - set:sample(20, 1)) ~= 0 then error("sample") end
		 return set`: func(int) bool { return true },
		`local rows = set:where("user_data", "=", "user 8"):to_table(5)
		 local r = rows[1]
		 if #rows ~= 1 or r.age ~= 8 or r.gender ~= 0 or r.face_id ~= ` + id(8) + ` or r.create_time ~= "1970-01-01T00:00:08.000Z"
		   or r.lists[1] ~= '` + listID.String() + `' or r.avatar ~= nil then error("row") end
		 if #set:to_table(7) ~= 7 then error("limit") end
		 return set:ids({})`: func(int) bool { return false },
	} {
		h, log := startHost(t, luatest.MatchingPlugin("M.matching = {on_error = 'fail'}\nfunction M:prefilter(req, set)\n"+source+"\nend"), withMatcher(m))
		got, err := runPrefilter(t, h, m, subRequest(v, 1, &matcher.Candidates{Limit: 5}))
		if err != nil || !slices.Equal(got, keep(want)) {
			t.Errorf("%s: %v %v\n%s", source, got, err, log.All())
		}
	}
}

// TestPrefilterOnlyNarrows: a prefilter cannot add rows that are not in its set.
func TestPrefilterOnlyNarrows(t *testing.T) {
	m, v := people(t, 100)
	h, _ := startHost(t, luatest.MatchingPlugin(`
local first
M.matching = {on_error = "fail"}
function M:prefilter(req, set)
  first = first or set
  return first
end`), withMatcher(m), func(o *Options) { o.MatchStates = 1 })
	all := subRequest(v, 1, &matcher.Candidates{Limit: 5})
	if got, err := runPrefilter(t, h, m, all); err != nil || len(got) != 100 {
		t.Fatal(got, err)
	}
	some := subRequest(v, 1, &matcher.Candidates{Limit: 5, Filter: matcher.Filter{IDs: []matcher.ID{faceID(7)}}})
	if got, err := runPrefilter(t, h, m, some); err != nil || !slices.Equal(got, []int{7}) {
		t.Fatal(got, err)
	}
	// A set of another moment cannot be compared, so this is an error.
	m.Apply([]store.Change{{Kind: store.DeleteObject, ID: faceID(99)}})
	if got, err := runPrefilter(t, h, m, all); matcher.CodeOf(err) != matcher.CodeUnavailable || !strings.Contains(causeOf(err).Error(), "not made from one candidate set") {
		t.Fatal(got, err)
	}
}

// causeOf returns the error that is hidden from clients.
func causeOf(err error) error {
	if hidden, ok := errors.AsType[withheldError](err); ok {
		return hidden.cause
	}
	return err
}

// TestPrefilterFails: after a failure, "skip" keeps the whole set and "fail" fails the
// request. The same holds while the breaker is open.
func TestPrefilterFails(t *testing.T) {
	m, v := people(t, 50)
	for _, body := range []string{`error("policy")`, `while true do end`, `return 5`, `return nil`, `return set:where("height", ">", 1)`} {
		for _, mode := range []string{"skip", "fail"} {
			h, _ := startHost(t, luatest.MatchingPlugin("M.matching = {on_error = '"+mode+"'}\nfunction M:prefilter(req, set)\n"+body+"\nend"), withMatcher(m),
				func(o *Options) { o.BreakerLimit, o.BreakerPause = 2, time.Hour })
			for range 4 {
				got, err := runPrefilter(t, h, m, subRequest(v, 1, &matcher.Candidates{Limit: 5}))
				if mode == "skip" && (err != nil || len(got) != 50) {
					t.Errorf("%s: %v %v", body, got, err)
				}
				if mode == "fail" && (matcher.CodeOf(err) != matcher.CodeUnavailable || !strings.Contains(err.Error(), "plugin p: prefilter: ") ||
					strings.Contains(err.Error(), ".lua") || strings.Contains(err.Error(), "policy")) { // these belong only in the log
					t.Errorf("%s: %v %v", body, got, err)
				}
			}
			s := h.Plugins()[0]
			if s.Failures != 2 || s.LastError == "" || s.Hooks[0].Name != "prefilter" || s.Hooks[0].State != "open" {
				t.Errorf("%s: %+v", body, s)
			}
		}
	}
}

// TestMatch: rows of a plugin are compared again, and left out if they are not in the
// set.
func TestMatch(t *testing.T) {
	m, v := people(t, 100)
	h, log := startHost(t, luatest.MatchingPlugin(`
function M:cost(req) return req.limit / 2 end
function M:match(req, set)
  local r = req.reference
  if r.type ~= "raw_descriptor" or r.id ~= "probe" or r.version ~= 1 or req:descriptor() ~= "\10\0" then error("reference") end
  if req.origin ~= "faces" or req.order ~= "similarity" or req.version ~= 1 or req.descriptor_type ~= "face" or req.request_id ~= "1,x"
    or req.threshold ~= 0 or req.filters.list_id ~= "`+listID.String()+`" then error("request") end
  if #set ~= 50 then error("set") end
  local rows = {}
  for _, n in ipairs({8, 99, 4, 12, 6}) do rows[#rows + 1] = {id = ("00000000-0000-0000-0000-%012x"):format(n), distance = n} end
  rows[#rows + 1] = {id = ns.uuid()}
  return rows
end`), withMatcher(m))
	matchers, _, release := h.Acquire()
	defer release()
	c := &matcher.Candidates{Limit: 3, Filter: matcher.Filter{ListID: &listID}}
	sub := subRequest(v, 10, c)
	if cost, reason, ok := matchers[0].Cost(t.Context(), &sub); cost != 1.5 || !ok || reason != "" {
		t.Error(cost, reason, ok)
	}
	result := matchers[0].Match(t.Context(), []matcher.SubRequest{sub})[0]
	if got := faceNumbers(t, result); !slices.Equal(got, []int{8, 12, 6}) {
		t.Error(got, log.All())
	}
	if d := result.Matches[0]; d.Distance != 4 || d.Object.UserData != "user 8" {
		t.Errorf("%+v", d)
	}
}

// TestMatchScans: a plugin answers with its own scan of a part of the set. Rows that a
// prefilter has removed do not come back.
func TestMatchScans(t *testing.T) {
	m, v := people(t, 200)
	h, log := startHost(t, luatest.MatchingPlugin(`
function M:match(req, set)
  local near = set:where("gender", "=", 0):scan(4)
  if near[1].distance > near[2].distance or near[1].similarity < near[2].similarity then error("order") end
  return near
end`), withMatcher(m))
	matchers, _, release := h.Acquire()
	defer release()
	sub := subRequest(v, 101, &matcher.Candidates{Limit: 10})
	if cost, _, ok := matchers[0].Cost(t.Context(), &sub); cost != CostDefault || !ok {
		t.Error(cost, ok)
	}
	if got := faceNumbers(t, matchers[0].Match(t.Context(), []matcher.SubRequest{sub})[0]); !slices.Equal(got, []int{100, 102, 98, 104}) {
		t.Error(got, log.All())
	}
	part, err := m.Select(t.Context(), &matcher.Candidates{Filter: matcher.Filter{IDs: []matcher.ID{faceID(100), faceID(101), faceID(104)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sub.Selection = part
	results := matchers[0].Match(t.Context(), []matcher.SubRequest{sub, sub, sub, sub, sub})
	for _, r := range results {
		if got := faceNumbers(t, r); !slices.Equal(got, []int{100, 104}) {
			t.Error(got, log.All())
		}
	}
}

// TestMatchFails: after a fault of a plugin, the error has a code that makes another
// matcher answer. The result nil declines.
func TestMatchFails(t *testing.T) {
	m, v := people(t, 10)
	for body, want := range map[string]string{
		`return nil`: "declined", ``: "declined", `return 7`: "must be a list of rows", `return {{}}`: "row 1 has no id", `return {"x"}`: "row 1 has no id",
		`return {{id = "x"}}`: `row 1: id: must be a UUID, got "x"`, `error({})`: "error object is a table", `while true do end`: "ran for too long",
		`return {[1] = {id = ns.uuid()}, [3] = 4}`: "list", `return set`: "must be a list of rows",
		`return many()`: "at most 100000 rows, got 100001",
	} {
		h, _ := startHost(t, luatest.MatchingPlugin(`
M.limits = {slice = 1}
local function many() local t, row = {}, {id = "x"} for i = 1, 100001 do t[i] = row end return t end
function M:match(req, set)
`+body+"\nend"), withMatcher(m))
		matchers, _, release := h.Acquire()
		r := matchers[0].Match(t.Context(), []matcher.SubRequest{subRequest(v, 1, &matcher.Candidates{Limit: 1})})[0]
		release()
		if r.Err == nil || !strings.Contains(causeOf(r.Err).Error(), want) || strings.Contains(r.Err.Error(), ".lua") {
			t.Errorf("%s: %v (%v), want %s", body, r.Err, causeOf(r.Err), want)
		}
		if code := matcher.CodeOf(r.Err); code != matcher.CodeInternal && code != matcher.CodeNoMatcher {
			t.Errorf("%s: code %d would not make another matcher answer", body, code)
		}
	}
}

// TestCapabilities: a plugin is asked only about sub-requests that its field matching
// allows.
func TestCapabilities(t *testing.T) {
	m, v := people(t, 10)
	h, _ := startHost(t, luatest.MatchingPlugin(`
M.matching = {references = {"face"}, origins = {"faces"}, descriptors = {"face"}, orders = {"similarity"}}
function M:cost(req) if req.limit > 5 then return nil end return 1 end
function M:match() end
function M:prefilter(req, set) return set end`), withMatcher(m))
	matchers, prefilters, release := h.Acquire()
	defer release()
	costWith := func(change func(*matcher.SubRequest)) string {
		sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
		sub.Reference.Type = matcher.RefFace
		change(&sub)
		_, reason, ok := matchers[0].Cost(t.Context(), &sub)
		if reason != "cannot" && ok != prefilters[0].Applies(&sub) {
			t.Error("Applies of the prefilter and Cost of the matcher disagree")
		}
		return fmt.Sprint(ok, " ", reason)
	}
	body := *v
	body.Type = matcher.BodyDescriptor
	for _, c := range []struct {
		want   string
		change func(*matcher.SubRequest)
	}{
		{"true ", func(*matcher.SubRequest) {}},
		{"false cannot", func(s *matcher.SubRequest) { s.Candidates.Limit = 6 }},
		{"false not for events", func(s *matcher.SubRequest) { s.Candidates.Origin = matcher.Events }},
		{"false not for the order create_time_asc", func(s *matcher.SubRequest) { s.Candidates.Order = matcher.ByTimeAsc }},
		{"false not for body descriptors", func(s *matcher.SubRequest) { s.Version = &body }},
		{"false not for references of type sdk_descriptor", func(s *matcher.SubRequest) { s.Reference.Type = matcher.RefSDK }},
	} {
		if got := costWith(c.change); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestTogetherHasNoPlugin: a plugin that can answer anything does not answer a reference
// with several descriptors, but it narrows its candidate set.
func TestTogetherHasNoPlugin(t *testing.T) {
	m, v := people(t, 10)
	h, _ := startHost(t, luatest.MatchingPlugin(`
function M:match() end
function M:prefilter(req, set) assert(req.reference == nil) return set:where("age", ">=", 0) end`), withMatcher(m))
	matchers, prefilters, release := h.Acquire()
	defer release()
	sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
	part := *sub.Reference
	sub.Reference = &matcher.Reference{Type: matcher.RefTogether, Descriptor: matcher.Descriptor{Version: v.Number}, Parts: []matcher.Reference{part}}
	if _, reason, ok := matchers[0].Cost(t.Context(), &sub); ok || reason != "not for references of type together" {
		t.Errorf("%v %q", ok, reason)
	}
	rows, err := m.Select(t.Context(), sub.Candidates, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !prefilters[0].Applies(&sub) {
		t.Error("the prefilter does not apply")
	}
	if _, err := prefilters[0].Narrow(t.Context(), &sub, rows); err != nil {
		t.Error(err)
	}
}

// TestReloadKeepsRequests: a request keeps the plugins that it began with, and a reload
// waits for it.
func TestReloadKeepsRequests(t *testing.T) {
	m, v := people(t, 10)
	h, _ := startHost(t, luatest.MatchingPlugin("function M:match(req, set) return set:scan(1) end"), withMatcher(m))
	matchers, _, release := h.Acquire()
	reloaded := make(chan error)
	go func() { reloaded <- h.Reload(context.Background()) }()
	for h.current.Load().matchers[0] == matchers[0].(*pluginMatcher).plugin {
		runtime.Gosched() // until the new generation is current
	}
	if got := faceNumbers(t, matchers[0].Match(t.Context(), []matcher.SubRequest{subRequest(v, 3, &matcher.Candidates{Limit: 1})})[0]); !slices.Equal(got, []int{3}) {
		t.Error(got)
	}
	select {
	case err := <-reloaded:
		t.Fatal("the reload did not wait:", err)
	default:
	}
	release()
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
}

// BenchmarkMatching measures the cost that a plugin adds to a request with one set.
func BenchmarkMatching(b *testing.B) {
	m, v := people(b, 1000)
	h, _ := startHost(b, luatest.MatchingPlugin("function M:cost(req) return 200 end\nfunction M:match() end\nfunction M:prefilter(req, set) return set end"), withMatcher(m))
	sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
	rows, err := m.Select(b.Context(), sub.Candidates, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	for b.Loop() {
		matchers, prefilters, release := h.Acquire()
		if _, err := prefilters[0].Narrow(ctx, &sub, rows); err != nil {
			b.Fatal(err)
		}
		if _, _, ok := matchers[0].Cost(ctx, &sub); !ok {
			b.Fatal("no cost")
		}
		release()
	}
}
