package route_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/route"
)

// fails returns a fake whose results all have err.
func fails(name string, cost float64, err error) *fake {
	f := costs(name, cost)
	f.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
		return slices.Repeat([]matcher.Result{{Err: err}}, len(subs))
	}
	return f
}

// TestFallback: after any failure of a matcher, the next cheapest answers, and the
// plan has the reason.
func TestFallback(t *testing.T) {
	panics := costs("panics", 3)
	panics.match = func(context.Context, []matcher.SubRequest) []matcher.Result { panic("boom") }
	short := costs("short", 4)
	short.match = func(context.Context, []matcher.SubRequest) []matcher.Result { return nil }
	local := costs("local", 100)
	all := []matcher.Matcher{
		local, fails("broken", 2, errors.New("broken")), fails("declines", 1, matcher.ErrDeclined),
		panics, short, fails("gone", 5, matcher.Errorf(matcher.CodeUnavailable, "connection refused")),
		fails("slow", 6, context.DeadlineExceeded), costs("expensive", 200),
	}
	req := request(raw(1))
	req.Explain = true
	a, err := newRouter(t, nil, all...).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Results[0][1].Matches[0].Object.ExternalID; got != "local" || len(local.calls) != 1 || len(local.calls[0]) != 2 {
		t.Errorf("%s answered; local was asked %d times", got, len(local.calls))
	}
	var plan []string
	for _, m := range a.Plans[0][0].Matchers {
		reason, _, _ := strings.Cut(m.Reason, "\n")
		plan = append(plan, fmt.Sprintf("%s %v %s", m.Name, m.Chosen, reason))
	}
	want := []string{
		"local true cheaper matchers failed", "broken false failed: broken", "declines false failed: declined",
		"panics false failed: matcher panics: panic: boom", "short false failed: matcher short returned 0 results for 2 sub-requests",
		"gone false failed: connection refused", "slow false failed: matcher slow: context deadline exceeded", "expensive false costs more",
	}
	if !slices.Equal(plan, want) {
		t.Errorf("%q\nwant %q", plan, want)
	}
}

// TestFallbackOfSome: the next matcher is asked only for the sub-requests that
// failed.
func TestFallbackOfSome(t *testing.T) {
	half := costs("half", 1)
	half.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
		results := make([]matcher.Result, len(subs))
		for i, sub := range subs {
			if sub.Candidates.Limit == 2 {
				results[i].Err = matcher.ErrDeclined
			}
		}
		return results
	}
	local := costs("local", 100)
	a, err := newRouter(t, nil, local, half).Match(t.Context(), request(raw(1), raw(2)))
	if err != nil {
		t.Fatal(err)
	}
	if len(local.calls) != 1 || len(local.calls[0]) != 2 || local.calls[0][0].Candidates.Limit != 2 {
		t.Errorf("local was asked %+v", local.calls)
	}
	for i := range a.Results {
		if len(a.Results[i][0].Matches) != 0 || len(a.Results[i][1].Matches) != 1 {
			t.Errorf("reference %d: %+v", i, a.Results[i])
		}
	}
}

// TestNoFallback: no other matcher is asked after an error that the request
// caused. If all matchers fail, the last one's error is returned.
func TestNoFallback(t *testing.T) {
	local := costs("local", 100)
	_, err := newRouter(t, nil, local, fails("remote", 1, matcher.Errorf(matcher.CodeTooMany, "limit: 5 is too many"))).Match(t.Context(), request(raw(1)))
	if matcher.CodeOf(err) != matcher.CodeTooMany || len(local.calls) != 0 {
		t.Errorf("%v, local was asked %d times", err, len(local.calls))
	}
	_, err = newRouter(t, nil, fails("local", 100, errors.New("first")), fails("remote", 101, errors.New("last"))).Match(t.Context(), request(raw(1)))
	if err == nil || err.Error() != "last" {
		t.Error(err)
	}
	_, err = newRouter(t, nil, fails("local", 100, matcher.ErrDeclined)).Match(t.Context(), request(raw(1)))
	if matcher.CodeOf(err) != matcher.CodeNoMatcher {
		t.Error(err)
	}
}

// TestHungMatcherLeavesTime: a remote or a plugin gets half of the remaining time if
// another matcher can follow. The last one and the local one get all of it.
func TestHungMatcherLeavesTime(t *testing.T) {
	const day = 24 * time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), day)
	defer cancel()
	times := map[string]time.Duration{}
	asks := func(name string, cost float64, err error) *fake {
		f := fails(name, cost, err)
		fail := f.match
		f.match = func(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
			until, _ := ctx.Deadline()
			times[name] = time.Until(until)
			return fail(ctx, subs)
		}
		return f
	}
	_, err := newRouter(t, nil, asks("local", 2, errors.New("x")), asks("hung", 1, context.DeadlineExceeded), asks("last", 3, nil)).Match(ctx, request(raw(1)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]time.Duration{"hung": day / 2, "local": day, "last": day} {
		if off := times[name] - want; off < -time.Hour || off > time.Hour {
			t.Errorf("%s had %v, want about %v", name, times[name], want)
		}
	}
}

