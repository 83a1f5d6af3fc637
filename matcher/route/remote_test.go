package route_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/route"
)

// remote is a fake of another service, with objects of its own.
type remote struct {
	*fake
	replica bool
	has     []matcher.Object
	err     error // of Find and Keys
	cross   func() ([]matcher.Reference, []matcher.Result, error)
	crossed **matcher.CrossMatch // receives the last cross match; may be nil
	asked   *[]string            // the calls of all remotes of a test, in order
}

func (r *remote) Replica() bool { return r.replica }

// record appends a call to asked.
func (r *remote) record(format string, args ...any) {
	if r.asked != nil {
		*r.asked = append(*r.asked, r.name+" "+fmt.Sprintf(format, args...))
	}
}

func (r *remote) Find(_ context.Context, o matcher.Origin, ids []matcher.ID, account *matcher.ID, requestID string) ([]matcher.Object, error) {
	var numbers []string
	for _, id := range ids {
		numbers = append(numbers, strconv.Itoa(int(id[0])))
	}
	r.record("find %s %s", o, strings.Join(numbers, ","))
	var found []matcher.Object
	for _, obj := range r.has {
		if obj.Origin == o && slices.Contains(ids, obj.ID) && (account == nil || obj.Account == *account) && requestID == "id" {
			found = append(found, obj)
		}
	}
	return found, r.err
}

func (r *remote) Keys(_ context.Context, keys []matcher.Reference, t matcher.DescriptorType, account *matcher.ID, requestID string) ([][]matcher.ID, error) {
	all := make([][]matcher.ID, len(keys))
	var names []string
	for i, k := range keys {
		names = append(names, string(k.Type)+"="+k.ID)
		for _, obj := range r.has {
			key := map[matcher.ReferenceType]string{matcher.RefFaceExternalID: obj.ExternalID, matcher.RefEventExternalID: obj.ExternalID, matcher.RefEventTrackID: obj.Event.TrackID}[k.Type]
			if (k.Type == matcher.RefFaceExternalID) == (obj.Origin == matcher.Faces) && key == k.ID && !obj.Descriptor(t).IsZero() && (account == nil || obj.Account == *account) && requestID == "id" {
				all[i] = append(all[i], obj.ID)
			}
		}
	}
	r.record("keys %s", strings.Join(names, ","))
	return all, r.err
}

func (r *remote) Cross(_ context.Context, m *matcher.CrossMatch) ([]matcher.Reference, []matcher.Result, error) {
	r.record("cross")
	if r.crossed != nil {
		*r.crossed = m
	}
	return r.cross()
}

// remotes are the remotes of a configuration.
type remotes struct {
	all    []*remote
	owners *matcher.Owners
}

func (r remotes) Current() ([]matcher.Remote, *matcher.Owners) {
	all := make([]matcher.Remote, len(r.all))
	for i, m := range r.all {
		all[i] = m
	}
	return all, r.owners
}

// options returns the options of a router with remotes.
func options(t *testing.T, local *fake, r remotes) route.Options {
	t.Helper()
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	return route.Options{Registry: registry, Moments: frozen{faces(), &selector{}}, Local: local, Remotes: r}
}

// owner returns a remote that owns data, replicaOf a replica.
func owner(f *fake) *remote     { return &remote{fake: f} }
func replicaOf(f *fake) *remote { return &remote{fake: f, replica: true} }

// lists returns a filter with these lists.
func lists(numbers ...byte) matcher.Filter {
	f := matcher.Filter{Lists: []matcher.ID{}}
	for _, n := range numbers {
		f.Lists = append(f.Lists, id(n))
	}
	return f
}

func listID(n byte, more ...byte) matcher.Filter {
	l := id(n)
	f := matcher.Filter{ListID: &l}
	if more != nil {
		f.Lists = lists(more...).Lists
	}
	return f
}

