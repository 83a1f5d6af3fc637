package simd

// UnderflowBound is the absolute part of the error bound of a float32 result,
// for every length up to DimMax. Each of up to DimMax products may lose 2^-150
// to gradual underflow, and vek returns 0 for squared distances below 2^-126.
const UnderflowBound = 0x1p-125

// unit is the unit roundoff: the largest relative error of one float32 rounding.
const unit = 0x1p-24

// sqrtRoundings is the additional error of vek's L2 distance, in units. vek
// computes a square root from an estimate of relative error 1.5*2^-12 and one
// Newton step, and our kernel squares the result. The step leaves an error of
// 1.5*(1.5*2^-12)^2 < 3.4 units and its roundings add 2.5 units. Squaring
// doubles both and rounds once more: 12.8 units.
const sqrtRoundings = 13

// ErrorBound returns the relative part of the error bound of a float32 result
// over n dimensions. It is relative to the sum of the terms' absolute values,
// which for the squared distance is the distance itself.
//
// The bound is gamma(m) = m*u/(1-m*u) with u = 2^-24, from Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd edition, lemma 3.1 and section 4.2. A
// sum of n terms in any order rounds each term at most n-1 times. Computing a
// term of a squared distance costs three more roundings: two for the difference,
// which is squared, and one for the product.
func ErrorBound(n int) float64 {
	m := float64(n+2+sqrtRoundings) * unit
	return m / (1 - m)
}
