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

// TestEventFilterFractions compares the fraction of rows that each filter selects with
// the value that follows from the definition of the events.
func TestEventFilterFractions(t *testing.T) {
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
				oneDay: day, oneDayCityAge: day * city * ages, cityAge: city * ages, "meta number range": float64(visitorsTo-visitorsFrom) / visitors,
				"two emotions": 2.0 / emotions, "geo box": 1 / harmonic * (boxHalf / spread) * (boxHalf / spread),
			}[f.name]
			if !ok {
				want = 0.1 // approximate, for tags and cameras
			}
			if math.Abs(got-want) > 6*math.Sqrt(want/n) && (ok || got < 0.05 || got > 0.3) {
				t.Errorf("shuffled: %v: %s selects a fraction of %v, want about %v", shuffled, f.name, got, want)
			}
		}
	}
}

// TestEventOrder checks that some events are late, but by at most two minutes.
func TestEventOrder(t *testing.T) {
	s, late := newEventSet(100_000, false), 0
	latest := s.timeOf(0)
	for i := range s.n {
		switch now := s.timeOf(i); {
		case now < latest-delayMax:
			t.Fatalf("event %d is %d ms late, want at most %d", i, latest-now, delayMax)
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

// TestEventRunsEqualOracle checks that event runs succeed, and that they fail if the
// results differ from the oracle.
func TestEventRunsEqualOracle(t *testing.T) {
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
		e, err := s.loadEngine(d, set.contents(), bestKernel(), 1)
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		f := *set.filters()[0]
		right := f.matches
		f.matches = func(i int) bool { return right(i) && i != d.n/2+3 } // excludes one row of the day
		if !right(d.n/2 + 3) {
			f.matches = func(i int) bool { return right(i) || i == 0 }
		}
		if _, err := s.eventRun(e, &f); err == nil {
			t.Errorf("shuffled: %v: a wrong selection was not detected", shuffled)
		}
	}
	if len(s.events) != 2*(8+2) {
		t.Errorf("%d figures, want %d", len(s.events), 2*(8+2))
	}
}

// TestCrossMatchIsChecked checks that an incomplete answer, or an answer in which a face
// does not find itself, is an error.
func TestCrossMatchIsChecked(t *testing.T) {
	const good = `{"reference":{"type":"face","id":"a"},"matches":[{"result":[{"face":{"face_id":"a"},"distance":0}]}]}`
	for _, c := range []struct{ answer, want string }{
		{good, ""},
		{strings.Replace(good, `"face_id":"a"`, `"face_id":"b"`, 1), "must find itself, got b"},
		{strings.Replace(good, `"distance":0`, `"distance":0.5`, 1), "must find itself"},
		{strings.Replace(good, `,"distance":0`, ``, 1), "must find itself"},
		{good + "," + good, "must have 1 answers, got 2"},
		{`{"reference":{"type":"face","id":"a"},"matches":[{"result":[]}]}`, "must have one row"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, "[%s]", c.answer) // the client would report an error
		}))
		err := crossMatch(server.URL, "list", 1).runOnce(t.Context())
		server.Close()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.answer, err, c.want)
		}
	}
}
