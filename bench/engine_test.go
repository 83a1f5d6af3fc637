package main

import (
	"math"
	"slices"
	"testing"

	"nearside/bench/synth"
	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/simd"
)

// TestFilterPercentages checks the number of rows that each filter selects, and whether
// they are consecutive.
func TestFilterPercentages(t *testing.T) {
	const n = 200_000
	for _, f := range append(filtersOf(n), everything) {
		want := n * f.percent / 100
		if got := float64(f.count(n)); math.Abs(got-want) > 6*math.Sqrt(want) || f.contiguous && got != want {
			t.Errorf("%s %v %%: %v rows, want about %v", f.name, f.percent, got, want)
		}
		runs, before := 0, false
		for i := range n {
			if has := f.matches(i); has != before {
				if before = has; has {
					runs++
				}
			}
		}
		if (runs == 1) != f.contiguous {
			t.Errorf("%s %v %%: %d ranges of rows, contiguous is %v", f.name, f.percent, runs, f.contiguous)
		}
	}
	for _, tiny := range []int{1, 2, 3} { // every list has a row
		for k := range listPercents {
			if f := filtersOf(tiny)[k]; f.count(tiny) != 1 {
				t.Errorf("%d rows: %s %v %% has %d, want 1", tiny, f.name, f.percent, f.count(tiny))
			}
		}
	}
}

// TestEngineEqualsOracle covers every filter, kernel and encoding.
func TestEngineEqualsOracle(t *testing.T) {
	s := testSuite(t)
	for _, version := range []uint32{u8x512, cosinex128, l2x512} {
		for _, kind := range []synth.Kind{synth.Faces, synth.Uniform} {
			d, err := s.dataset(kind, version, 1200)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range usableKernels() {
				testEngine(t, s, d, k)
			}
		}
	}
}

func testEngine(t *testing.T, s *suite, d *dataset, k *simd.Kernel) {
	e, err := s.faceEngine(d, k, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	for _, f := range append(slices.Clone(d.filters), everything) {
		for _, w := range []workload{{1, depth, f}, {3, 200, f}} {
			if _, err := e.timedRun(w); err != nil {
				t.Errorf("%s: %v", d.name(), err)
			}
		}
	}
}

// TestCheckResultsFindsFaults changes correct answers and checks that the change is
// detected.
func TestCheckResultsFindsFaults(t *testing.T) {
	s := testSuite(t)
	d, err := s.dataset(synth.Faces, u8x512, 500)
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.faceEngine(d, usableKernels()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	w := workload{3, depth, d.findFilter("gender", 50)}
	check := func(name string, wrong bool, change func(r []matcher.Result)) {
		t.Helper()
		results := e.Match(t.Context(), e.subRequests(w))
		change(results)
		if err := d.checkResults(w, results); (err != nil) != wrong {
			t.Errorf("%s: error %v", name, err)
		}
	}
	check("correct", false, func([]matcher.Result) {})
	check("a missing row", true, func(r []matcher.Result) { r[2].Matches = r[2].Matches[1:] })
	check("a wrong row", true, func(r []matcher.Result) { r[0].Matches[4].ID[0] ^= 1 })
	check("a wrong distance", true, func(r []matcher.Result) { r[0].Matches[9].Distance += 1e-9 })
	check("a wrong order", true, func(r []matcher.Result) { slices.Reverse(r[2].Matches) })
	check("an error", true, func(r []matcher.Result) { r[1].Err = matcher.Errorf(matcher.CodeInternal, "no") })
}

func TestDatasetsAreCreatedOnce(t *testing.T) {
	s := testSuite(t)
	a := testkit.Must(s.dataset(synth.Uniform, u8x512, 10))
	if b := testkit.Must(s.dataset(synth.Uniform, u8x512, 10)); a != b {
		t.Error("the same set was created twice")
	}
	if b := testkit.Must(s.dataset(synth.Uniform, u8x512, 11)); a == b || len(s.datasets) != 2 {
		t.Error("a set of a different size is the same set")
	}
	if err := s.releaseDatasets(a); err != nil || len(s.datasets) != 1 {
		t.Errorf("after release: %v, %d datasets, want 1", err, len(s.datasets))
	}
}
