package route_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"nearside/matcher"
	"nearside/matcher/route"
)

// requestHook is a request hook made of a function.
type requestHook struct {
	name string
	call func(call *matcher.MatchCall) (string, error)
}

func (h requestHook) Name() string                         { return h.name }
func (h requestHook) Applies(call *matcher.MatchCall) bool { return call.Route != "none" }

func (h requestHook) Request(_ context.Context, call *matcher.MatchCall) (string, error) {
	return h.call(call)
}

// resultsHook is a results hook that adds its name to the first row.
type resultsHook struct {
	name    string
	mu      sync.Mutex
	seen    []string
	err     func(sub *matcher.SubRequest) error
	applies func(sub *matcher.SubRequest) bool
}

func (h *resultsHook) Name() string { return h.name }

func (h *resultsHook) Applies(sub *matcher.SubRequest) bool {
	return h.applies == nil || h.applies(sub)
}

func (h *resultsHook) Results(_ context.Context, sub *matcher.SubRequest, r *matcher.Result) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, fmt.Sprintf("%v %d %v", sub.Reference.Descriptor.Data, sub.Candidates.Limit, sub.Candidates.Targets))
	if h.err != nil {
		if err := h.err(sub); err != nil {
			return "", err
		}
	}
	names := h.name
	if r.Extra != nil {
		names = r.Extra[0][0].JSON + h.name
	}
	r.Extra, r.PluginOrder = [][]matcher.Extra{{{Name: "by", JSON: names}}}, sub.Candidates.Origin == matcher.Events
	return "", nil
}

// newHookRouter returns a router with a local matcher and hooks.
func newHookRouter(t *testing.T, local matcher.Matcher, p *plugins) *route.Router {
	t.Helper()
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	return route.New(route.Options{Registry: registry, Moments: frozen{faces(), nil}, Local: local, Plugins: p})
}

// TestRequestHooks: request hooks run once, in order, before references are resolved. Each
// sees the changes of those before it, and the matcher gets the changed sets.
func TestRequestHooks(t *testing.T) {
	local := costs("local", 1)
	var order []string
	double := func(name string) requestHook {
		return requestHook{name, func(call *matcher.MatchCall) (string, error) {
			order = append(order, fmt.Sprintf("%s %d %s", name, call.Candidates[0].Limit, call.References[0].ID))
			call.Candidates[0].Limit *= 2
			return "", nil
		}}
	}
	skips := requestHook{"skips", func(*matcher.MatchCall) (string, error) { return "skipped: failed", nil }}
	p := &plugins{requests: []matcher.RequestHook{double("a"), skips, double("b")}}
	req, reserved := request(face(1), raw(2)), 0
	req.Explain, req.Reserve = true, func(context.Context) error { reserved++; return nil }
	a, err := newHookRouter(t, local, p).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a 1 " + id(1).String(), "b 2 " + id(1).String()}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
	if reserved != 1 || p.held != 0 || local.calls[0][0].Candidates.Limit != 4 || req.Candidates[0].Limit != 4 || req.Candidates[1].Limit != 2 {
		t.Errorf("reserved %d times, %d generations held, limit %d", reserved, p.held, local.calls[0][0].Candidates.Limit)
	}
	if got := fmt.Sprintf("%+v", a.Plans[1][0].Hooks); !strings.HasPrefix(got, "[{Plugin:a Hook:request Changes:[limit 2, was 1]") || !strings.Contains(got, "{Plugin:skips Hook:request Changes:[skipped: failed]") || !strings.Contains(got, "{Plugin:b Hook:request Changes:[limit 4, was 2]") {
		t.Error(got)
	}
	if got := a.Plans[1][1].Hooks; len(got) != 3 || got[0].Changes != nil {
		t.Errorf("%+v", got)
	}

	rejects := requestHook{"c", func(*matcher.MatchCall) (string, error) { return "", matcher.Rejected(451, "no") }}
	p = &plugins{requests: []matcher.RequestHook{rejects, double("never")}}
	_, err = newHookRouter(t, costs("local", 1), p).Match(t.Context(), request(face(77)))
	if matcher.CodeOf(err) != matcher.CodeRejected || p.held != 0 || len(order) != 2 {
		t.Errorf("%v, %d held, %q", err, p.held, order)
	}
	req = request(face(1))
	req.Route = "none"
	if _, err := newHookRouter(t, local, p).Match(t.Context(), req); err != nil {
		t.Error(err)
	}
	full := errors.New("no room")
	req = request(face(1))
	req.Reserve = func(context.Context) error { return full }
	if _, err := newHookRouter(t, local, &plugins{requests: []matcher.RequestHook{double("a")}}).Match(t.Context(), req); !errors.Is(err, full) {
		t.Error(err)
	}
}

