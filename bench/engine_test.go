package main

import (
	"math"
	"slices"
	"testing"

	"nearside/bench/synth"
	"nearside/matcher"
	"nearside/simd"
)

// TestFiltersSelectWhatTheySay counts rows, and checks which lie side by side.
func TestFiltersSelectWhatTheySay(t *testing.T) {
	const n = 200_000
	for _, f := range append(filtersOf(n), everything) {
		want := n * f.percent / 100
		if got := float64(f.count(n)); math.Abs(got-want) > 6*math.Sqrt(want) || f.contiguous && got != want {
			t.Errorf("%s %v %%: %v rows, not about %v", f.name, f.percent, got, want)
		}
		runs, before := 0, false
		for i := range n {
			if has := f.has(i); has != before {
				if before = has; has {
					runs++
				}
			}
		}
		if (runs == 1) != f.contiguous {
			t.Errorf("%s %v %%: %d runs of rows", f.name, f.percent, runs)
		}
	}
	for _, tiny := range []int{1, 2, 3} { // every list has a row
		for k := range lists {
			if f := filtersOf(tiny)[k]; f.count(tiny) != 1 {
				t.Errorf("%d rows: %s %v %% has %d", tiny, f.name, f.percent, f.count(tiny))
			}
		}
	}
}

// TestEngineEqualsTheOracle goes through every filter, kernel and encoding.
func TestEngineEqualsTheOracle(t *testing.T) {
	s := testSuite(t)
	for _, version := range []uint32{u8x512, cosinex128, l2x512} {
		for _, kind := range []synth.Kind{synth.Faces, synth.Uniform} {
			d, err := s.dataset(kind, version, 1200)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range usable() {
				testEngine(t, s, d, k)
			}
		}
	}
}

func testEngine(t *testing.T, s *suite, d *dataset, k *simd.Kernel) {
	e, err := s.engine(d, k, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	for _, f := range append(slices.Clone(d.filters), everything) {
		for _, w := range []workload{{1, depth, f}, {3, 200, f}} {
			if _, err := e.timed(w); err != nil {
				t.Errorf("%s: %v", d.name(), err)
			}
		}
	}
}

// TestCheckFindsFaults changes right answers.
func TestCheckFindsFaults(t *testing.T) {
	s := testSuite(t)
	d, err := s.dataset(synth.Faces, u8x512, 500)
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.engine(d, usable()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	w := workload{3, depth, d.find("gender", 50)}
	check := func(what string, wrong bool, change func(r []matcher.Result)) {
		t.Helper()
		results := e.Match(t.Context(), e.subs(w))
		change(results)
		if err := d.check(w, results); (err != nil) != wrong {
			t.Errorf("%s: error %v", what, err)
		}
	}
	check("right", false, func([]matcher.Result) {})
	check("a row less", true, func(r []matcher.Result) { r[2].Matches = r[2].Matches[1:] })
	check("another row", true, func(r []matcher.Result) { r[0].Matches[4].ID[0] ^= 1 })
	check("another distance", true, func(r []matcher.Result) { r[0].Matches[9].Distance += 1e-9 })
	check("another order", true, func(r []matcher.Result) { slices.Reverse(r[2].Matches) })
	check("an error", true, func(r []matcher.Result) { r[1].Err = matcher.Errorf(matcher.CodeInternal, "no") })
}

func TestDatasetsAreMadeOnce(t *testing.T) {
	s := testSuite(t)
	a := must(s.dataset(synth.Uniform, u8x512, 10))
	if b := must(s.dataset(synth.Uniform, u8x512, 10)); a != b {
		t.Error("the same set was made twice")
	}
	if b := must(s.dataset(synth.Uniform, u8x512, 11)); a == b || len(s.datasets) != 2 {
		t.Error("another set is the same")
	}
	if err := s.release(a); err != nil || len(s.datasets) != 1 {
		t.Errorf("released: %v, %d left", err, len(s.datasets))
	}
}
