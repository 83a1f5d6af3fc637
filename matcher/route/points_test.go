package route_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/route"
)

// lateMoments takes a second for a moment.
type lateMoments struct{ moment matcher.Moment }

func (l lateMoments) Moment(*matcher.ID, []matcher.Reference, []*matcher.Candidates) matcher.Moment {
	time.Sleep(time.Second)
	return l.moment
}

// TestMatchPoints checks what observers get about the kind of a match, its times and the
// rows within a list. Time is that of a bubble.
func TestMatchPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry, err := matcher.NewRegistry(nil)
		if err != nil {
			t.Fatal(err)
		}
		local, seen := costs("local", 1), &observer{}
		local.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
			time.Sleep(2 * time.Second)
			results := make([]matcher.Result, len(subs))
			for i := range subs {
				results[i].Scan.RowsScanned = subs[i].Candidates.Limit
			}
			return results
		}
		r := route.New(route.Options{Registry: registry, Moments: lateMoments{frozen{faces(), &selector{}}}, Local: local, Observer: seen})
		list := id(50)
		inList := func(limit int, change func(*matcher.Filter)) *matcher.Candidates {
			c := &matcher.Candidates{Limit: limit}
			change(&c.Filter)
			return c
		}
		everything := inList(9, func(*matcher.Filter) {})
		one := inList(2, func(f *matcher.Filter) { f.ListID = &list })
		other := inList(3, func(f *matcher.Filter) { f.Lists = []matcher.ID{list} })
		two := inList(7, func(f *matcher.Filter) { f.Lists = []matcher.ID{list, id(51)} })
		both := inList(8, func(f *matcher.Filter) { f.ListID, f.Lists = &list, []matcher.ID{list} })
		match := func(kind matcher.DescriptorType, ref matcher.Reference, sets ...*matcher.Candidates) func() error {
			return func() error {
				_, err := r.Match(t.Context(), &route.Request{References: []matcher.Reference{ref}, Candidates: sets, Type: kind, ReferencesMax: 10, RowsMax: 1000})
				return err
			}
		}
		for _, c := range []struct {
			name     string
			request  func() error
			kind     matcher.MatchKind
			listRows int
		}{
			{"all", match(matcher.FaceDescriptor, face(1), everything), matcher.MatchFaces, -1},
			{"a list", match(matcher.FaceDescriptor, face(1), everything, one, two), matcher.MatchFaces, 2},
			{"the larger of two lists", match(matcher.BodyDescriptor, face(3), other, one), matcher.MatchBodies, 3},
			{"several lists", match(matcher.FaceDescriptor, face(1), two, both), matcher.MatchFaces, -1},
			{"cross match", func() error {
				_, err := r.Cross(t.Context(), &route.CrossRequest{ObjectsMax: 1000, RowsMax: 100, CrossMatch: matcher.CrossMatch{References: everything, Candidates: one}})
				return err
			}, matcher.MatchCross, 2},
		} {
			seen.points = nil
			if err := c.request(); err != nil || len(seen.points) != 1 {
				t.Fatalf("%s: %v, %+v", c.name, err, seen.points)
			}
			if p := seen.points[0]; p.Kind != c.kind || p.ListRows != c.listRows || p.Loading != time.Second || p.Duration != 2*time.Second {
				t.Errorf("%s: %+v", c.name, p)
			}
		}
	})
}