// TestRowsAreCompleted: rows of other matchers get their objects, are sorted and
// cut to the limit. Rows of deleted objects are left out.
func TestRowsAreCompleted(t *testing.T) {
	f := costs("plugin", 1)
	f.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
		results := make([]matcher.Result, len(subs))
		for i := range results {
			given := &matcher.Object{ID: id(7), ExternalID: "given"}
			results[i].Matches = []matcher.Match{{ID: id(2), Distance: 2}, {ID: id(9)}, {ID: id(7), Distance: 2, Object: given}, {ID: id(1), Distance: 1}}
		}
		return results
	}
	req := request(raw(1))
	req.Candidates = []*matcher.Candidates{{Limit: 9}, {Limit: 2}}
	a, err := newRouter(t, nil, costs("local", 100), f).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for set, want := range [][]string{{"twins 1", "twins 2", "given 2"}, {"twins 1", "twins 2"}} {
		var got []string
		for _, m := range a.Results[0][set].Matches {
			got = append(got, fmt.Sprint(m.Object.ExternalID, " ", m.Distance))
		}
		if !slices.Equal(got, want) {
			t.Errorf("set %d: %q, want %q", set, got, want)
		}
	}
}

// rows is a selection; its value is the number of rows.
type rows int

func (r rows) Len() int { return int(r) }

// Versions reports that half of the rows have a face descriptor.
func (r rows) Versions(t matcher.DescriptorType) map[uint32]int {
	if t != matcher.FaceDescriptor {
		return nil
	}
	return map[uint32]int{59: int(r) / 2}
}

// selector selects a thousand rows and counts its calls.
type selector struct {
	calls int
	err   error
}

func (s *selector) Select(context.Context, *matcher.Candidates, *matcher.ID) (matcher.Selection, error) {
	s.calls++
	return rows(1000), s.err
}

// prefilter removes rows.
type prefilter struct {
	name    string
	removes int
	err     error
	applies func(*matcher.SubRequest) bool
	calls   int
}

func (p *prefilter) Name() string { return p.name }

func (p *prefilter) Applies(sub *matcher.SubRequest) bool {
	return p.applies == nil || p.applies(sub)
}

func (p *prefilter) Narrow(_ context.Context, _ *matcher.SubRequest, r matcher.Selection) (matcher.Selection, error) {
	p.calls++
	return r.(rows) - rows(p.removes), p.err
}

// plugins is one generation of plugins; held counts calls of AcquireHooks without
// release.
type plugins struct {
	matchers   []matcher.Matcher
	prefilters []matcher.Prefilter
	requests   []matcher.RequestHook
	results    []matcher.ResultsHook
	held       int
}

func (p *plugins) AcquireHooks() (matcher.Hooks, func()) {
	p.held++
	return matcher.Hooks{Requests: p.requests, Matchers: p.matchers, Prefilters: p.prefilters, Results: p.results}, func() { p.held-- }
}

// TestPrefilters: prefilters run in order, once for each set, and every matcher
// gets the narrowed set. A set without an applying prefilter is not selected
// beforehand.
func TestPrefilters(t *testing.T) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	onlyEvents := func(sub *matcher.SubRequest) bool { return sub.Candidates.Origin == matcher.Events }
	first, second := &prefilter{name: "first", removes: 1}, &prefilter{name: "second", removes: 10}
	first.applies, second.applies = onlyEvents, onlyEvents
	never := &prefilter{name: "never", applies: func(*matcher.SubRequest) bool { return false }}
	local, plugin, selected := costs("local", 100), costs("plugin", 1), &selector{}
	plugin.cost = func(sub *matcher.SubRequest) (float64, string, bool) {
		return 1, "takes no narrowed set", sub.Selection == nil
	}
	generation := &plugins{matchers: []matcher.Matcher{plugin}, prefilters: []matcher.Prefilter{first, never, second}}
	router := route.New(route.Options{Registry: registry, Moments: frozen{faces(), selected}, Local: local, Plugins: generation})
	req := request(raw(1), raw(2), face(1))
	req.Explain = true
	a, err := router.Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if selected.calls != 1 || first.calls != 1 || second.calls != 1 || never.calls != 0 || generation.held != 0 {
		t.Errorf("%d selections, %d, %d and %d calls, %d generations held", selected.calls, first.calls, second.calls, never.calls, generation.held)
	}
	for _, sub := range local.calls[0] {
		if sub.Selection != rows(989) || sub.Candidates.Origin != matcher.Events {
			t.Errorf("local got %v of %v", sub.Selection, sub.Candidates.Origin)
		}
	}
	for _, sub := range plugin.calls[0] {
		if sub.Selection != nil || sub.Candidates.Origin != matcher.Faces {
			t.Errorf("plugin got %v of %v", sub.Selection, sub.Candidates.Origin)
		}
	}
	if p := a.Plans[2][1].Prefilters; len(p) != 2 || p[0].Plugin != "first" || p[0].Before != 1000 || p[0].After != 999 || p[1].Plugin != "second" || p[1].After != 989 {
		t.Errorf("%+v", p)
	}
	if p := a.Plans[2][0].Prefilters; p != nil {
		t.Errorf("set 0: %+v", p)
	}

	first.err = matcher.Errorf(matcher.CodeUnavailable, "plugin first: no policy, no answer")
	if _, err = router.Match(t.Context(), req); matcher.CodeOf(err) != matcher.CodeUnavailable || !strings.HasPrefix(err.Error(), "candidates[1]: plugin first") {
		t.Error(err)
	}
	if selected.err = context.DeadlineExceeded; generation.held != 0 {
		t.Error("a generation was not released")
	}
	if _, err = router.Match(t.Context(), req); matcher.CodeOf(err) != matcher.CodeDeadline {
		t.Error(err)
	}
}
