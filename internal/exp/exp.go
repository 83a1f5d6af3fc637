// Package exp computes e^x with the same result on every CPU.
package exp

import (
	"math"
	"math/bits"
)

// Nearest returns e^x, rounded to the nearest float64.
//
// math.Exp differs in its last digit between CPUs with and without fused
// multiply-add. This function computes with integers, so its result is the
// same on every CPU. The method is that of P. Tang, "Table-driven
// implementation of the exponential function in IEEE floating-point
// arithmetic" (1989): x = k*ln2 + i/128 + s, and e^x = 2^k * e^(i/128) * e^s.
// The relative error before rounding is below 2^-120. That is small enough:
// e^x is at least 2^-114 away from the midpoint of two neighbouring float64s
// (V. Lefèvre and J.-M. Muller, "Worst cases for correct rounding of the
// elementary functions in double precision", 2001). The exceptions are x = 0,
// where the result is exact, and the smallest |x|, where e^x is close to 1+x,
// which is also far enough from a midpoint. Correct rounding also makes the
// function monotonic.
func Nearest(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x > 710: // e^709.783 is above the largest float64
		return math.Inf(1)
	case x < -746: // e^-745.14 is below half of the smallest float64
		return 0
	case math.Abs(x) <= 0x1p-54:
		return 1
	}
	k, r := reduce(x)
	if k > -1000 && k < 1000 {
		if y, ok := roundQuick(k, quick(r)); ok {
			return y
		}
	}
	i := r.hi >> 57
	s := fixed{r.hi << 7 >> 7, r.lo}
	return round(k, expSteps[i].mul(taylor(s, expTerms)))
}

// quickError is above the error of quick, in its unit.
const quickError = 4

// quick returns e^r in units of 2^-60. The result is too low by less than quickError units.
// quick computes as Nearest does, but with 64 bits, and rounds everything down. The sum of
// the series is too low by less than 2 units of 2^-62: 1 for its last product, and less
// than 1 for the other errors, which are multiplied by s. The factor of the table, which is
// below 2, makes that less than 1 unit of 2^-60. The error of the factor and the last
// product add less than 1 unit each.
func quick(r fixed) uint64 {
	s := r.hi<<7 | r.lo>>57 // in units of 2^-71
	sum := factorials[quickTerms-1].hi
	for n := quickTerms - 2; n >= 0; n-- {
		product, _ := bits.Mul64(sum, s)
		sum = factorials[n].hi + product>>7
	}
	product, _ := bits.Mul64(expSteps[r.hi>>57].hi, sum)
	return product
}

// roundQuick rounds 2^k * f as round does. ok is false if not all numbers from f to
// f+quickError have the same result y. f is a result of quick, and -1000 < k < 1000, so
// that y is a normal number.
func roundQuick(k int, f uint64) (y float64, ok bool) {
	lead := bits.Len64(f)
	drop := lead - 53
	half := uint64(1) << (drop - 1)
	m := (f + half) >> drop
	return math.Float64frombits(uint64(k+lead-61+1022)<<52 + m), m == (f+quickError+half)>>drop
}

// fixed is an integer of 128 bits, a fraction whose unit is stated where it is
// used.
type fixed struct{ hi, lo uint64 }

// mul returns a*b/2^128, rounded down.
func (a fixed) mul(b fixed) fixed {
	hi, lo := bits.Mul64(a.hi, b.hi)
	h1, l1 := bits.Mul64(a.hi, b.lo)
	h2, l2 := bits.Mul64(a.lo, b.hi)
	h3, _ := bits.Mul64(a.lo, b.lo)
	sum, c1 := bits.Add64(l1, l2, 0)
	_, c2 := bits.Add64(sum, h3, 0)
	lo, c1 = bits.Add64(lo, h1, c1)
	lo, c2 = bits.Add64(lo, h2, c2)
	return fixed{hi + c1 + c2, lo}
}

func (a fixed) add(b fixed) fixed {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	return fixed{a.hi + b.hi + carry, lo}
}

// ln2 is ln(2)*2^192, rounded down, the most significant word first.
var ln2 = [3]uint64{0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af, 0x40f343267298b62d}

// reduce returns k and r = x - k*ln2 in units of 2^-128, 0 <= r < 0.6932.
// 2^-54 < |x| <= 746.
func reduce(x float64) (k int, r fixed) {
	k = int(math.Floor(float64(x*math.Log2E) - 0x1p-20)) // the subtraction keeps k from being too large, which would make r negative

	// The fraction of x, which has at most 106 bits. The whole part of x is not
	// needed, because the whole part of r is 0.
	fields := math.Float64bits(math.Abs(x))
	mantissa := fields&(1<<52-1) | 1<<52
	shift := int(fields>>52) - 1023 - 52 + 128 // 22 to 85
	hi, lo := mantissa<<max(shift-64, 0)>>max(64-shift, 0), mantissa<<shift
	if x < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}

	// The fraction of |k|*ln2. Bits below 2^-128 are dropped.
	n := uint64(max(k, -k))
	carry2, _ := bits.Mul64(n, ln2[2])
	carry1, nlo := bits.Mul64(n, ln2[1])
	nlo, carry := bits.Add64(nlo, carry2, 0)
	nhi := n*ln2[0] + carry1 + carry
	if k < 0 {
		return k, fixed{hi, lo}.add(fixed{nhi, nlo})
	}
	lo, borrow := bits.Sub64(lo, nlo, 0)
	hi, _ = bits.Sub64(hi, nhi, borrow)
	return k, fixed{hi, lo}
}

const (
	expTerms   = 14 // s < 2^-7, so the omitted terms are below 2^-130
	quickTerms = 8
	tableTerms = 34 // i/128 < 0.7, so the omitted terms are below 2^-140
)

// factorials are 1/n! in units of 2^-126.
var factorials = func() (all [tableTerms]fixed) {
	all[0] = fixed{1 << 62, 0}
	for n := 1; n < tableTerms; n++ {
		hi, rest := bits.Div64(0, all[n-1].hi, uint64(n))
		lo, _ := bits.Div64(rest, all[n-1].lo, uint64(n))
		all[n] = fixed{hi, lo}
	}
	return all
}()

// taylor returns e^s in units of 2^-126, as the sum of the given number of
// terms of its series. s is in units of 2^-128.
func taylor(s fixed, terms int) fixed {
	sum := factorials[terms-1]
	for n := terms - 2; n >= 0; n-- {
		sum = factorials[n].add(sum.mul(s))
	}
	return sum
}

// expSteps are e^(i/128) in units of 2^-126.
var expSteps = func() (all [89]fixed) {
	for i := range all {
		all[i] = taylor(fixed{uint64(i) << 57, 0}, tableTerms)
	}
	return all
}()

// round returns the float64 nearest to 2^k * f. f is in units of 2^-124, and
// 1 <= f < 2.1. 2^k * f is never the midpoint of two float64s.
func round(k int, f fixed) float64 {
	lead := bits.Len64(f.hi) // f is between 2^(lead-61) and twice that
	k += lead - 61
	if k > 1023 {
		return math.Inf(1)
	}
	keep := 53
	if k < -1022 { // subnormal
		if keep += k + 1022; keep < 0 {
			return 0
		}
	}
	drop := lead - keep
	m := f.hi>>drop + f.hi>>(drop-1)&1
	// The leading bit of a normal number is part of m. Adding it increases the
	// exponent by one, so the exponent field begins one too low. A carry out of
	// m increases the exponent, too.
	return math.Float64frombits(uint64(max(k+1022, 0))<<52 + m)
}
