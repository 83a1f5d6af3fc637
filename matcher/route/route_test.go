package route_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/route"
)

// fake is a matcher that answers each sub-request with one match. The distance of
// the match encodes the reference and the set.
type fake struct {
	name  string
	cost  func(sub *matcher.SubRequest) (float64, string, bool)
	match func(ctx context.Context, subs []matcher.SubRequest) []matcher.Result
	calls [][]matcher.SubRequest
	mu    sync.Mutex
}

func (f *fake) Name() string { return f.name }

func (f *fake) Cost(_ context.Context, sub *matcher.SubRequest) (float64, string, bool) {
	return f.cost(sub)
}

func (f *fake) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	f.mu.Lock()
	f.calls = append(f.calls, subs)
	f.mu.Unlock()
	if f.match != nil {
		return f.match(ctx, subs)
	}
	results := make([]matcher.Result, len(subs))
	for i, sub := range subs {
		distance := float64(sub.Reference.Descriptor.Data[0])*1000 + float64(sub.Candidates.Limit)
		results[i] = matcher.Result{
			Matches: []matcher.Match{{Distance: distance, Object: &matcher.Object{ExternalID: f.name}}},
			Scan:    matcher.Scan{RowsSelected: 3, RowsOtherVersion: 1, RowsScanned: 2, Kernel: f.name, SharedWith: i, Duration: time.Millisecond},
		}
	}
	return results
}

// costs returns a fake that can answer everything, at one cost.
func costs(name string, cost float64) *fake {
	return &fake{name: name, cost: func(*matcher.SubRequest) (float64, string, bool) { return cost, "", true }}
}

// objects is a store of faces by number.
type objects map[byte]*matcher.Object

func id(n byte) matcher.ID { return matcher.ID{n} }

func (o objects) Get(origin matcher.Origin, want matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool) {
	x := o[want[0]]
	if origin != matcher.Faces || x == nil || account != nil && x.Account != *account {
		return matcher.Object{}, false
	}
	if !descriptors {
		return matcher.Object{ID: x.ID, ExternalID: x.ExternalID}, true
	}
	return *x, true
}

func (o objects) Page(_ context.Context, _ matcher.Origin, f *matcher.Filter, account *matcher.ID, p matcher.Page) ([]matcher.Object, int, error) {
	var found []matcher.Object
	for n := range 256 {
		if x := o[byte(n)]; x != nil && slices.Contains(f.Fields[0].Texts, x.ExternalID) && (account == nil || x.Account == *account) && p.Descriptors {
			found = append(found, *x)
		}
	}
	if slices.Equal(f.Fields[0].Texts, []string{"slow"}) {
		return nil, 0, context.DeadlineExceeded
	}
	return found[min(p.Offset, len(found)):min(p.Offset+p.Size, len(found))], len(found), nil
}

