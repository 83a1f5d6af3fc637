package server_test

import (
	"slices"
	"sync"
	"testing"

	"nearside/matcher"
)

// pointRecorder keeps the points of matches.
type pointRecorder struct {
	mu     sync.Mutex
	points []matcher.MatchPoint
}

func (r *pointRecorder) Requested(matcher.RequestPoint) {}

func (r *pointRecorder) Matched(p matcher.MatchPoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.points = append(r.points, p)
}

func (r *pointRecorder) Stored(*matcher.Object) {}

// take returns the points since the last call.
func (r *pointRecorder) take() []matcher.MatchPoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.points
	r.points = nil
	return taken
}

// TestMatchPoints checks the points of each route that matches.
func TestMatchPoints(t *testing.T) {
	seen := &pointRecorder{}
	x := start(t, func(s *settings) { s.observer = seen })
	x.call("POST", "/1/lists", `{"list_id":"`+id(90)+`"}`).status(201)
	for n := 1; n <= 4; n++ {
		lists := ""
		if n <= 3 {
			lists = `,"lists":["` + id(90) + `"]`
		}
		x.call("POST", "/1/faces", face(n, descriptor(v4, byte(n), 0, 0, 0), lists)).status(201)
	}
	probe := givenDescriptor(descriptor(v4, 0, 0, 0, 0))
	for _, c := range []struct {
		path, body string
		want       matcher.MatchPoint
	}{
		{
			"/1/matcher/faces", matchBody(probe, `{"filters":{"origin":"faces","list_id":"`+id(90)+`"},"limit":2}`),
			matcher.MatchPoint{Kind: matcher.MatchFaces, Subs: 1, Rows: 3, Matches: 2, ListRows: 3},
		},
		{"/1/matcher", matchBody(storedFace(1), allFaces()), matcher.MatchPoint{Kind: matcher.MatchFaces, Subs: 1, Rows: 4, Matches: 4, ListRows: -1}},
		{"/1/matcher/raw", matchBody(probe+","+probe, probe+","+probe+","+probe), matcher.MatchPoint{Kind: matcher.MatchRaw, Subs: 2, Rows: 6, Matches: 6, ListRows: -1}},
		{
			"/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces","face_ids":["` + id(1) + `"]}},"candidates":{"filters":{"origin":"faces","lists":["` + id(90) + `"]}}}`,
			matcher.MatchPoint{Kind: matcher.MatchCross, Subs: 1, Rows: 3, Matches: 3, ListRows: 3},
		},
	} {
		seen.take()
		x.call("POST", c.path, c.body).status(201)
		got := seen.take()
		if len(got) != 1 || got[0].Duration <= 0 || got[0].Time.IsZero() || got[0].RequestID == "" || got[0].Err != nil {
			t.Fatalf("%s: %+v", c.path, got)
		}
		p := got[0]
		if p.Kind == matcher.MatchRaw == (p.Loading > 0) {
			t.Errorf("%s: descriptors were loaded in %v", c.path, p.Loading)
		}
		c.want.Time, c.want.RequestID, c.want.Duration, c.want.Loading, c.want.Matcher = p.Time, p.RequestID, p.Duration, p.Loading, "memory"
		if !slices.Equal([]matcher.MatchPoint{c.want}, []matcher.MatchPoint{p}) {
			t.Errorf("%s: %+v, want %+v", c.path, p, c.want)
		}
	}
}
