// Package precise computes functions of package matcher with about 200 bits. It
// shares no code with package matcher and is an oracle for tests only.
package precise

import (
	"math"
	"math/big"
	"sync"
)

// Bits is the precision of results, in bits of the mantissa.
const Bits = 192

var cachedExp sync.Map // float64 -> float64, results of Exp, because tests repeat the same arguments

// Exp returns e^x, rounded to the nearest float64.
func Exp(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x > 1000:
		return math.Inf(1)
	case x < -1000:
		return 0
	}
	if y, ok := cachedExp.Load(x); ok {
		return y.(float64)
	}
	y, _ := BigExp(x).Float64()
	cachedExp.Store(x, y)
	return y
}

var ln2, _, _ = big.ParseFloat("0.693147180559945309417232121458176568075500134360255254120680009493393621969694715605863326996418687", 10, Bits+16, big.ToNearestEven)

// BigExp returns e^x, accurate to about 20 bits less than Bits. |x| must be at most
// 1000. It reduces x by a multiple of ln 2, halves the rest ten times, sums the
// Taylor series, and squares the sum ten times.
func BigExp(x float64) *big.Float {
	const halvings = 10
	k := math.Round(x / math.Ln2)
	small := newFloat().Mul(newFloat().SetFloat64(k), ln2)
	small.Sub(newFloat().SetFloat64(x), small)
	small.SetMantExp(small, -halvings)
	sum, term := newFloat().SetInt64(1), newFloat().SetInt64(1)
	for n := int64(1); term.Sign() != 0 && term.MantExp(nil) > -Bits-8; n++ {
		term.Mul(term, small)
		term.Quo(term, newFloat().SetInt64(n))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(k))
}

// Similarity returns the similarity by the formula in docs/api.md, Similarity. Every
// operation is rounded to float64.
func Similarity(midpoint, steepness, distance float64) float64 {
	return (1 + Exp(-float64(steepness*midpoint))) / (1 + Exp(float64(steepness*(distance-midpoint))))
}

// Passes reports whether Similarity is at least threshold. It computes with high
// precision only if the similarity is close to the threshold.
func Passes(midpoint, steepness, distance, threshold float64) bool {
	rough := (1 + math.Exp(-steepness*midpoint)) / (1 + math.Exp(steepness*(distance-midpoint)))
	if math.Abs(rough-threshold) > 1e-9 {
		return rough > threshold
	}
	return Similarity(midpoint, steepness, distance) >= threshold
}

func newFloat() *big.Float { return new(big.Float).SetPrec(Bits + 16) }