func (o objects) Each(_ context.Context, c *matcher.Candidates, t matcher.DescriptorType, account *matcher.ID, visit func(*matcher.Object) error) error {
	f := &c.Filter
	for _, x := range o { // in random order
		if !x.Descriptor(t).IsZero() && (f.Fields == nil || slices.Contains(f.Fields[0].Texts, x.ExternalID)) && (account == nil || x.Account == *account) {
			if err := visit(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// frozen is a moment that never changes.
type frozen struct {
	objects
	matcher.Selector
}

func (f frozen) Moment(*matcher.ID, []matcher.Reference, []*matcher.Candidates) matcher.Moment {
	return f
}

// faces returns the faces 1 to 4: 1 and 2 have the same key, 3 has only a body
// descriptor, 4 belongs to another account.
func faces() objects {
	all := objects{}
	for n := byte(1); n <= 4; n++ {
		o := &matcher.Object{ID: id(n), ExternalID: "single"}
		o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 59, Data: []byte{n}}
		all[n] = o
	}
	all[1].ExternalID, all[2].ExternalID = "twins", "twins"
	all[3].Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{}
	all[3].Descriptors[matcher.BodyDescriptor] = matcher.Descriptor{Version: 110, Data: []byte{3}}
	all[4].Account = id(99)
	return all
}

type observer struct {
	mu     sync.Mutex
	points []matcher.MatchPoint
}

func (o *observer) Requested(matcher.RequestPoint) {}
func (o *observer) Matched(point matcher.MatchPoint) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.points = append(o.points, point)
	slices.SortStableFunc(o.points, func(a, b matcher.MatchPoint) int { return -strings.Compare(a.Matcher, b.Matcher) })
}
func (o *observer) Stored(*matcher.Object) {}

func newRouter(t *testing.T, o *observer, matchers ...matcher.Matcher) *route.Router {
	t.Helper()
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	options := route.Options{Registry: registry, Moments: frozen{faces(), nil}, Local: matchers[0], Plugins: others(matchers[1:])}
	if o != nil {
		options.Observer = o
	}
	return route.New(options)
}

// others are the matchers of plugins.
type others []matcher.Matcher

func (p others) AcquireHooks() (matcher.Hooks, func()) { return matcher.Hooks{Matchers: p}, func() {} }

func face(n byte) matcher.Reference {
	return matcher.Reference{Type: matcher.RefFace, ID: id(n).String()}
}

func key(s string) matcher.Reference {
	return matcher.Reference{Type: matcher.RefFaceExternalID, ID: s}
}

func raw(n byte) matcher.Reference {
	return matcher.Reference{Type: matcher.RefRaw, ID: "x", Descriptor: matcher.Descriptor{Version: 59, Data: []byte{n}}}
}

// request returns a request with two sets, which have the limits 1 and 2.
func request(refs ...matcher.Reference) *route.Request {
	return &route.Request{
		References: refs, Candidates: []*matcher.Candidates{{Limit: 1}, {Limit: 2, Origin: matcher.Events}},
		RequestID: "id", ReferencesMax: 10, RowsMax: 1000,
	}
}

// TestAnswersAreInOrder: each reference and set gets its own answer, from any
// matcher, and each matcher is called once.
func TestAnswersAreInOrder(t *testing.T) {
	faces, events := costs("faces", 5), costs("events", 5)
	events.cost = func(sub *matcher.SubRequest) (float64, string, bool) {
		return 1, "only events", sub.Candidates.Origin == matcher.Events
	}
	var o observer
	account := id(0)
	req := request(raw(7), face(2), key("twins"), key("nobody"), face(1))
	req.Account = &account
	a, err := newRouter(t, &o, faces, events).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		ref      string
		objectID matcher.ID
		number   float64
	}{{"x", id(0), 7}, {id(2).String(), id(0), 2}, {"twins", id(1), 1}, {"twins", id(2), 2}, {"nobody", id(0), 0}, {id(1).String(), id(0), 1}}
	if len(a.References) != len(want) || len(a.Results) != len(want) || a.Plans != nil {
		t.Fatalf("%d references, %d results, plans %v", len(a.References), len(a.Results), a.Plans)
	}
	for i, w := range want {
		if r := a.References[i]; r.ID != w.ref || r.ObjectID != w.objectID {
			t.Errorf("reference %d: %+v", i, r)
		}
		for set, name := range []string{"faces", "events"} {
			got := a.Results[i][set].Matches
			if w.number == 0 { // a key without objects: an empty item
				if len(got) != 0 {
					t.Errorf("reference %d, set %d: %v", i, set, got)
				}
				continue
			}
			if len(got) != 1 || got[0].Distance != w.number*1000+float64(set+1) || got[0].Object.ExternalID != name {
				t.Errorf("reference %d, set %d: %+v", i, set, got)
			}
		}
	}
	for _, f := range []*fake{faces, events} {
		if len(f.calls) != 1 || len(f.calls[0]) != 5 {
			t.Fatalf("%s was asked %d times", f.name, len(f.calls))
		}
		for _, sub := range f.calls[0] {
			if sub.Version.Number != 59 || sub.Account != &account || sub.RequestID != "id" || sub.Candidates != f.calls[0][0].Candidates {
				t.Errorf("%s was asked %+v", f.name, sub)
			}
		}
	}
	for i, p := range o.points {
		if p.Matcher != []string{"faces", "events"}[i] || p.Subs != 5 || p.Rows != 10 || p.Matches != 5 || p.Err != nil || p.RequestID != "id" {
			t.Errorf("observed %+v", p)
		}
	}
	if len(o.points) != 2 {
		t.Errorf("observed %d points, want 2", len(o.points))
	}
}

// TestLowestCostWins: the cheapest matcher answers; ties go to the first. A matcher
// that cannot answer is not asked, even at the lowest cost.
func TestLowestCostWins(t *testing.T) {
	never := &fake{name: "never", cost: func(*matcher.SubRequest) (float64, string, bool) { return 0, "busy", false }}
	matchers := []matcher.Matcher{never, costs("expensive", 9), costs("cheap", 2), costs("same", 2)}
	req := request(raw(1), key("nobody"))
	req.Explain = true
	a, err := newRouter(t, nil, matchers...).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	plan := a.Plans[0][1]
	var matched []string
	for _, m := range plan.Matchers {
		matched = append(matched, fmt.Sprintf("%s %v %v %s", m.Name, m.Cost, m.Chosen, m.Reason))
	}
	if want := []string{"never 0 false busy", "expensive 9 false costs more", "cheap 2 true lowest cost", "same 2 false same cost, but busier or later in order"}; !slices.Equal(matched, want) {
		t.Errorf("%q, want %q", matched, want)
	}
	if plan.RowsSelected != 3 || plan.RowsOtherVersion != 1 || plan.RowsScanned != 2 || plan.Kernel != "cheap" || plan.SharedWith != 1 || plan.Milliseconds != 1 {
		t.Errorf("%+v", plan)
	}
	if empty := a.Plans[1][0]; empty == nil || empty.Matchers != nil {
		t.Errorf("a key without objects has the plan %+v", empty)
	}
}

// TestErrors: each error has the right code and names the place in the request.
func TestErrors(t *testing.T) {
	check := func(req *route.Request, code matcher.Code, detail string, matchers ...matcher.Matcher) {
		t.Helper()
		if matchers == nil {
			matchers = []matcher.Matcher{costs("memory", 1)}
		}
		a, err := newRouter(t, nil, matchers...).Match(t.Context(), req)
		if err == nil || matcher.CodeOf(err) != code || !strings.Contains(err.Error(), detail) {
			t.Errorf("%v, %v; want %d, %s", a, err, code, detail)
		}
	}
	with := func(req *route.Request, change func(*route.Request)) *route.Request {
		change(req)
		return req
	}
	check(request(raw(1), face(9)), matcher.CodeFaceNotFound, "references[1].id: face "+id(9).String()+" does not exist")
	check(request(matcher.Reference{Type: matcher.RefEvent, ID: id(1).String()}), matcher.CodeEventNotFound, "references[0].id: event ")
	check(request(matcher.Reference{Type: matcher.RefAttribute, ID: id(1).String()}), matcher.CodeAttrNotFound, "references[0].id: attribute ")
	check(request(matcher.Reference{Type: matcher.RefFace, ID: "x"}), matcher.CodeBadInput, `references[0].id: must be a UUID, got "x"`)
	check(request(face(3)), matcher.CodeNoDescriptor, "references[0].id: face "+id(3).String()+" has no face descriptor")
	account := id(5)
	check(with(request(face(4)), func(r *route.Request) { r.Account = &account }), matcher.CodeFaceNotFound, "does not exist")
	check(with(request(raw(1), face(1)), func(r *route.Request) { r.Version = 58 }), matcher.CodeWrongVersion, "references[0]: its descriptor has version 59, and descriptor_version is 58")
	check(with(request(key("twins")), func(r *route.Request) { r.Version = 58 }), matcher.CodeWrongVersion, "references[0] (face ")
	unknown := raw(1)
	unknown.Descriptor.Version = 7
	check(request(unknown), matcher.CodeUnknownVersion, "references[0].data.version: version 7 is not registered")

	check(with(request(raw(1), raw(2), raw(3)), func(r *route.Request) { r.ReferencesMax = 2 }), matcher.CodeTooMany, "must be at most 2")
	check(with(request(raw(1), key("twins")), func(r *route.Request) { r.ReferencesMax = 2 }), matcher.CodeTooMany, "must be at most 2")
	check(with(request(raw(1), raw(2)), func(r *route.Request) { r.RowsMax = 5 }), matcher.CodeTooMany, "limits, group sizes and offsets allow 3 rows for each of 2 references")
	check(request(key("slow")), matcher.CodeDeadline, "deadline")

	never := &fake{name: "never", cost: func(*matcher.SubRequest) (float64, string, bool) { return 0, "", false }}
	check(request(raw(1)), matcher.CodeNoMatcher, "candidates[0]: no matcher", never)
	failing := func(err error) *fake {
		f := costs("failing", 1)
		f.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
			results := make([]matcher.Result, len(subs))
			results[1].Err = err
			return results
		}
		return f
	}
	check(request(raw(1)), matcher.CodeUnavailable, "all busy", failing(matcher.Errorf(matcher.CodeUnavailable, "all busy")))
	check(request(raw(1)), matcher.CodeDeadline, "deadline", failing(context.DeadlineExceeded))
	check(request(raw(1)), matcher.CodeInternal, "broken", failing(errors.New("broken")))
	for _, n := range []int{0, 1, 3} { // a matcher that returns too few or too many results
		wrong := costs("wrong", 1)
		wrong.match = func(context.Context, []matcher.SubRequest) []matcher.Result { return make([]matcher.Result, n) }
		check(request(raw(1)), matcher.CodeInternal, "matcher wrong returned", wrong)
	}
}

// TestExactLimits: a request with exactly the allowed references and rows is
// answered.
func TestExactLimits(t *testing.T) {
	req := request(raw(1), key("twins"))
	req.ReferencesMax, req.RowsMax = 3, 9
	if _, err := newRouter(t, nil, costs("memory", 1)).Match(t.Context(), req); err != nil {
		t.Error(err)
	}
	req = request(face(1), face(2))
	req.Version = 59
	if _, err := newRouter(t, nil, costs("memory", 1)).Match(t.Context(), req); err != nil {
		t.Error(err)
	}
}

// TestLateErrorIsTheDeadline: after the deadline, the client gets CodeDeadline,
// whatever error the matcher returned.
func TestLateErrorIsTheDeadline(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	f := costs("memory", 1)
	f.match = func(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
		return slices.Repeat([]matcher.Result{{Err: errors.New("ended: " + ctx.Err().Error())}}, len(subs))
	}
	_, err := newRouter(t, nil, f).Match(ctx, request(raw(1)))
	if matcher.CodeOf(err) != matcher.CodeDeadline {
		t.Error(err)
	}
}
