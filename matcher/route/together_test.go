package route_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/route"
)

// together returns a reference of type together.
func together(parts ...matcher.Reference) matcher.Reference {
	return matcher.Reference{Type: matcher.RefTogether, ID: "mine", Parts: parts, Fuse: matcher.FuseMean}
}

// shows returns a matcher whose rows show the descriptors of the reference that it got.
func shows() *fake {
	f := costs("memory", 1)
	f.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
		results := make([]matcher.Result, len(subs))
		for i, sub := range subs {
			text := []string{fmt.Sprintf("%s %s %v", sub.Reference.Type, sub.Reference.Fuse, sub.Reference.Descriptor.Data)}
			for _, p := range sub.Reference.Parts {
				text = append(text, fmt.Sprintf("%s %s=%d", p.Path(""), p.Type, p.Descriptor.Data[0]))
			}
			results[i].Matches = []matcher.Match{{Object: &matcher.Object{ExternalID: strings.Join(text, " ")}}}
		}
		return results
	}
	return f
}

// TestTogetherIsOneReference: a matcher gets one reference with the descriptors of all
// parts. Keys become parts of it.
func TestTogetherIsOneReference(t *testing.T) {
	a, err := newRouter(t, nil, shows()).Match(t.Context(), request(face(1), together(raw(7), key("twins"), key("none"), face(2)), together(key("none"))))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.References) != 3 || a.References[1].Type != matcher.RefTogether || a.References[1].ID != "mine" || a.References[1].Descriptor.Version != 59 {
		t.Fatalf("%+v", a.References)
	}
	const want = "together mean [] references[1].references[0] raw_descriptor=7 references[1].references[1].id face_external_id=1 " +
		"references[1].references[1].id face_external_id=2 references[1].references[3].id face=2"
	for set := range 2 {
		if got := a.Results[1][set].Matches[0].Object.ExternalID; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if len(a.Results[2][set].Matches) != 0 || !a.References[2].Descriptor.IsZero() || a.References[2].ID != "mine" {
			t.Errorf("without objects: %+v", a.Results[2][set])
		}
	}
}

func TestTogetherErrors(t *testing.T) {
	check := func(req *route.Request, code matcher.Code, detail string) {
		t.Helper()
		if a, err := newRouter(t, nil, shows()).Match(t.Context(), req); err == nil || matcher.CodeOf(err) != code || !strings.HasPrefix(err.Error(), detail) {
			t.Errorf("%v, %v; want %d, %s", a, err, code, detail)
		}
	}
	with := func(req *route.Request, change func(*route.Request)) *route.Request {
		change(req)
		return req
	}
	other := raw(1)
	other.Descriptor.Version = 58
	check(request(raw(1), together(raw(1), face(9))), matcher.CodeFaceNotFound, "references[1].references[1].id: face "+id(9).String()+" does not exist")
	check(request(together(face(3))), matcher.CodeNoDescriptor, "references[0].references[0].id: face "+id(3).String()+" has no face descriptor")
	check(request(together(key("none"), face(1), other)), matcher.CodeMixedVersions,
		"references[0].references[2]: its descriptor has version 58, and that of references[0].references[1] has version 59")
	check(with(request(other, together(other, raw(1))), func(r *route.Request) { r.Version = 58 }), matcher.CodeWrongVersion,
		"references[1].references[1]: its descriptor has version 59, and descriptor_version is 58")
	check(request(together(key("twins"), other)), matcher.CodeMixedVersions,
		"references[0].references[1]: its descriptor has version 58, and that of references[0].references[0] (face "+id(1).String()+") has version 59")
	check(with(request(key("twins")), func(r *route.Request) { r.Version = 58 }), matcher.CodeWrongVersion,
		"references[0] (face "+id(1).String()+"): its descriptor has version 59, and descriptor_version is 58")
	unknown := raw(1)
	unknown.Descriptor.Version = 7
	check(request(together(unknown)), matcher.CodeUnknownVersion, "references[0].references: version 7 is not registered")

	// Each part counts in limits.
	check(with(request(raw(1), together(raw(1), key("twins"))), func(r *route.Request) { r.ReferencesMax = 3 }), matcher.CodeTooMany, "references: must be at most 3")
	check(with(request(together(raw(1), raw(2))), func(r *route.Request) { r.RowsMax = 5 }), matcher.CodeTooMany, "candidates: their limits, group sizes and offsets allow 3 rows for each of 2 references")
	req := with(request(raw(1), together(raw(1), key("twins"))), func(r *route.Request) { r.ReferencesMax, r.RowsMax = 4, 12 })
	if _, err := newRouter(t, nil, shows()).Match(t.Context(), req); err != nil {
		t.Error(err)
	}
	many := make([]matcher.Reference, matcher.PartsMax-1)
	for i := range many {
		many[i] = raw(1)
	}
	req = with(request(together(append(many, key("single"))...)), func(r *route.Request) { r.ReferencesMax = 100 }) // the key has one object
	if _, err := newRouter(t, nil, shows()).Match(t.Context(), req); err != nil {
		t.Error(err)
	}
	check(with(request(together(append(many, key("twins"))...)), func(r *route.Request) { r.ReferencesMax = 100 }), matcher.CodeTooMany,
		"references[0].references: must be at most 32 references after each key is replaced by its objects, got 33")
}

