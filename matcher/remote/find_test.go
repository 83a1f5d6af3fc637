package remote

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// stored returns object n of an origin with its descriptor.
func stored(o matcher.Origin, n int) *matcher.Object {
	obj := &matcher.Object{Origin: o, ID: face(n), CreateTime: 5}
	obj.Descriptors[matcher.FaceDescriptor] = numbered(n).Descriptor
	return obj
}

func ids(from, to int) []matcher.ID {
	var all []matcher.ID
	for n := from; n < to; n++ {
		all = append(all, face(n))
	}
	return all
}

// pages answers with the requested objects. The remote has the objects 0 to count-1.
func pages(t *testing.T, o matcher.Origin, count int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		want := strings.Split(q.Get(o.Singular()+"_ids"), ",")
		if len(r.RequestURI) > 8000 || q.Get("descriptor") != "1" || q.Get("page_size") != strconv.Itoa(len(want)) {
			t.Errorf("%d bytes, %d ids, %v", len(r.RequestURI), len(want), q["page_size"])
		}
		var page []*matcher.Object
		for n := range count {
			if slices.Contains(want, face(n).String()) {
				obj := stored(o, n)
				obj.Account = accountOf(r)
				page = append(page, obj)
			}
		}
		answer(w, http.StatusOK, wire.MessagePack, wire.AppendObjects(nil, wire.MessagePack, o, page, nil, wire.BinaryDescriptors, len(page)))
	}
}

// TestFind: Find returns the objects that exist, with descriptors, and the URLs of
// its calls are not too long.
func TestFind(t *testing.T) {
	for _, o := range []matcher.Origin{matcher.Faces, matcher.Events} {
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(pages(t, o, 300))
			account := face(999)
			found, err := b.Find(t.Context(), o, ids(0, 450), &account, "1000000000,x")
			if err != nil || len(found) != 300 {
				t.Fatal(len(found), err)
			}
			for n, obj := range found {
				if d := obj.Descriptor(matcher.FaceDescriptor); obj.ID != face(n) || obj.Origin != o || d.Version != 7 || numberOf(&matcher.Reference{Descriptor: d}) != n {
					t.Fatalf("%d: %+v", n, obj)
				}
			}
			calls := b.takeCalls()
			if len(calls) != 3 {
				t.Errorf("%d calls", len(calls))
			}
			for _, c := range calls {
				if q, err := url.ParseQuery(c.query); err != nil || c.method != "GET" || c.path != "/1/"+o.String() || q.Get("account_id") != account.String() ||
					c.header.Get("Luna-Request-Id") != "1000000000,x" || len(c.body) != 0 {
					t.Errorf("%+v", c)
				}
			}
			if found, err := b.Find(t.Context(), o, nil, nil, ""); len(found) != 0 || err != nil || len(b.takeCalls()) != 0 {
				t.Error(found, err)
			}
		})
	}
}

// TestFindFails: Find fails if one of its calls fails, or if an answer has an object
// that was not asked for.
func TestFindFails(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		n := 0
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 2 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			pages(t, matcher.Faces, 300)(w, r)
		})
		found, err := b.Find(t.Context(), matcher.Faces, ids(0, 300), nil, "")
		if wantUnavailable(t, err, "500"); found != nil {
			t.Errorf("%d objects", len(found))
		}
	})
	for body, detail := range map[string]string{
		`{"faces":[{"face_id":"` + face(2).String() + `"}],"count":1}`: "was not asked for",
		`{"faces":[{}],"count":1}`:                                     "face_id",
		`{"events":[],"count":0}`:                                      "faces",
		``:                                                             "its answer is invalid",
	} {
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, wire.JSON, []byte(body)) })
			_, err := b.Find(t.Context(), matcher.Faces, ids(1, 2), nil, "")
			wantUnavailable(t, err, detail)
		})
	}
}

// TestFindAttributes: attributes are requested one by one, and some may not exist.
func TestFindAttributes(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/1/attributes/"+face(2).String() {
				refuse(404, matcher.CodeAttrNotFound, "gone")(w, r)
				return
			}
			for _, n := range []int{1, 3} {
				if r.URL.Path == "/1/attributes/"+face(n).String() {
					answer(w, http.StatusOK, wire.JSON, wire.AppendObject(nil, wire.JSON, stored(matcher.Attributes, n), nil, wire.BinaryDescriptors))
				}
			}
		})
		found, err := b.Find(t.Context(), matcher.Attributes, ids(1, 4), nil, "")
		if err != nil || len(found) != 2 || found[0].ID != face(1) || found[1].ID != face(3) || found[1].Origin != matcher.Attributes || found[1].Descriptor(matcher.FaceDescriptor).IsZero() {
			t.Errorf("%+v, %v", found, err)
		}
		for _, c := range b.takeCalls() {
			if c.query != "descriptor=1" {
				t.Errorf("%s?%s", c.path, c.query)
			}
		}
		b.setHandler(refuse(404, matcher.CodeNoRoute, "no such resource")) // a service without attributes
		_, err = b.Find(t.Context(), matcher.Attributes, ids(1, 2), nil, "")
		wantUnavailable(t, err, "12010")
		b.setHandler(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, wire.JSON, wire.AppendObject(nil, wire.JSON, stored(matcher.Attributes, 9), nil, wire.BinaryDescriptors))
		})
		_, err = b.Find(t.Context(), matcher.Attributes, ids(1, 2), nil, "")
		wantUnavailable(t, err, "was not asked for")
		b.setHandler(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, wire.JSON, []byte(`{}`)) })
		_, err = b.Find(t.Context(), matcher.Attributes, ids(1, 2), nil, "")
		wantUnavailable(t, err, "its answer is invalid: attribute_id: is missing")
	})
}