// TestResultsHooks: results hooks run once for each reference and set, in order. The matcher
// returns all fields for the sets to which a hook applies, also for an answer in lines.
func TestResultsHooks(t *testing.T) {
	local := costs("local", 1)
	first, second := &resultsHook{name: "1"}, &resultsHook{name: "2"}
	second.applies = func(sub *matcher.SubRequest) bool { return sub.Candidates.Origin == matcher.Faces }
	p := &plugins{results: []matcher.ResultsHook{first, second}}
	router := newHookRouter(t, local, p)
	req := request(raw(5), key("nobody"), raw(6))
	for _, set := range req.Candidates {
		set.Targets = []string{"similarity"}
	}
	req.Explain = true
	a, err := router.Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(first.seen)
	slices.Sort(second.seen)
	if want := []string{"[5] 1 [similarity]", "[5] 2 [similarity]", "[6] 1 [similarity]", "[6] 2 [similarity]"}; !slices.Equal(first.seen, want) {
		t.Errorf("%q", first.seen)
	}
	if want := []string{"[5] 1 [similarity]", "[6] 1 [similarity]"}; !slices.Equal(second.seen, want) {
		t.Errorf("%q", second.seen)
	}
	for _, r := range []int{0, 2} {
		faces, events := a.Results[r][0], a.Results[r][1]
		if faces.Extra[0][0].JSON != "12" || events.Extra[0][0].JSON != "1" || faces.PluginOrder || !events.PluginOrder {
			t.Errorf("%+v %+v", faces, events)
		}
		if plan := a.Plans[r][0]; len(plan.Hooks) != 2 || plan.Hooks[1].Plugin != "2" || plan.Hooks[1].Hook != "results" || !slices.Equal(plan.Hooks[0].Changes, []string{"extra by"}) || plan.PluginOrder || !a.Plans[r][1].PluginOrder {
			t.Errorf("%+v", plan)
		}
	}
	if !a.PluginOrder || p.held != 0 {
		t.Error(a.PluginOrder, p.held)
	}
	for _, sub := range local.calls[0] {
		if sub.Candidates.Targets != nil || sub.Candidates != local.calls[0][0].Candidates && sub.Candidates != local.calls[0][1].Candidates {
			t.Errorf("the matcher got %+v", sub.Candidates)
		}
	}
	for _, applies := range []bool{true, false} {
		first.applies = func(*matcher.SubRequest) bool { return applies }
		p.results = []matcher.ResultsHook{first}
		req := request(raw(1))
		req.Candidates, req.Lines = req.Candidates[:1], true
		req.Candidates[0].Targets = []string{"age"}
		if _, err := router.Match(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if sub := local.calls[len(local.calls)-1][0]; sub.LateObjects == applies || (sub.Candidates.Targets == nil) != applies {
			t.Errorf("applies %t: %+v", applies, sub)
		}
		if router.OnlyLocal(false) {
			t.Error("a plugin may read the rows")
		}
	}
}

// TestResultsHookErrors: the error is that of the first reference and set with an error, and
// it names the set.
func TestResultsHookErrors(t *testing.T) {
	hook := &resultsHook{name: "1", err: func(sub *matcher.SubRequest) error {
		if n := sub.Reference.Descriptor.Data[0]; n >= 3 && sub.Candidates.Limit == 2 {
			return matcher.Errorf(matcher.CodeUnavailable, "reference %d", n)
		}
		return nil
	}}
	p := &plugins{results: []matcher.ResultsHook{hook}}
	for range 500 {
		_, err := newHookRouter(t, costs("local", 1), p).Match(t.Context(), request(raw(1), raw(2), raw(3), raw(4), raw(5), raw(6)))
		if err == nil || err.Error() != "candidates[1]: reference 3" || p.held != 0 {
			t.Fatal(err, p.held)
		}
	}
}

// TestHooksOfCross: hooks run once for a cross match, whether the local matcher or a remote
// answers. The matcher returns all fields, and the answer keeps the requested ones.
func TestHooksOfCross(t *testing.T) {
	for list, references := range map[byte]int{0: 3, 1: 2} { // list 1 belongs to a remote, which answers for two references
		var calls []matcher.MatchCall
		limits := requestHook{"limits", func(call *matcher.MatchCall) (string, error) {
			calls = append(calls, *call)
			call.Candidates[0].Limit = 2
			return "", nil
		}}
		results := &resultsHook{name: "r", applies: func(sub *matcher.SubRequest) bool { return sub.Reference.Type == matcher.RefFace }}
		p := &plugins{requests: []matcher.RequestHook{limits}, results: []matcher.ResultsHook{results}}
		local, asked := costs("local", 100), new([]string)
		remoteA := owner(costs("a", 20))
		var crossed *matcher.CrossMatch
		remoteA.cross, remoteA.asked, remoteA.crossed = crosses("a"), asked, &crossed
		o := options(t, local, remotes{[]*remote{remoteA}, &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}}}})
		o.Plugins, o.Moments = p, frozen{faces(), &selector{}}
		filter := matcher.Filter{}
		if list > 0 {
			filter = listID(list)
		}
		req := crossRequest(filter, filter)
		req.Candidates.Targets, req.Route = []string{"age"}, "POST:/crossmatcher/faces"
		a, err := route.New(o).Cross(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(calls) != 1 || calls[0].Kind != matcher.MatchCross || calls[0].ReferenceSet != req.References || calls[0].Route != req.Route || req.Candidates.Limit != 2 {
			t.Errorf("list %d: %+v", list, calls)
		}
		if len(results.seen) != references || !strings.HasSuffix(results.seen[0], " 2 [age]") || p.held != 0 {
			t.Errorf("list %d: %q", list, results.seen)
		}
		var sent *matcher.Candidates
		if list > 0 {
			sent = crossed.Candidates
		} else {
			sent = local.calls[0][0].Candidates
		}
		if sent.Targets != nil || sent.Limit != 2 {
			t.Errorf("list %d: the matcher got %+v", list, sent)
		}
		plan := a.Plans[0][0]
		if len(plan.Hooks) != 2 || plan.Hooks[0].Changes[0] != "limit 2, was 3" || plan.Hooks[1].Plugin != "r" || a.Results[0][0].Extra[0][0].JSON != "r" {
			t.Errorf("list %d: %+v", list, plan.Hooks)
		}
	}
}
