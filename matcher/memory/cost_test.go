package memory

import (
	"encoding/binary"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
)

// TestCost: small sets cost what is configured, large ones in proportion to
// the rows that lists, IDs and prefilters leave.
func TestCost(t *testing.T) {
	const rows = 150_000
	p := newPair(t, Options{Cost: 10}, matcher.Version{Number: 1001, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	faceID := func(i int) (id matcher.ID) { binary.BigEndian.PutUint32(id[:], uint32(i)+1); return id }
	large, small := matcher.ID{15: 1}, matcher.ID{15: 2}
	changes := []store.Change{
		{Kind: store.PutList, List: &matcher.List{ID: large}}, {Kind: store.PutList, List: &matcher.List{ID: small}},
	}
	for i := range rows {
		c := put(faceID(i), 1001, make([]byte, 8))
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
	check(10, set(matcher.Filter{FaceIDs: []matcher.ID{faceID(1)}}))
	check(15, set(matcher.Filter{EventIDs: []matcher.ID{faceID(1)}})) // of the faces' events: no index
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
