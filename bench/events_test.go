package main

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nearside/bench/synth"
)

// TestEventFiltersSelectWhatTheySay compares the parts of rows with those that
// follow from how events are made.
func TestEventFiltersSelectWhatTheySay(t *testing.T) {
	const n = 200_000
	harmonic := 0.0
	for c := range cities {
		harmonic += 1 / float64(c+1)
	}
	day, city, ages := 1.0/eventDays, 1/harmonic/(cityTested+1), float64(ageTo-ageFrom)/100
	for _, shuffled := range []bool{false, true} {
		for _, f := range newEventSet(n, shuffled).filters() {
			got := float64(f.count(n)) / n
			want, ok := map[string]float64{
				oneDay: day, oneDayCityAge: day * city * ages, cityAge: city * ages, "meta number range": float64(manyTo-manyFrom) / visitors,
				"two emotions": 2.0 / emotions, "geo box": 1 / harmonic * (boxHalf / spread) * (boxHalf / spread),
			}[f.name]
			if !ok {
				want = 0.1 // of tags and cameras: about
			}
			if math.Abs(got-want) > 6*math.Sqrt(want/n) && (ok || got < 0.05 || got > 0.3) {
				t.Errorf("shuffled: %v: %s selects %v, not about %v", shuffled, f.name, got, want)
			}
		}
	}
}

// TestEventsComeAlmostInTheirOrder: late ones are before others of up to two
// minutes later.
func TestEventsComeAlmostInTheirOrder(t *testing.T) {
	s, late := newEventSet(100_000, false), 0
	latest := s.timeOf(0)
	for i := range s.n {
		switch now := s.timeOf(i); {
		case now < latest-delayMax:
			t.Fatalf("event %d is %d ms late", i, latest-now)
		case now < latest:
			late++
		default:
			latest = now
		}
	}
	if late == 0 {
		t.Error("no event is late")
	}
}

// TestEventRunsEqualTheOracle, and fail when they do not.
func TestEventRunsEqualTheOracle(t *testing.T) {
	s := testSuite(t)
	d, err := s.dataset(synth.Faces, u8x512, 3000)
	if err != nil {
		t.Fatal(err)
	}
	for _, shuffled := range []bool{false, true} {
		set := newEventSet(d.n, shuffled)
		for _, workers := range []int{1, 2} {
			if err := s.eventRuns(d, set, workers); err != nil {
				t.Error(err)
			}
		}
		e, err := s.loaded(d, set.contents(), best(), 1)
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		f := *set.filters()[0]
		right := f.has
		f.has = func(i int) bool { return right(i) && i != d.n/2+3 } // a row of the day, which is not the last one
		if !right(d.n/2 + 3) {
			f.has = func(i int) bool { return right(i) || i == 0 }
		}
		if _, err := s.eventRun(e, &f); err == nil {
			t.Errorf("shuffled: %v: a wrong selection was not found", shuffled)
		}
	}
	if len(s.events) != 2*(8+2) {
		t.Errorf("%d figures", len(s.events))
	}
}

// TestCrossMatchIsChecked: an answer in which a face does not find itself, or
// that is not whole, is an error.
func TestCrossMatchIsChecked(t *testing.T) {
	const good = `{"reference":{"type":"face","id":"a"},"matches":[{"result":[{"face":{"face_id":"a"},"distance":0}]}]}`
	for _, c := range []struct{ answer, want string }{
		{good, ""},
		{strings.Replace(good, `"face_id":"a"`, `"face_id":"b"`, 1), "finds b, not itself"},
		{strings.Replace(good, `"distance":0`, `"distance":0.5`, 1), "not itself"},
		{strings.Replace(good, `,"distance":0`, ``, 1), "not itself"},
		{good + "," + good, "has 2 answers"},
		{`{"reference":{"type":"face","id":"a"},"matches":[{"result":[]}]}`, "has not one row"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, "[%s]", c.answer) // the client says
		}))
		err := crossMatch(server.URL, "list", 1).once(t.Context())
		server.Close()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, not %q", c.answer, err, c.want)
		}
	}
}
