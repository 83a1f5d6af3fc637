package filter

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/matcher/memory/table"
)

// TestNear compares near with the difference itself, including values at the ends of the
// range.
func TestNear(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 2000 {
		x, d := float64(rng.IntN(360)-180)+rng.Float64()*float64(rng.IntN(2)), float64(rng.IntN(5))*rng.Float64()*math.Pow(10, float64(rng.IntN(20)-15))
		lo, hi := near(x, d)
		for _, n := range []table.Number{lo - 1, lo, lo + 1, table.NumberOf(x), hi - 1, hi, hi + 1, table.NumberOf(x + d), table.NumberOf(x - d), 0, table.NumberOf(rng.Float64()*360 - 180)} {
			if in, want := lo <= n && n <= hi, math.Abs(n.Float()-x) <= d; in != want {
				t.Fatalf("|%v - %v| <= %v is %v, and in %v..%v: %v", n.Float(), x, d, want, lo.Float(), hi.Float(), in)
			}
		}
	}
}

// TestAround compares around with the distance on the circle.
func TestAround(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	longitudes := []table.Number{table.NumberOf(-180), table.NumberOf(180), 0}
	for range 300 {
		longitudes = append(longitudes, table.NumberOf(rng.Float64()*360-180), table.NumberOf(float64(rng.IntN(361)-180)))
	}
	for range 500 {
		x, d := float64(rng.IntN(361)-180), float64(rng.IntN(361))
		if rng.IntN(2) == 0 {
			x, d = rng.Float64()*360-180, rng.Float64()*math.Pow(10, float64(rng.IntN(4)-1))
		}
		spans, some := around(x, min(d, 360)), slices.Clone(longitudes)
		for _, s := range spans {
			some = append(some, s.lo-1, s.lo, s.lo+1, s.hi-1, s.hi, s.hi+1)
		}
		for _, n := range some {
			if n.Float() < -180 || n.Float() > 180 {
				continue
			}
			apart := math.Abs(n.Float() - x)
			in := slices.ContainsFunc(spans, func(s span[table.Number]) bool { return s.lo <= n && n <= s.hi })
			if want := min(apart, 360-apart) <= min(d, 360); in != want {
				t.Fatalf("%v and %v are at most %v apart: %v, want %v (%v)", x, n.Float(), d, in, want, spans)
			}
		}
	}
}
