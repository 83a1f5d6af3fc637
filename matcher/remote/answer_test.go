package remote

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// TestAnswer: rows with their objects, and the scan of the plan, in both
// formats.
func TestAnswer(t *testing.T) {
	for _, f := range []wire.Format{wire.JSON, wire.MessagePack} {
		in(t, base(), func(t *testing.T, b *bench) {
			b.answers(func(w http.ResponseWriter, r *http.Request) {
				req := asked(t, r)
				row := func(n int, similarity, distance float64) matcher.Match {
					return matcher.Match{ID: face(n), Similarity: similarity, Distance: distance, Object: &matcher.Object{ID: face(n), ExternalID: "e", CreateTime: 12345}}
				}
				plan := &wire.Plan{RowsSelected: 9, RowsOtherVersion: 2, RowsScanned: 7, Kernel: "avx2", SharedWith: 3, Milliseconds: 1.5}
				answer(w, http.StatusCreated, f, wire.AppendMatches(nil, f, req, req.References,
					[][]matcher.Result{{{Matches: []matcher.Match{row(1, 1, 0), row(2, 0.3, 1.0/3)}}, {}}}, [][]*wire.Plan{{plan, nil}}))
			})
			sets := setsOf(2, 2)
			sets[0].Threshold = 0.3
			results := b.Match(t.Context(), pairs(some(1), sets))
			if results[0].Err != nil || results[1].Err != nil {
				t.Fatal(results[0].Err, results[1].Err)
			}
			got := results[0].Matches
			if len(got) != 2 || got[1].ID != face(2) || got[1].Distance != 1.0/3 || got[1].Similarity != 0.3 || got[1].CreateTime != 12345 ||
				got[1].Object.ID != face(2) || got[1].Object.ExternalID != "e" || got[1].Object.Origin != matcher.Faces {
				t.Errorf("%v: %+v", f, got)
			}
			want := matcher.Scan{RowsSelected: 9, RowsOtherVersion: 2, RowsScanned: 7, Kernel: "avx2", SharedWith: 3, Duration: 1500 * time.Microsecond}
			if results[0].Scan != want || len(results[1].Matches) != 0 || results[1].Scan != (matcher.Scan{}) {
				t.Errorf("%v: %+v, %+v", f, results[0].Scan, results[1])
			}
		})
	}
}

// TestRubbish: an answer that is not what the contract says is none, and no
// part of it is used.
func TestRubbish(t *testing.T) {
	row := `{"face":{"face_id":"` + face(1).String() + `"},"similarity":0.5,"distance":1}`
	good := `[{"reference":{"type":"raw_descriptor","id":"0"},"matches":[{"result":[` + row + `]}]}]`
	check := func(body, detail string) {
		t.Helper()
		in(t, base(), func(t *testing.T, b *bench) {
			b.answers(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusCreated, wire.JSON, []byte(body)) })
			sets := setsOf(1, 2)
			sets[0].Threshold = 0.3
			r := b.Match(t.Context(), pairs(some(1), sets))[0]
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
			t.Fatalf("%s is not in it", old)
		}
		return strings.Replace(good, old, other, 1)
	}
	another := strings.Replace(row, face(1).String(), face(2).String(), 1)
	check(good, "")
	check(with(row, row+","+another), "")
	check(with(row, row+","+row), "an object is there twice")
	check(with(row, row+","+another+","+strings.Replace(row, face(1).String(), face(3).String(), 1)), "more rows than the limit")
	check(with(`0.5`, `0.29`), "below the threshold")
	check(with(`,"distance":1`, ``), "without its distance")
	check(with(`"similarity":0.5,`, ``), "without its distance")
	check(with(`"face":{"face_id"`, `"event":{"event_id"`), "without its object")
	check(with(`"face_id":"`+face(1).String()+`"`, ``), "without its object")
	check(with(`:1}`, `:-1}`), "makes no sense")
	check(with(`:1}`, `:NaN}`), "makes no sense")
	check(with(`[{"result":[`+row+`]}]`, `[]`), "another number of candidate sets")
	check(with(`{"result"`, `{"result":[]},{"result"`), "another number of candidate sets")
	check(`[]`, "another number of references")
	check(strings.Replace(good, `[{`, `[{"matches":[]},{`, 1), "another number of references")
	check(``, "makes no sense")
	check(`{}`, "makes no sense")
	check(`<html>`, "makes no sense")
	check(good[:50], "makes no sense")
}

// TestOneFailureIsNotAll: only the sub-requests of a call that failed fail.
func TestOneFailureIsNotAll(t *testing.T) {
	in(t, base(), func(t *testing.T, b *bench) {
		b.answers(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength < 2000 { // the second call, of one reference
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			matches(t, wire.MessagePack)(w, r)
		})
		for i, r := range b.Match(t.Context(), pairs(some(251), setsOf(1, 1))) {
			if (r.Err != nil) != (i == 250) {
				t.Errorf("sub-request %d: %v", i, r.Err)
			}
		}
	})
}

// TestCallsOfOneRequest: one request does not take all the calls that a remote
// may have.
func TestCallsOfOneRequest(t *testing.T) {
	c := base()
	c.MaxInflight = 64
	in(t, c, func(t *testing.T, b *bench) {
		goOn := make(chan struct{})
		b.answers(func(w http.ResponseWriter, r *http.Request) {
			<-goOn
			matches(t, wire.MessagePack)(w, r)
		})
		done := make(chan []matcher.Result)
		go func() { done <- b.Match(t.Context(), pairs(some(5000), setsOf(1, 1))) }()
		synctest.Wait()
		if n := len(b.took()); n != callsPerRequest {
			t.Errorf("%d calls at once", n)
		}
		close(goOn)
		for i, r := range <-done {
			if r.Err != nil || r.Matches[0].Distance != float64(i) {
				t.Fatalf("sub-request %d: %+v", i, r)
			}
		}
	})
}
