package exp

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"nearside/internal/precise"
)

// expArguments calls f with arguments of every size and from every branch.
func expArguments(rng *rand.Rand, n int, f func(x float64)) {
	for _, x := range []float64{
		0, math.Copysign(0, -1), 1, -1, math.Ln2, -math.Ln2, math.Ln2 / 2, math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.Inf(-1),
		math.SmallestNonzeroFloat64, 0x1p-54, -0x1p-54, 0x1p-53, -0x1p-53, 0x3p-54, -0x3p-54, 0x1p-1022,
		709.782712893384, 709.7827128933841, 710, -708.3964185322641, -708.3964185322642, -745.1332191019411, -745.1332191019412, -745.13321910194122, -746,
		// The hardest to round: e^x is as near as 2^-59 of the last digit to the
		// middle of two float64s, or to a float64.
		0x1.9e9cbbfd6080bp-31, -0x1.22e24fa3d5cf9p-1, 0x1.accfbe46b4efp-1, 0x1.83d4bcdebb3f4p+2, 0x1.c44ce0d716a1ap+4, 0x1.d6336a88077aap+0,
	} {
		for _, x := range []float64{x, math.Nextafter(x, math.Inf(1)), math.Nextafter(x, math.Inf(-1))} {
			f(x)
		}
	}
	for i := range n {
		switch i % 6 {
		case 0: // every argument with a result
			f(-750 + 1465*rng.Float64())
		case 1: // every exponent
			f(math.Ldexp(1+rng.Float64(), rng.IntN(70)-60) * float64(1-2*rng.IntN(2)))
		case 2: // subnormal results
			f(-708 - 38*rng.Float64())
		case 3: // near a step of the table, and where the power of two changes
			x := float64(rng.IntN(180_000)-95_000)/128 + float64(rng.IntN(3)-1)*math.Ldexp(rng.Float64(), -rng.IntN(60))
			f(x)
			f(float64(rng.IntN(2100)-1075)*math.Ln2 + math.Ldexp(rng.Float64()-0.5, -rng.IntN(60)))
		case 4: // e^x just off the middle of two float64s near 1
			x := float64(2*rng.Int64N(1<<20)+1) * 0x1p-53
			f(x - x*x/2)
			f(-x/2 - x*x/8)
		default: // arguments that similarities have
			f(40 * rng.NormFloat64())
		}
	}
}

// TestNearest: the result is the float64 nearest to e^x, which package precise computes
// with 192 bits.
func TestNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 11))
	failures := 0
	expArguments(rng, 20_000, func(x float64) {
		got, want := Nearest(x), precise.Exp(x)
		if math.Float64bits(got) != math.Float64bits(want) && failures < 20 {
			failures++
			t.Errorf("Nearest(%v) is %v, want %v (%x, %x)", x, got, want, math.Float64bits(got), math.Float64bits(want))
		}
	})
	if x := Nearest(math.NaN()); !math.IsNaN(x) {
		t.Errorf("Nearest(NaN) is %v", x)
	}
}

// TestErrorBeforeRounding: before it is rounded, the result has a relative error of at
// most 2^-120. That is 64 times less than the hardest argument allows.
func TestErrorBeforeRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 11))
	worst := new(big.Float)
	expArguments(rng, 5_000, func(x float64) {
		if math.IsNaN(x) || x > 710 || x < -746 || math.Abs(x) <= 0x1p-54 {
			return
		}
		k, r := reduce(x)
		if float64(r.hi) > 0.6932*0x1p64 {
			t.Fatalf("%v: reduced to %x, k %d", x, r.hi, k)
		}
		f := expSteps[r.hi>>57].mul(taylor(fixed{r.hi << 7 >> 7, r.lo}, expTerms))
		n := new(big.Int).SetUint64(f.hi)
		n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(f.lo))
		got := new(big.Float).SetPrec(precise.Bits).SetInt(n)
		got.SetMantExp(got, k-124)
		want := precise.BigExp(x)
		relative := got.Quo(got.Sub(got, want), want)
		if relative.Abs(relative).Cmp(worst) > 0 {
			worst.Set(relative)
		}
	})
	t.Logf("largest relative error %.3g, 2^-120 is %.3g", worst, 0x1p-120)
	if worst.Cmp(big.NewFloat(0x1p-120)) > 0 {
		t.Errorf("the largest relative error is %.3g, above 2^-120", worst)
	}
}

// TestQuick: the quick result has at most the error that it claims, and it is used for
// nearly all arguments. TestNearest checks what it is rounded to.
func TestQuick(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 11))
	expArguments(rng, 60_000, func(x float64) {
		if math.IsNaN(x) || x > 710 || x < -746 || math.Abs(x) <= 0x1p-54 {
			return
		}
		_, r := reduce(x)
		f, exact := quick(r), expSteps[r.hi>>57].mul(taylor(fixed{r.hi << 7 >> 7, r.lo}, expTerms))
		if f > exact.hi || exact.hi+1 > f+quickError {
			t.Fatalf("%v: quick result %d, exact %d", x, f, exact.hi)
		}
	})
	const n = 10_000
	used := 0
	for range n {
		k, r := reduce(40 * rng.NormFloat64())
		if _, ok := roundQuick(k, quick(r)); ok {
			used++
		}
	}
	if used < n*9/10 {
		t.Errorf("the quick result is used for %d of %d arguments, want 9 of 10", used, n)
	}
}

// TestMonotonic: the result never falls from one argument to the next. Correct rounding
// implies this. The test covers every branch and the steps of the table.
func TestMonotonic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 11))
	expArguments(rng, 60_000, func(x float64) {
		below, y, above := Nearest(math.Nextafter(x, math.Inf(-1))), Nearest(x), Nearest(math.Nextafter(x, math.Inf(1)))
		if below > y || y > above {
			t.Fatalf("exp around %v: %v, %v, %v", x, below, y, above)
		}
	})
}

func BenchmarkNearest(b *testing.B) {
	sum := 0.0
	for i := 0; b.Loop(); i++ {
		sum += Nearest(float64(i&1023)/64 - 8)
	}
	_ = sum
}