// TestTogetherOfRemotes: the parts of a reference are searched like other references.
func TestTogetherOfRemotes(t *testing.T) {
	q := newInquiry(t)
	q.Local = shows()
	got := func(parts ...matcher.Reference) string {
		t.Helper()
		req := request(together(parts...))
		req.Candidates = req.Candidates[:1]
		a, err := route.New(q.Options).Match(t.Context(), req)
		if err != nil {
			return err.Error()
		}
		if len(a.Results[0][0].Matches) == 0 {
			return "empty"
		}
		return a.Results[0][0].Matches[0].Object.ExternalID
	}
	for want, parts := range map[string][]matcher.Reference{
		"references[0].references[0].id face=10 references[0].references[1].id event=20": {ref(matcher.RefFace, 10), ref(matcher.RefEvent, 20)},
		"references[0].references[1].id event_external_id=20 references[0].references[1].id event_external_id=21 references[0].references[2].id attribute=51": {
			named(matcher.RefFaceExternalID, "none"), named(matcher.RefEventExternalID, "k20"), ref(matcher.RefAttribute, 51),
		},
		"empty": {named(matcher.RefFaceExternalID, "none")},
		"references[0].references[1].id: face " + id(99).String() + " does not exist": {ref(matcher.RefFace, 10), ref(matcher.RefFace, 99)},
	} {
		if text := strings.TrimPrefix(got(parts...), "together mean [] "); text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
}

// TestMeanRowsOfRemotes: rows with means are ordered by similarity first.
func TestMeanRowsOfRemotes(t *testing.T) {
	m := costs("far", 0)
	m.match = func(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
		results := make([]matcher.Result, len(subs))
		for i := range subs {
			for n, figures := range [][2]float64{{0.5, 3}, {0.7, 9}, {0.7, 8}, {0.6, 1}} {
				results[i].Matches = append(results[i].Matches, matcher.Match{ID: id(byte(n)), Similarity: figures[0], Distance: figures[1], Object: &matcher.Object{ID: id(byte(n))}})
			}
		}
		return results
	}
	local := shows()
	local.cost = func(*matcher.SubRequest) (float64, string, bool) { return 10, "", true }
	best := together(raw(1), raw(2))
	best.Fuse = matcher.FuseBest
	req := request(together(raw(1), raw(2)), best)
	req.Candidates = []*matcher.Candidates{{Limit: 3}}
	a, err := newRouter(t, nil, local, m).Match(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"2 1 3", "3 0 2"} {
		var order []string
		for _, row := range a.Results[i][0].Matches {
			order = append(order, strconv.Itoa(int(row.ID[0])))
		}
		if got := strings.Join(order, " "); got != want {
			t.Errorf("%s: %s, want %s", a.References[i].Fuse, got, want)
		}
	}
}
