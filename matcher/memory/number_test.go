package memory

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	all := []float64{-math.MaxFloat64, -180, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1e-9, 1, 180, math.MaxFloat64}
	for range 1000 {
		all = append(all, rng.NormFloat64()*math.Pow(10, float64(rng.IntN(20)-10)))
	}
	slices.Sort(all)
	for i, f := range all {
		n := numberOf(f)
		if n.float() != f || n <= noNumber || i > 0 && (numberOf(all[i-1]) < n) != (all[i-1] < f) {
			t.Fatalf("%v is %d, which is %v", f, n, n.float())
		}
	}
	if numberOf(math.Copysign(0, -1)) != numberOf(0) {
		t.Error("-0 is not 0")
	}
}

// TestNear compares with the difference itself, at the ends of the range too.
func TestNear(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 2000 {
		x, d := float64(rng.IntN(360)-180)+rng.Float64()*float64(rng.IntN(2)), float64(rng.IntN(5))*rng.Float64()*math.Pow(10, float64(rng.IntN(20)-15))
		lo, hi := near(x, d)
		for _, n := range []number{lo - 1, lo, lo + 1, numberOf(x), hi - 1, hi, hi + 1, numberOf(x + d), numberOf(x - d), 0, numberOf(rng.Float64()*360 - 180)} {
			if in, want := lo <= n && n <= hi, math.Abs(n.float()-x) <= d; in != want {
				t.Fatalf("|%v - %v| <= %v is %v, and in %v..%v: %v", n.float(), x, d, want, lo.float(), hi.float(), in)
			}
		}
	}
}
