package route_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/route"
)

// crosses returns a function that answers a cross match with two references. The
// rows of the first one are not sorted.
func crosses(name string) func() ([]matcher.Reference, []matcher.Result, error) {
	return func() ([]matcher.Reference, []matcher.Result, error) {
		row := func(n byte, distance float64) matcher.Match {
			return matcher.Match{ID: id(n), Distance: distance, Object: &matcher.Object{ID: id(n), ExternalID: name}}
		}
		return []matcher.Reference{{Type: matcher.RefFace, ID: id(1).String()}, {Type: matcher.RefFace, ID: id(2).String()}}, []matcher.Result{
			{Matches: []matcher.Match{row(2, 2), row(1, 1)}, Scan: matcher.Scan{RowsScanned: 7}}, {},
		}, nil
	}
}

func crossFails(err error) func() ([]matcher.Reference, []matcher.Result, error) {
	return func() ([]matcher.Reference, []matcher.Result, error) { return nil, nil, err }
}

// crossRouter returns a router with a replica and the remotes a and b. List 1
// belongs to a, list 2 to a and b, list 3 to b.
func crossRouter(t *testing.T, a, b func() ([]matcher.Reference, []matcher.Result, error), o matcher.Observer) (r *route.Router, local *fake, asked *[]string) {
	asked, local = new([]string), costs("local", 100)
	all := []*remote{replicaOf(costs("replica", 200)), owner(costs("a", 20)), owner(costs("b", 10))}
	for i, cross := range []func() ([]matcher.Reference, []matcher.Result, error){nil, a, b} {
		all[i].cross, all[i].asked = cross, asked
	}
	owners := &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}, id(2): {"a", "b"}, id(3): {"b"}}}
	owners.Origins[matcher.Events] = []string{"a"}
	options := options(t, local, remotes{all, owners})
	options.Observer = o
	return route.New(options), local, asked
}

func crossRequest(left, right matcher.Filter) *route.CrossRequest {
	return &route.CrossRequest{ObjectsMax: 2000, RowsMax: 300, CrossMatch: matcher.CrossMatch{
		References: &matcher.Candidates{Filter: left}, Candidates: &matcher.Candidates{Filter: right, Limit: 3}, Explain: true, RequestID: "id",
	}}
}

// TestCrossOfOwners: a remote that owns both sides answers. Without such a remote,
// the cross match is refused.
func TestCrossOfOwners(t *testing.T) {
	check := func(left, right matcher.Filter, want string) {
		t.Helper()
		r, local, asked := crossRouter(t, crosses("a"), crosses("b"), nil)
		a, err := r.Cross(t.Context(), crossRequest(left, right))
		got := strings.Join(*asked, ", ")
		if err != nil {
			got = fmt.Sprintf("%d %s", matcher.CodeOf(err), err)
		}
		if !strings.HasPrefix(got, want) || (len(local.calls) > 0) != (want == "") {
			t.Errorf("%q, want %q; local was asked %d times", got, want, len(local.calls))
		}
		if err == nil && want != "" && (len(a.References) != 2 || len(a.Results) != 2 || a.Results[0][0].Matches[0].ID != id(1) || len(a.Results[1][0].Matches) != 0) {
			t.Errorf("%+v", a)
		}
	}
	check(listID(1), listID(1), "a cross")
	check(listID(1), listID(2), "a cross")
	check(listID(2), listID(3), "b cross")
	check(listID(2), listID(2), "a cross")
	check(listID(1), listID(3), "31011 references: they belong to remote a, the candidates to remote b; no matcher has both")
	check(listID(1), matcher.Filter{}, "31011 references: they belong to remote a, the candidates to this server; ")
	check(matcher.Filter{}, listID(3), "31011 references: they belong to this server, the candidates to remote b; ")
	check(lists(1, 3), listID(1), "31011 references.filters: list ")
	check(listID(1), lists(1, 9), "31011 candidates.filters: list ")
	check(matcher.Filter{}, listID(9), "")
	check(matcher.Filter{}, matcher.Filter{}, "")
}

