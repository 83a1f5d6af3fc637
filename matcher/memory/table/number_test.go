package table

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNumbers checks that numbers keep the value and the order of their floats.
func TestNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	all := []float64{-math.MaxFloat64, -180, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1e-9, 1, 180, math.MaxFloat64}
	for range 1000 {
		all = append(all, rng.NormFloat64()*math.Pow(10, float64(rng.IntN(20)-10)))
	}
	slices.Sort(all)
	for i, f := range all {
		n := NumberOf(f)
		if n.Float() != f || n <= NoNumber || i > 0 && (NumberOf(all[i-1]) < n) != (all[i-1] < f) {
			t.Fatalf("%v is %d, which is %v", f, n, n.Float())
		}
	}
	if NumberOf(math.Copysign(0, -1)) != NumberOf(0) {
		t.Error("-0 is not 0")
	}
}
