package remote

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// numbered returns a raw reference whose descriptor encodes n.
func numbered(n int) *matcher.Reference {
	return &matcher.Reference{Type: matcher.RefRaw, ID: "mine", Descriptor: matcher.Descriptor{Version: 7, Data: []byte{byte(n >> 8), byte(n), 0}}}
}

func numberOf(r *matcher.Reference) int {
	return int(r.Descriptor.Data[0])<<8 | int(r.Descriptor.Data[1])
}

// face returns the ID of face n.
func face(n int) matcher.ID { return matcher.ID{0xfa, byte(n >> 8), byte(n)} }

// pairs returns the sub-requests of all references with all sets, in request
// order.
func pairs(references []*matcher.Reference, sets []*matcher.Candidates) []matcher.SubRequest {
	var subs []matcher.SubRequest
	for _, r := range references {
		for _, s := range sets {
			subs = append(subs, matcher.SubRequest{Reference: r, Candidates: s, Version: testRegistry.Version(7)})
		}
	}
	return subs
}

// references returns the references 0 to n-1.
func references(n int) []*matcher.Reference {
	all := make([]*matcher.Reference, n)
	for i := range all {
		all[i] = numbered(i)
	}
	return all
}

func setsOf(n, limit int) []*matcher.Candidates {
	all := make([]*matcher.Candidates, n)
	for i := range all {
		// The filter identifies the set.
		all[i] = &matcher.Candidates{Limit: limit, Filter: matcher.Filter{IDs: []matcher.ID{face(i)}}}
	}
	return all
}

// matches answers each reference and set with one row: the face in the set's
// filter, with the reference's number as distance.
func matches(t *testing.T, f wire.Format) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req := decodeMatch(t, r)
		results := make([][]matcher.Result, len(req.References))
		for i := range req.References {
			for _, set := range req.Candidates {
				id := set.Filter.IDs[0]
				results[i] = append(results[i], matcher.Result{Matches: []matcher.Match{{
					ID: id, Similarity: 0.5, Distance: float64(numberOf(&req.References[i])), Object: &matcher.Object{ID: id, Account: accountOf(r), UserData: "x", CreateTime: 5},
				}}})
			}
		}
		answer(w, http.StatusCreated, f, wire.AppendMatches(nil, f, req, req.References, results, nil))
	}
}

// accountOf returns the account in the query of a call; zero: no account.
func accountOf(r *http.Request) matcher.ID {
	if text := r.URL.Query().Get("account_id"); text != "" {
		return matcher.MustID(text)
	}
	return matcher.ID{}
}

// TestAccountOfRows: rows of other accounts are refused if a remote ignores the
// account, whatever the targets are.
func TestAccountOfRows(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = ""
			matches(t, wire.MessagePack)(w, r)
		})
		subs := pairs(references(1), setsOf(1, 5))
		account := face(99)
		subs[0].Account, subs[0].Candidates.Targets = &account, []string{"similarity"}
		wantUnavailable(t, b.Match(t.Context(), subs)[0].Err, "a row belongs to another account")
	})
}

// decodeMatch decodes the match request of a call, as a service does.
func decodeMatch(t *testing.T, r *http.Request) *wire.MatchRequest {
	body := make([]byte, r.ContentLength)
	if _, err := r.Body.Read(body); err != nil {
		t.Error(err)
	}
	req, err := testDecoder.Match(wire.MessagePack, body, matcher.FaceDescriptor)
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	return req
}

// shape returns the numbers of references and sets of each call.
func shape(t *testing.T, calls []receivedCall) []string {
	var all []string
	for _, c := range calls {
		req, err := testDecoder.Match(wire.MessagePack, c.body, matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%dx%d", len(req.References), len(req.Candidates)))
	}
	slices.Sort(all)
	return all
}

// TestBatches: there are as few calls as the bounds of a call allow, and each
// sub-request has its own answer.
func TestBatches(t *testing.T) {
	check := func(name string, subs []matcher.SubRequest, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
				b.setHandler(matches(t, wire.MessagePack))
				results := b.Match(t.Context(), subs)
				if got := shape(t, b.takeCalls()); !slices.Equal(got, want) {
					t.Errorf("calls %q, want %q", got, want)
				}
				for i, r := range results {
					if r.Err != nil || len(r.Matches) != 1 || r.Matches[0].ID != subs[i].Candidates.Filter.IDs[0] || r.Matches[0].Distance != float64(numberOf(subs[i].Reference)) {
						t.Fatalf("sub-request %d: %+v", i, r)
					}
				}
				if len(results) != len(subs) {
					t.Errorf("%d results", len(results))
				}
			})
		})
	}
	check("none", nil)
	check("one", pairs(references(1), setsOf(1, 5)), "1x1")
	check("all together", pairs(references(20), setsOf(10, 500)), "20x10")
	check("references", pairs(references(501), setsOf(2, 5)), "1x2", "250x2", "250x2")
	check("rows", pairs(references(5), setsOf(50, 1000)), "1x50", "2x50", "2x50")
	check("rows of one reference", pairs(references(2), setsOf(130, 1000)), "1x100", "1x100", "2x30")
	check("one set with the highest limit", pairs(references(2), setsOf(1, 1000)), "2x1")
	check("sets", pairs(references(2), setsOf(101, 1)), "2x1", "2x100")

	// After failures of other matchers, a set may lack some references.
	refs, sets := references(3), setsOf(3, 5)
	holes := pairs(refs, sets[:2])
	holes = append(holes, pairs(refs[1:], sets[2:])...)
	check("holes", holes, "2x1", "3x2")
}