// TestOwnersAnswer: the cheapest owner of a set answers, even if another matcher is
// cheaper. For a set without owners, remotes that own other data do not answer.
func TestOwnersAnswer(t *testing.T) {
	owned := &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}, id(2): {"a", "b"}, id(3): {"b"}}}
	owned.Origins[matcher.Events] = []string{"ev"}
	check := func(origin matcher.Origin, f matcher.Filter, want string) {
		t.Helper()
		r := remotes{[]*remote{owner(costs("ev", 1)), owner(costs("b", 3)), owner(costs("a", 2)), replicaOf(costs("replica", 50))}, owned}
		o := options(t, costs("local", 100), r)
		o.Plugins = others{costs("plugin", 60)}
		req := request(raw(1))
		req.Candidates = []*matcher.Candidates{{Limit: 1}, {Limit: 2, Origin: origin, Filter: f}}
		a, err := route.New(o).Match(t.Context(), req)
		if strings.HasPrefix(want, "candidates") {
			if matcher.CodeOf(err) != matcher.CodeNoMatcher || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, %v; want %s", a, err, want)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if first, got := a.Results[0][0].Matches[0].Object.ExternalID, a.Results[0][1].Matches[0].Object.ExternalID; first != "replica" || got != want {
			t.Errorf("%s and %s answered, want %s", first, got, want)
		}
	}
	check(matcher.Faces, matcher.Filter{}, "replica")
	check(matcher.Faces, listID(1), "a")
	check(matcher.Faces, listID(2), "a")
	check(matcher.Faces, listID(3), "b")
	check(matcher.Faces, listID(9), "replica")
	check(matcher.Faces, lists(1, 2), "a")
	check(matcher.Faces, listID(2, 3), "b")
	check(matcher.Faces, lists(), "replica")
	check(matcher.Faces, lists(1, 3), "candidates[1].filters: list "+id(3).String()+" belongs to remote b, the lists before it to remote a; ")
	check(matcher.Faces, lists(9, 1), "candidates[1].filters: list "+id(1).String()+" belongs to remote a, the lists before it to this server; ")
	check(matcher.Faces, listID(1, 9), "candidates[1].filters: list "+id(9).String()+" belongs to this server, the lists before it to remote a; ")
	check(matcher.Events, matcher.Filter{}, "ev")
	check(matcher.Attributes, matcher.Filter{}, "replica")
}

// TestOwnerPlan: the plan has the reason why each other matcher may not answer.
func TestOwnerPlan(t *testing.T) {
	owned := &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}}}
	o := options(t, costs("local", 100), remotes{[]*remote{owner(costs("a", 200)), replicaOf(costs("replica", 50))}, owned})
	o.Plugins = others{costs("plugin", 60)}
	req := request(raw(1))
	req.Explain, req.Candidates = true, []*matcher.Candidates{{Limit: 1, Filter: listID(1)}, {Limit: 1}}
	a, err := route.New(o).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	const refused = "false the set is owned by remote a"
	for set, want := range [][]string{
		{"local " + refused, "a true lowest cost", "replica " + refused, "plugin " + refused},
		{"local false costs more", "a false answers only for the data that it owns", "replica true lowest cost", "plugin false costs more"},
	} {
		var plan []string
		for _, m := range a.Plans[0][set].Matchers {
			plan = append(plan, fmt.Sprintf("%s %v %s", m.Name, m.Chosen, m.Reason))
		}
		if !slices.Equal(plan, want) {
			t.Errorf("%q, want %q", plan, want)
		}
	}
}

var gone = matcher.Errorf(matcher.CodeUnavailable, "remote a: it did not answer")

