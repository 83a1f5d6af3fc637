package wire

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// checkRequest writes a match of sets and reads it back, in both formats.
func checkRequest(t *testing.T, d *Decoder, sets []*matcher.Candidates) {
	t.Helper()
	refs := []matcher.Reference{
		{Type: matcher.RefFace, ID: idA.String(), Descriptor: matcher.Descriptor{Version: 1001, Data: []byte{0, 1, 254, 255}}},
		{Type: matcher.RefSDK, ID: "x", Descriptor: matcher.Descriptor{Version: 1001, Data: []byte("{\"\\\n")}},
	}
	for _, f := range []Format{JSON, MessagePack} {
		body := AppendMatchRequest(nil, f, refs, sets)
		req, err := d.Match(f, body, matcher.FaceDescriptor)
		if err != nil {
			t.Fatalf("%v\n%q", err, body)
		}
		for i, ref := range req.References {
			want := matcher.Reference{Type: matcher.RefRaw, ID: strconv.Itoa(i), Descriptor: refs[i].Descriptor}
			if i == 0 && slices.ContainsFunc(sets, func(set *matcher.Candidates) bool { return set.ExcludeSelf }) {
				want.Object = &matcher.ObjectKey{Origin: matcher.Faces, ID: idA}
			}
			if diff := cmp.Diff(want, ref); diff != "" {
				t.Fatal(diff)
			}
		}
		for i, set := range req.Candidates {
			want, got := *sets[i], set.Candidates
			want.Targets, got.Targets = nil, nil // TestAppendTargets
			withinYears(sortFilters(&want.Filter))
			sortFilters(&got.Filter)
			if diff := cmp.Diff(want, got, sameField); diff != "" {
				t.Fatal(diff)
			}
		}
		if len(req.References) != len(refs) || len(req.Candidates) != len(sets) {
			t.Fatalf("%d references, %d sets", len(req.References), len(req.Candidates))
		}
	}
}

// withinYears replaces the times of f that RFC 3339 cannot express with the nearest
// times that it can express.
func withinYears(f *matcher.Filter) {
	for _, at := range []**matcher.Time{&f.CreateTime.GTE, &f.CreateTime.LT, &f.Event.EndTime.GTE, &f.Event.EndTime.LT} {
		if *at != nil {
			moved := min(max(**at, matcher.TimeFirst), matcher.TimeLast)
			*at = &moved
		}
	}
}

// TestAppendMatchRequest: a server reads the match request that a client writes.
func TestAppendMatchRequest(t *testing.T) {
	d := newDecoder(t)
	for o := range matcher.Origins {
		text := allFilters(o)
		checkRequest(t, d, []*matcher.Candidates{
			{Origin: o, Filter: *withFilters(t, d, JSON, []byte(text)), Limit: 7, Threshold: 0.1, Order: matcher.ByTimeDesc, Targets: []string{"age"}},
			{Origin: o, Limit: 1, Threshold: 1, Order: matcher.ByTimeAsc},
		})
	}
	g := generator{seeded(4), d}
	checked := 0
	for range 1000 {
		text, err := json.Marshal(map[string]any{"references": []any{g.reference()}, "candidates": []any{g.set(), g.set()}})
		if err != nil {
			t.Fatal(err)
		}
		req, err := d.Match(JSON, text, matcher.FaceDescriptor)
		if err != nil {
			continue
		}
		checked++
		checkRequest(t, d, []*matcher.Candidates{&req.Candidates[0].Candidates, &req.Candidates[1].Candidates})
	}
	if checked < 50 {
		t.Errorf("only %d of 1000 requests were valid", checked)
	}
}