// TestCall: a call has descriptors in place of the objects that the client named.
// Everything else is as in the client's request.
func TestCall(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		account, user := face(99), "u"
		set := &matcher.Candidates{
			Filter: matcher.Filter{IDs: []matcher.ID{face(1)}, Fields: []matcher.FieldFilter{matcher.AnyOf("user_data", user)}}, Limit: 3, Threshold: 0.25,
			Targets: []string{"user_data"}, Order: matcher.ByTimeDesc,
		}
		sub := matcher.SubRequest{
			Reference: &matcher.Reference{Type: matcher.RefFace, ID: face(8).String(), Descriptor: numbered(300).Descriptor}, Candidates: set,
			Version: testRegistry.Version(7), Account: &account, RequestID: "1000000000,4a6ca3b6-0000-4000-8000-000000000000", Explain: true,
		}
		b.setHandler(matches(t, wire.MessagePack))
		if r := b.Match(t.Context(), []matcher.SubRequest{sub}); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
		c := b.takeCalls()[0]
		if c.method != "POST" || c.path != "/1/matcher/faces" || c.query != "account_id="+account.String()+"&explain=1" ||
			c.header.Get("Luna-Request-Id") != sub.RequestID || c.header.Get("Accept") != "application/msgpack" || c.header.Get("Content-Type") != "application/msgpack" {
			t.Errorf("%s %s?%s %v", c.method, c.path, c.query, c.header)
		}
		req, err := testDecoder.Match(wire.MessagePack, c.body, matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(err)
		}
		if r := req.References[0]; r.Type != matcher.RefRaw || r.Descriptor.Version != 7 || numberOf(&r) != 300 {
			t.Errorf("%+v", r)
		}
		got := req.Candidates[0]
		if got.Limit != 3 || got.Threshold != 0.25 || got.Order != matcher.ByTimeDesc || got.Filter.Fields[0].Texts[0] != "u" || got.Origin != matcher.Faces ||
			!slices.Equal(got.Targets, []string{"user_data", "similarity", "distance", "account_id", "create_time"}) {
			t.Errorf("%+v", got)
		}

		// Bodies have their own path. Absent parameters are not sent.
		sub = matcher.SubRequest{Reference: sub.Reference, Candidates: set, Version: &matcher.Version{Number: 7, Type: matcher.BodyDescriptor}}
		b.Match(t.Context(), []matcher.SubRequest{sub})
		if c = b.takeCalls()[0]; c.path != "/1/matcher/bodies" || c.query != "" || c.header["Luna-Request-Id"] != nil {
			t.Errorf("%s?%s %v", c.path, c.query, c.header)
		}
	})
}

// TestBaseURL: calls keep the user and the path prefix of the configured URL.
func TestBaseURL(t *testing.T) {
	c := baseConfig()
	c.URL = "http://me:pass@east/a%2Fb/"
	inBubble(t, c, func(t *testing.T, b *testbed) {
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "me" || password != "pass" || r.URL.EscapedPath() != "/a%2Fb/1/matcher/faces" {
				t.Errorf("%s %s %s", user, password, r.URL.EscapedPath())
			}
			matches(t, wire.JSON)(w, r)
		})
		if r := b.Match(t.Context(), pairs(references(1), setsOf(1, 1))); r[0].Err != nil {
			t.Error(r[0].Err)
		}
	})
}

// TestPanic: a panic ends the call but not the process, and releases the slot.
func TestPanic(t *testing.T) {
	c := baseConfig()
	c.MaxInflight = 1
	inBubble(t, c, func(t *testing.T, b *testbed) {
		b.setHandler(matches(t, wire.JSON))
		bad := pairs(references(1), setsOf(1, 1))
		bad[0].Version = nil
		for range 2 {
			if err := b.Match(t.Context(), bad)[0].Err; err == nil || matcher.CodeOf(err) != matcher.CodeInternal {
				t.Errorf("%v", err)
			}
		}
		if err := b.matchOne(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
