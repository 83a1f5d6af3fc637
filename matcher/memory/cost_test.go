package memory

import (
	"encoding/binary"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// TestCost checks that small sets have the configured cost, and that the cost of large
// sets is proportional to the rows that lists, IDs and prefilters leave.
func TestCost(t *testing.T) {
	const rows = 150_000
	p := newPair(t, Options{Cost: 10}, matcher.Version{Number: 1001, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	faceID := func(i int) (id matcher.ID) { binary.BigEndian.PutUint32(id[:], uint32(i)+1); return id }
	large, small := matcher.ID{15: 1}, matcher.ID{15: 2}
	changes := []store.Change{
		{Kind: store.PutList, List: &matcher.List{ID: large}}, {Kind: store.PutList, List: &matcher.List{ID: small}},
	}
	for i := range rows {
		c := memorytest.Put(faceID(i), 1001, make([]byte, 8))
		if i < 120_000 {
			c.Object.Lists = []matcher.ID{large}
		} else if i < 120_100 {
			c.Object.Lists = []matcher.ID{small}
		}
		changes = append(changes, c)
	}
	p.Apply(changes)
	check := func(want float64, sub matcher.SubRequest) {
		t.Helper()
		if cost, reason, ok := p.Cost(t.Context(), &sub); cost != want || reason != "" || !ok {
			t.Errorf("%v, %q, %v; want %v", cost, reason, ok, want)
		}
	}
	set := func(f matcher.Filter) matcher.SubRequest {
		return matcher.SubRequest{Candidates: &matcher.Candidates{Filter: f}}
	}
	check(15, set(matcher.Filter{}))
	check(12, set(matcher.Filter{ListID: &large}))
	check(10, set(matcher.Filter{ListID: &small}))
	check(10, set(matcher.Filter{ListID: &matcher.ID{15: 3}}))
	check(12.01, set(matcher.Filter{Lists: []matcher.ID{small, large}}))
	check(10, set(matcher.Filter{ListID: &large, Lists: []matcher.ID{small}}))
	check(10, set(matcher.Filter{IDs: []matcher.ID{faceID(1)}}))
	check(15, set(matcher.Where(matcher.AnyOf("event_id", faceID(1))))) // the event of a face has no index
	check(10, matcher.SubRequest{Candidates: &matcher.Candidates{Origin: matcher.Events}})

	left, err := p.Select(t.Context(), &matcher.Candidates{Filter: matcher.Filter{ListID: &small}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(10, matcher.SubRequest{Candidates: &matcher.Candidates{}, Selection: left})

	for i := range 30_000 {
		p.Apply([]store.Change{{Kind: store.DeleteObject, ID: faceID(i)}})
	}
	check(12, set(matcher.Filter{}))
}

// TestCostOfAccount checks that the cost for a request of an account counts only rows of
// that account, wherever other accounts store theirs. It must equal the cost in a memory
// that has nothing else.
func TestCostOfAccount(t *testing.T) {
	const mine, theirs = 110_000, 130_000
	version := matcher.Version{Number: 1001, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}
	both, alone := newPair(t, Options{Cost: 10}, version), newPair(t, Options{Cost: 10}, version)
	account, other, unknown := matcher.ID{1}, matcher.ID{2}, matcher.ID{3}
	lists := []matcher.ID{{15: 1}, {15: 2}}
	rows := func(n int, first byte, account matcher.ID) []store.Change {
		changes := make([]store.Change, n)
		for i := range changes {
			id := matcher.ID{first}
			binary.BigEndian.PutUint32(id[4:], uint32(i))
			changes[i] = memorytest.Put(id, 1001, make([]byte, 8))
			changes[i].Object.Account, changes[i].Object.Lists = account, lists[i%2:i%2+1]
			if i < 105_000 {
				changes[i].Object.Lists = lists[:1]
			}
		}
		return changes
	}
	own := append([]store.Change{{Kind: store.PutList, List: &matcher.List{ID: lists[0]}}, {Kind: store.PutList, List: &matcher.List{ID: lists[1]}}},
		rows(mine, 1, account)...)
	alone.Apply(own)
	both.Apply(own)
	both.Apply(rows(theirs, 2, other))
	filters := []matcher.Filter{
		{},
		{ListID: &lists[0]},
		{ListID: &lists[1]},
		{Lists: lists},
		{IDs: []matcher.ID{{2}}},
		{ListID: &matcher.ID{15: 9}},
		{ListID: &lists[0], Lists: lists[1:]},
	}
	for i, f := range filters {
		for _, id := range []*matcher.ID{&account, &unknown} {
			sub := matcher.SubRequest{Candidates: &matcher.Candidates{Filter: f}, Account: id}
			want, _, _ := alone.Cost(t.Context(), &sub)
			if got, _, _ := both.Cost(t.Context(), &sub); got != want {
				t.Errorf("filter %d, account %v: %v with the rows of others, %v without", i, *id, got, want)
			}
		}
	}
	for want, f := range map[float64]matcher.Filter{11: {}, 10.75: {ListID: &lists[0]}} {
		if got, _, _ := both.Cost(t.Context(), &matcher.SubRequest{Candidates: &matcher.Candidates{Filter: f}, Account: &account}); got != want {
			t.Errorf("cost %v, want %v", got, want)
		}
	}
	if got, _, _ := both.Cost(t.Context(), &matcher.SubRequest{Candidates: &matcher.Candidates{}}); got != 24 {
		t.Errorf("cost %v without an account, want 24", got)
	}
}