// TestAppendMatchRequestText pins the exact body.
func TestAppendMatchRequestText(t *testing.T) {
	golden(t, func(dst []byte, f Format) []byte {
		return AppendMatchRequest(dst, f, []matcher.Reference{{Descriptor: matcher.Descriptor{Version: 1001, Data: []byte{1, 2, 3, 4}}}},
			[]*matcher.Candidates{{Origin: matcher.Events, Limit: 5, Threshold: 0.25}})
	}, `{"references":[{"type":"raw_descriptor","id":"0","data":{"version":1001,"data":"AQIDBA=="}}],`+
		`"candidates":[{"filters":{"origin":"events"},"limit":5,"threshold":0.25,"order":"similarity"}]}`)
	body := AppendMatchRequest(nil, MessagePack, []matcher.Reference{{Descriptor: matcher.Descriptor{Version: 1, Data: []byte("bin")}}}, nil)
	tape := newTape()
	if err := tape.parseMessagePack(body); err != nil {
		t.Fatal(err)
	}
	for _, n := range tape.nodes {
		if n.text == "bin" && n.kind != kindBinary {
			t.Errorf("the data is of kind %d, not binary", n.kind)
		}
	}
}

// TestAppendTargets: the request has the caller's targets and those that merging
// needs, each once.
func TestAppendTargets(t *testing.T) {
	d := newDecoder(t)
	f := func(order matcher.Order, targets, want []string) {
		t.Helper()
		set := &matcher.Candidates{Limit: 1, Order: order, Targets: targets}
		ref := []matcher.Reference{{Descriptor: matcher.Descriptor{Version: 1001, Data: []byte{1, 2, 3, 4}}}}
		for _, format := range []Format{JSON, MessagePack} {
			req, err := d.Match(format, AppendMatchRequest(nil, format, ref, []*matcher.Candidates{set}), matcher.FaceDescriptor)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, req.Candidates[0].Targets); diff != "" {
				t.Error(diff)
			}
		}
	}
	grouped := &matcher.Candidates{Limit: 1, Targets: []string{}, Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[1], Size: 1}}
	body := string(AppendMatchRequest(nil, JSON, nil, []*matcher.Candidates{grouped}))
	if want := `"targets":["similarity","distance","user_data"]`; !strings.Contains(body, want) {
		t.Errorf("%s\nhas no %s", body, want)
	}
	f(matcher.BySimilarity, nil, nil)
	f(matcher.ByTimeAsc, nil, nil)
	f(matcher.BySimilarity, []string{}, []string{"similarity", "distance"})
	f(matcher.BySimilarity, []string{"distance", "age"}, []string{"distance", "age", "similarity"})
	f(matcher.ByTimeAsc, []string{"age"}, []string{"age", "similarity", "distance", "create_time"})
	f(matcher.ByTimeDesc, []string{"create_time", "similarity", "distance"}, []string{"create_time", "similarity", "distance"})
	longer := []string{"age", "unchanged"}
	f(matcher.BySimilarity, longer[:1], []string{"age", "similarity", "distance"})
	if longer[1] != "unchanged" {
		t.Error("the array of the caller's targets was changed")
	}
}

// TestAppendCrossRequest: a server reads the cross match request that a client
// writes.
func TestAppendCrossRequest(t *testing.T) {
	d := newDecoder(t)
	for o := range matcher.Origins {
		text := allFilters(o)
		filter := *withFilters(t, d, JSON, []byte(text))
		references := &matcher.Candidates{Origin: o, Filter: filter, Limit: 99, Threshold: 0.5}
		candidates := &matcher.Candidates{Origin: matcher.Faces, Limit: 3, Threshold: 0.75, Targets: []string{"age"}}
		for _, sides := range [][2]*matcher.Candidates{{references, candidates}, {candidates, references}} {
			for _, f := range []Format{JSON, MessagePack} {
				body := AppendCrossRequest(nil, f, sides[0], sides[1])
				got, err := d.Cross(f, body)
				if err != nil {
					t.Fatalf("%v\n%q", err, body)
				}
				sortFilters(&got.References.Filter)
				sortFilters(&got.Candidates.Filter)
				want := *sides[1]
				if want.Targets != nil {
					want.Targets = []string{"age", "similarity", "distance"}
				}
				if diff := cmp.Diff(want, got.Candidates.Candidates, sameField); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(matcher.Candidates{Origin: sides[0].Origin, Filter: sides[0].Filter}, got.References, sameField); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
}
