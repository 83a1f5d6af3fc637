package simd

// UnderflowBound is the absolute part of the error of a float32 result, for
// every length up to DimMax. Up to DimMax products may each lose 2^-150 to
// gradual underflow, and vek returns 0 for squared distances below 2^-126.
const UnderflowBound = 0x1p-125

// unit is the largest relative error of one float32 rounding.
const unit = 0x1p-24

// sqrtRoundings is what vek's L2 adds, in roundings: it takes the square root,
// by an estimate of relative error 1.5*2^-12 and one step of Newton's, and the
// kernel squares that. The step leaves 1.5*(1.5*2^-12)^2 < 3.4 units and rounds
// for 2.5 units; squaring doubles both and rounds once: 12.8 units.
const sqrtRoundings = 13

// ErrorBound returns the relative part of the error of a float32 result over n
// dimensions, relative to the sum of the terms' absolute values (for the squared
// distance that sum is the distance itself).
//
// It is gamma(m) = m*u/(1-m*u) with u = 2^-24 of Higham, Accuracy and Stability
// of Numerical Algorithms, 2nd edition, lemma 3.1 and section 4.2: a sum of n
// terms in any order puts each term through at most n-1 roundings; a term of a
// squared distance has three of its own, two from the difference that is
// squared and one from the product.
func ErrorBound(n int) float64 {
	m := float64(n+2+sqrtRoundings) * unit
	return m / (1 - m)
}