// TestOwnerFails: if an owner fails, only another owner of the set may answer.
func TestOwnerFails(t *testing.T) {
	owned := &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}, id(2): {"a", "b"}}}
	local, b := costs("local", 1), costs("b", 200)
	r := route.New(options(t, local, remotes{[]*remote{owner(fails("a", 100, gone)), owner(b), replicaOf(costs("replica", 1))}, owned}))
	req := request(raw(1))
	req.Candidates = []*matcher.Candidates{{Limit: 1}, {Limit: 2, Filter: listID(1)}}
	if a, err := r.Match(t.Context(), req); matcher.CodeOf(err) != matcher.CodeUnavailable || err.Error() != "candidates[1]: remote a: it did not answer" {
		t.Errorf("%v, %v", a, err)
	}
	if len(b.calls) != 0 {
		t.Error("b was asked for a set of a")
	}
	req.Candidates[1].Filter = listID(2)
	req.Explain = true
	a, err := r.Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if by := a.Results[0][1].Matches[0].Object.ExternalID; by != "b" {
		t.Errorf("%s answered", by)
	}
	if m := a.Plans[0][1].Matchers; m[1].Reason != "failed: remote a: it did not answer" || m[2].Reason != "cheaper matchers failed" {
		t.Errorf("%+v", m)
	}
	for _, subs := range local.calls {
		for _, sub := range subs {
			if sub.Candidates != req.Candidates[0] {
				t.Error("local was asked for a set that a remote owns")
			}
		}
	}
}

// TestClientErrorOfOwnerIsFinal: after an error that the request caused, no other
// owner is asked.
func TestClientErrorOfOwnerIsFinal(t *testing.T) {
	owned := &matcher.Owners{Lists: map[matcher.ID][]string{id(2): {"a", "b"}}}
	b := costs("b", 200)
	r := route.New(options(t, costs("local", 1), remotes{[]*remote{owner(fails("a", 100, matcher.Errorf(matcher.CodeTooMany, "limit: 5"))), owner(b)}, owned}))
	req := request(raw(1))
	req.Candidates = []*matcher.Candidates{{Limit: 1, Filter: listID(2)}}
	if _, err := r.Match(t.Context(), req); matcher.CodeOf(err) != matcher.CodeTooMany || err.Error() != "candidates[0]: limit: 5" || len(b.calls) != 0 {
		t.Error(err)
	}
}

// TestOwnerHangs: the request ends at its deadline, with CodeDeadline.
func TestOwnerHangs(t *testing.T) {
	hung := costs("a", 1)
	hung.match = func(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
		<-ctx.Done()
		return slices.Repeat([]matcher.Result{{Err: context.Cause(ctx)}}, len(subs))
	}
	owned := &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}}}
	r := route.New(options(t, costs("local", 1), remotes{[]*remote{owner(hung)}, owned}))
	req := request(raw(1))
	req.Candidates = []*matcher.Candidates{{Limit: 1, Filter: listID(1)}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := r.Match(ctx, req); matcher.CodeOf(err) != matcher.CodeDeadline {
		t.Error(err)
	}
}

// TestNarrowedSetOfAnOwner: a prefilter also applies to a set of a remote. The
// remote cannot narrow the set, so no matcher can answer.
func TestNarrowedSetOfAnOwner(t *testing.T) {
	a := costs("a", 1)
	a.cost = func(sub *matcher.SubRequest) (float64, string, bool) {
		return 1, "cannot take a narrowed set", sub.Selection == nil
	}
	o := options(t, costs("local", 1), remotes{[]*remote{owner(a)}, &matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"a"}}}})
	o.Plugins = &plugins{prefilters: []matcher.Prefilter{&prefilter{name: "policy"}}}
	req := request(raw(1))
	req.Candidates = []*matcher.Candidates{{Limit: 1}, {Limit: 1, Filter: listID(1)}}
	_, err := route.New(o).Match(t.Context(), req)
	if matcher.CodeOf(err) != matcher.CodeNoMatcher || err.Error() != "candidates[1]: no matcher can answer for this candidate set: local: the set is owned by remote a; a: cannot take a narrowed set" {
		t.Error(err)
	}
}