// TestCrossPlan: the plan names the remote that answered and the one that failed.
func TestCrossPlan(t *testing.T) {
	o := &observer{}
	r, _, asked := crossRouter(t, crossFails(gone), crosses("b"), o)
	a, err := r.Cross(t.Context(), crossRequest(listID(2), listID(2)))
	if err != nil || !slices.Equal(*asked, []string{"a cross", "b cross"}) {
		t.Fatal(err, *asked)
	}
	for i := range a.Results {
		var plan []string
		for _, m := range a.Plans[i][0].Matchers {
			plan = append(plan, fmt.Sprintf("%s %v %v %s", m.Name, m.Cost, m.Chosen, m.Reason))
		}
		if !slices.Equal(plan, []string{"a 20 false failed: remote a: it did not answer", "b 10 true owns both sides"}) {
			t.Errorf("%q", plan)
		}
	}
	if a.Plans[0][0].RowsScanned != 7 || len(o.points) != 2 || o.points[0].Matches != 2 || o.points[0].Subs != 2 || !errors.Is(o.points[1].Err, gone) || o.points[0].RequestID != "id" {
		t.Errorf("%+v, %+v", a.Plans[0][0], o.points)
	}
	req := crossRequest(listID(2), listID(2))
	req.Explain = false
	if a, err = r.Cross(t.Context(), req); err != nil || a.Plans != nil {
		t.Errorf("%v, %v", a.Plans, err)
	}
}

// TestCrossOwnersFail: the local matcher never answers in place of the owners.
func TestCrossOwnersFail(t *testing.T) {
	check := func(ctx context.Context, a error, asks int, code matcher.Code) {
		t.Helper()
		r, local, asked := crossRouter(t, crossFails(a), crossFails(gone), nil)
		answer, err := r.Cross(ctx, crossRequest(listID(2), listID(2)))
		if matcher.CodeOf(err) != code || answer != nil || len(local.calls) != 0 || len(*asked) != asks {
			t.Errorf("%v, %v; asked %q", answer, err, *asked)
		}
	}
	check(t.Context(), gone, 2, matcher.CodeUnavailable)
	check(t.Context(), matcher.Errorf(matcher.CodeCrossLimit, "too many"), 1, matcher.CodeCrossLimit)
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	check(ended, context.DeadlineExceeded, 1, matcher.CodeDeadline)
}

// hung is a remote that answers only when its context ends.
type hung struct{ matcher.Remote }

func (h hung) Cross(ctx context.Context, _ *matcher.CrossMatch) ([]matcher.Reference, []matcher.Result, error) {
	<-ctx.Done()
	return nil, nil, context.Cause(ctx)
}

type someRemotes struct {
	all    []matcher.Remote
	owners *matcher.Owners
}

func (r someRemotes) Current() ([]matcher.Remote, *matcher.Owners) { return r.all, r.owners }

// TestHungOwnerLeavesTime: if one owner of a cross match hangs, the other one has
// half of the time.
func TestHungOwnerLeavesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b, seen := options(t, costs("local", 1), remotes{}), owner(costs("b", 1)), &observer{}
		b.cross = crosses("b")
		o.Remotes = someRemotes{[]matcher.Remote{hung{owner(costs("a", 1))}, b}, &matcher.Owners{Lists: map[matcher.ID][]string{id(2): {"a", "b"}}}}
		o.Observer = seen
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		a, err := route.New(o).Cross(ctx, crossRequest(listID(2), listID(2)))
		if err != nil || len(a.Results) != 2 || time.Since(start) != 30*time.Second {
			t.Errorf("%+v, %v after %v", a, err, time.Since(start))
		}
		if err := seen.points[1].Err; matcher.CodeOf(err) != matcher.CodeDeadline {
			t.Errorf("observed %v", err)
		}
	})
}
