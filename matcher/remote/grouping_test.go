package remote

import (
	"net/http"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// groupedSet is a set whose fields are all passed on.
func groupedSet() *matcher.Candidates {
	return &matcher.Candidates{
		Limit: 2, Offset: 3, Count: true, ExcludeSelf: true, Targets: []string{"face_id"},
		Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 2},
	}
}

// TestGroupedMatch: a remote receives the fields of a set and the object of a reference,
// and the groups and the count of its answer are returned.
func TestGroupedMatch(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		ref := &matcher.Reference{Type: matcher.RefFaceExternalID, ID: "e", ObjectID: face(9), Descriptor: numbered(1).Descriptor}
		rows := []matcher.Match{
			{ID: face(1), Group: "x", Similarity: 0.5, Distance: 1, Object: &matcher.Object{ID: face(1), ExternalID: "x"}},
			{ID: face(2), Group: "x", Similarity: 0.5, Distance: 7, Object: &matcher.Object{ID: face(2), ExternalID: "x"}},
			{ID: face(3), Similarity: 0.5, Distance: 2, Object: &matcher.Object{ID: face(3)}},
		}
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			req := decodeMatch(t, r)
			got, set := req.Candidates[0].Candidates, groupedSet()
			if got.Limit != 2 || got.Offset != 3 || !got.Count || !got.ExcludeSelf || *got.Group != *set.Group {
				t.Errorf("the remote got %+v", got)
			}
			if want := (matcher.ObjectKey{Origin: matcher.Faces, ID: face(9)}); *req.References[0].Object != want {
				t.Errorf("the remote got the object %+v, want %+v", req.References[0].Object, want)
			}
			plans := [][]*wire.Plan{{{Steps: []string{"grouped there"}}}}
			answer(w, http.StatusCreated, wire.MessagePack, wire.AppendMatches(nil, wire.MessagePack, req, req.References, [][]matcher.Result{{{Matches: rows, Count: 12}}}, plans))
		})
		r := b.Match(t.Context(), pairs([]*matcher.Reference{ref}, []*matcher.Candidates{groupedSet()}))[0]
		if r.Err != nil || r.Count != 12 || len(r.Matches) != 3 || r.Matches[0].Group != "x" || r.Matches[1].Group != "x" || r.Matches[2].Group != "" ||
			strings.Join(r.Scan.Steps, "") != "grouped there" {
			t.Errorf("%+v", r)
		}
	})
}

// TestWrongGroups: answers with wrong groups, with too many rows or without the count are
// refused.
func TestWrongGroups(t *testing.T) {
	object := func(n int, value string) *matcher.Object { return &matcher.Object{ID: face(n), ExternalID: value} }
	for want, c := range map[string]struct {
		rows  []matcher.Match
		count bool
	}{
		"a row is in another group than its object": {rows: []matcher.Match{{Group: "y", Object: object(1, "x")}}, count: true},
		"in another group than its object":          {rows: []matcher.Match{{Object: object(1, "x")}}, count: true},
		"another group than its object":             {rows: []matcher.Match{{Group: "x", Object: object(1, "")}}, count: true},
		"a set has no count":                        {},
		"a set must have at most 4 rows, got 5": {count: true, rows: []matcher.Match{
			{Object: object(1, "")}, {Object: object(2, "")}, {Object: object(3, "")}, {Object: object(4, "")}, {Object: object(5, "")},
		}},
	} {
		t.Run(want, func(t *testing.T) {
			inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
				b.setHandler(func(w http.ResponseWriter, r *http.Request) {
					req := decodeMatch(t, r)
					req.Candidates[0].Count = c.count
					answer(w, http.StatusCreated, wire.MessagePack, wire.AppendMatches(nil, wire.MessagePack, req, req.References, [][]matcher.Result{{{Matches: c.rows}}}, nil))
				})
				wantUnavailable(t, b.Match(t.Context(), pairs(references(1), []*matcher.Candidates{groupedSet()}))[0].Err, want)
			})
		})
	}
}

// TestOlderRemote: a remote that does not know a field is not the client's fault, so another
// matcher may answer. Other faults in these fields are.
func TestOlderRemote(t *testing.T) {
	for detail, code := range map[string]matcher.Code{
		"candidates[0].group: unknown field":                                      matcher.CodeNoMatcher,
		"candidates[0].offset: unknown field":                                     matcher.CodeNoMatcher,
		"candidates[0].count: unknown field":                                      matcher.CodeNoMatcher,
		"candidates[0].exclude_self: unknown field":                               matcher.CodeNoMatcher,
		"references[0].object: unknown field":                                     matcher.CodeNoMatcher,
		"references[0].references: unknown field":                                 matcher.CodeNoMatcher,
		`references[0].type: must be one of face, sdk_descriptor, got "together"`: matcher.CodeNoMatcher,
		`references[0].type: must be one of face, sdk_descriptor, got "hand"`:     matcher.CodeBadInput,
		"candidates[0].offset: must be an integer from 0 to 10, got 11":           matcher.CodeBadInput,
		"candidates[0].filters.group: unknown filter of faces":                    matcher.CodeBadInput,
		"candidates[0].label: candidates[0].group: unknown field: is no text":     matcher.CodeBadInput,
	} {
		t.Run(detail, func(t *testing.T) {
			inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
				b.setHandler(refuse(http.StatusBadRequest, matcher.CodeBadInput, detail))
				err := b.Match(t.Context(), pairs(references(1), []*matcher.Candidates{groupedSet()}))[0].Err
				if matcher.CodeOf(err) != code || !strings.Contains(err.Error(), "remote east") {
					t.Errorf("%d %v, want %d", matcher.CodeOf(err), err, code)
				}
			})
		})
	}
}

// TestBatchesOfOffsets: rows that offsets skip count as rows of a call.
func TestBatchesOfOffsets(t *testing.T) {
	subs := pairs(references(5), []*matcher.Candidates{{Limit: 100, Offset: rowsPerCall / 2}})
	if all := batches(subs); len(all) != 5 {
		t.Errorf("%d calls, want 5", len(all))
	}
	grouped := &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 10}
	subs = pairs(references(100), []*matcher.Candidates{{Limit: 1000, Group: grouped}})
	if all := batches(subs); len(all) != 10 {
		t.Errorf("%d calls, want 10", len(all))
	}
}
