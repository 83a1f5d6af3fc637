package remote

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// TestAnswer: a result has the rows with their objects and the scan of the plan, in
// both formats.
func TestAnswer(t *testing.T) {
	for _, f := range []wire.Format{wire.JSON, wire.MessagePack} {
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(func(w http.ResponseWriter, r *http.Request) {
				req := decodeMatch(t, r)
				row := func(n int, similarity, distance float64) matcher.Match {
					return matcher.Match{ID: face(n), Similarity: similarity, Distance: distance, Object: &matcher.Object{ID: face(n), ExternalID: "e", CreateTime: 12345}}
				}
				plan := &wire.Plan{RowsSelected: 9, RowsOtherVersion: 2, RowsScanned: 7, Kernel: "avx2", SharedWith: 3, Milliseconds: 1.5}
				answer(w, http.StatusCreated, f, wire.AppendMatches(nil, f, req, req.References,
					[][]matcher.Result{{{Matches: []matcher.Match{row(1, 1, 0), row(2, 0.3, 1.0/3)}}, {}}}, [][]*wire.Plan{{plan, nil}}))
			})
			sets := setsOf(2, 2)
			sets[0].Threshold = 0.3
			results := b.Match(t.Context(), pairs(references(1), sets))
			if results[0].Err != nil || results[1].Err != nil {
				t.Fatal(results[0].Err, results[1].Err)
			}
			got := results[0].Matches
			if len(got) != 2 || got[1].ID != face(2) || got[1].Distance != 1.0/3 || got[1].Similarity != 0.3 || got[1].CreateTime != 12345 ||
				got[1].Object.ID != face(2) || got[1].Object.ExternalID != "e" || got[1].Object.Origin != matcher.Faces {
				t.Errorf("%v: %+v", f, got)
			}
			want := matcher.Scan{RowsSelected: 9, RowsOtherVersion: 2, RowsScanned: 7, Kernel: "avx2", SharedWith: 3, Duration: 1500 * time.Microsecond}
			if !reflect.DeepEqual(results[0].Scan, want) || len(results[1].Matches) != 0 || !reflect.DeepEqual(results[1].Scan, matcher.Scan{}) {
				t.Errorf("%v: %+v, %+v", f, results[0].Scan, results[1])
			}
		})
	}
}

// TestInvalidAnswer: an answer that breaks the contract is an error, and no part of
// it is used.
func TestInvalidAnswer(t *testing.T) {
	row := `{"face":{"face_id":"` + face(1).String() + `"},"similarity":0.5,"distance":1}`
	good := `[{"reference":{"type":"raw_descriptor","id":"0"},"matches":[{"result":[` + row + `]}]}]`
	check := func(body, detail string) {
		t.Helper()
		inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
			b.setHandler(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusCreated, wire.JSON, []byte(body)) })
			sets := setsOf(1, 2)
			sets[0].Threshold = 0.3
			r := b.Match(t.Context(), pairs(references(1), sets))[0]
			if detail == "" {
				if r.Err != nil {
					t.Error(r.Err)
				}
				return
			}
			if wantUnavailable(t, r.Err, detail); r.Matches != nil {
				t.Errorf("%+v", r.Matches)
			}
		})
	}
	with := func(old, other string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the valid answer", old)
		}
		return strings.Replace(good, old, other, 1)
	}
	another := strings.Replace(row, face(1).String(), face(2).String(), 1)
	check(good, "")
	check(with(row, row+","+another), "")
	check(with(row, row+","+row), "an object is given twice")
	check(with(row, row+","+another+","+strings.Replace(row, face(1).String(), face(3).String(), 1)), "at most 2 rows, got 3")
	check(with(`0.5`, `0.29`), "below the threshold")
	check(with(`,"distance":1`, ``), "no similarity or distance")
	check(with(`"similarity":0.5,`, ``), "no similarity or distance")
	check(with(`"face":{"face_id"`, `"event":{"event_id"`), "no object of the requested origin")
	check(with(`"face_id":"`+face(1).String()+`"`, ``), "no object of the requested origin")
	check(with(`:1}`, `:-1}`), "its answer is invalid")
	check(with(`:1}`, `:NaN}`), "its answer is invalid")
	check(with(`[{"result":[`+row+`]}]`, `[]`), "items of matches, got")
	check(with(`{"result"`, `{"result":[]},{"result"`), "items of matches, got")
	check(`[]`, "references, got")
	check(strings.Replace(good, `[{`, `[{"matches":[]},{`, 1), "references, got")
	check(``, "its answer is invalid")
	check(`{}`, "its answer is invalid")
	check(`<html>`, "its answer is invalid")
	check(good[:50], "its answer is invalid")
}

// TestOneFailureIsNotAll: if one of several calls fails, only its sub-requests fail.
func TestOneFailureIsNotAll(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength < 2000 { // the second call, with one reference
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			matches(t, wire.MessagePack)(w, r)
		})
		for i, r := range b.Match(t.Context(), pairs(references(251), setsOf(1, 1))) {
			if (r.Err != nil) != (i == 250) {
				t.Errorf("sub-request %d: %v", i, r.Err)
			}
		}
	})
}

// TestCallsOfOneRequest: one request uses at most callsPerRequest slots of a remote.
func TestCallsOfOneRequest(t *testing.T) {
	c := baseConfig()
	c.MaxInflight = 64
	inBubble(t, c, func(t *testing.T, b *testbed) {
		proceed := make(chan struct{})
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			matches(t, wire.MessagePack)(w, r)
		})
		done := make(chan []matcher.Result)
		go func() { done <- b.Match(t.Context(), pairs(references(5000), setsOf(1, 1))) }()
		synctest.Wait()
		if n := len(b.takeCalls()); n != callsPerRequest {
			t.Errorf("%d calls in progress, want %d", n, callsPerRequest)
		}
		close(proceed)
		for i, r := range <-done {
			if r.Err != nil || r.Matches[0].Distance != float64(i) {
				t.Fatalf("sub-request %d: %+v", i, r)
			}
		}
	})
}