// TestKeys: Keys returns the objects of each key, also of keys with commas.
func TestKeys(t *testing.T) {
	keys := []matcher.Reference{
		{Type: matcher.RefFaceExternalID, ID: "a,b"}, {Type: matcher.RefEventExternalID, ID: "a,b"}, {Type: matcher.RefEventTrackID, ID: "none"},
	}
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			req := decodeMatch(t, r)
			if set := req.Candidates[0]; len(req.Candidates) != 1 || set.Filter.IDs == nil || len(set.Filter.IDs) != 0 {
				t.Errorf("matched against %+v", set)
			}
			for i, ref := range req.References {
				if ref.Type != keys[i].Type || ref.ID != keys[i].ID {
					t.Errorf("reference %d is %+v", i, ref)
				}
			}
			found := []matcher.Reference{req.References[0], req.References[0], req.References[1], req.References[2]}
			found[0].ObjectID, found[1].ObjectID, found[2].ObjectID = face(1), face(2), face(3)
			answer(w, http.StatusCreated, wire.MessagePack, wire.AppendMatches(nil, wire.MessagePack, req, found, fourResults(req), nil))
		})
		account := face(999)
		got, err := b.Keys(t.Context(), keys, matcher.FaceDescriptor, &account, "1000000000,x")
		if err != nil || len(got) != 3 || !slices.Equal(got[0], ids(1, 3)) || !slices.Equal(got[1], ids(3, 4)) || len(got[2]) != 0 {
			t.Errorf("%v, %v", got, err)
		}
		if c := b.takeCalls()[0]; c.path != "/1/matcher/faces" || c.query != "account_id="+account.String() || c.header.Get("Luna-Request-Id") != "1000000000,x" {
			t.Errorf("%+v", c)
		}
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			req := decodeMatch(t, r)
			req.References[0].ID = "c"
			answer(w, http.StatusCreated, wire.JSON, wire.AppendMatches(nil, wire.JSON, req, req.References[:1], fourResults(req), nil))
		})
		_, err = b.Keys(t.Context(), keys, matcher.FaceDescriptor, nil, "")
		wantUnavailable(t, err, "a reference that was not asked for")
	})
}

// fourResults returns empty results for four references.
func fourResults(req *wire.MatchRequest) [][]matcher.Result {
	all := make([][]matcher.Result, 4)
	for i := range all {
		all[i] = make([]matcher.Result, len(req.Candidates))
	}
	return all
}

// crossAnswer answers a cross match with a row for each reference.
func crossAnswer(references ...string) string {
	items := make([]string, len(references))
	for i, ref := range references {
		items[i] = `{"reference":{"type":"face","id":"` + ref + `"},"matches":[{"result":[{"face":{"face_id":"` + face(i).String() + `"},"similarity":0.5,"distance":1}]}]}`
	}
	return "[" + strings.Join(items, ",") + "]"
}

// TestCross: Cross returns the references of the remote, sorted, with their rows.
func TestCross(t *testing.T) {
	user := "u"
	m := &matcher.CrossMatch{
		References: &matcher.Candidates{Origin: matcher.Faces, Filter: matcher.Where(matcher.AnyOf("user_data", user))},
		Candidates: &matcher.Candidates{Origin: matcher.Faces, Limit: 2, Threshold: 0.25, Targets: []string{"user_data"}},
		RequestID:  "1000000000,x", Explain: true,
	}
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHandler(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusCreated, wire.JSON, []byte(crossAnswer(face(1).String(), face(2).String())))
		})
		refs, results, err := b.Cross(t.Context(), m)
		if err != nil || len(refs) != 2 || len(results) != 2 || refs[0].Type != matcher.RefFace || refs[1].ID != face(2).String() || results[1].Matches[0].ID != face(1) {
			t.Errorf("%+v, %+v, %v", refs, results, err)
		}
		c := b.takeCalls()[0]
		req, err := testDecoder.Cross(wire.MessagePack, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if set := req.Candidates; req.References.Filter.Fields[0].Texts[0] != "u" || set.Limit != 2 || set.Threshold != 0.25 || !slices.Equal(set.Targets, []string{"user_data", "similarity", "distance"}) {
			t.Errorf("%+v", req)
		}
		if c.method != "POST" || c.path != "/1/crossmatcher/faces" || c.query != "explain=1" || c.header.Get("Luna-Request-Id") != "1000000000,x" {
			t.Errorf("%+v", c)
		}
	})
	for body, detail := range map[string]string{
		crossAnswer(face(2).String(), face(1).String()): "in ascending order",
		crossAnswer(face(1).String(), face(1).String()): "in ascending order",
		crossAnswer("x"): "in ascending order",
		strings.Replace(crossAnswer(face(1).String()), "0.5", "0.2", 1):                "below the threshold",
		`[{"reference":{"type":"face","id":"` + face(1).String() + `"},"matches":[]}]`: "one item of matches, got 0",
	} {
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusCreated, wire.JSON, []byte(body)) })
			refs, results, err := b.Cross(t.Context(), m)
			if wantUnavailable(t, err, detail); refs != nil || results != nil {
				t.Errorf("%+v", refs)
			}
		})
	}
}
