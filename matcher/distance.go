package matcher

import (
	"encoding/binary"
	"math"
)

// Distance returns the distance of two descriptors of v (API.md 2). It is the
// one function that defines it: kernels select rows, this ranks them.
// Both must be of v.Size() bytes and valid for v.
func (v *Version) Distance(a, b []byte) float64 {
	if v.Encoding == Uint8 {
		sum := 0
		for i, x := range a {
			d := int(x) - int(b[i])
			sum += d * d
		}
		return v.FromSum(uint32(sum))
	}
	if v.Metric == Cosine {
		return cosine(a, b)
	}
	return squaredL2(a, b)
}

// FromSum returns the distance that a sum of squared byte differences stands
// for.
func (v *Version) FromSum(sum uint32) float64 {
	return float64(sum) / float64(v.Scale*v.Scale)
}

func float(b []byte, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
}

// squaredL2 sums in the order of dimensions. The conversions around products
// forbid fused multiply-adds, which round differently between machines.
func squaredL2(a, b []byte) float64 {
	sum := 0.0
	for i := range len(a) / 4 {
		d := float(a, i) - float(b, i)
		sum += float64(d * d)
	}
	return sum
}

func cosine(a, b []byte) float64 {
	var dot, aa, bb float64
	for i := range len(a) / 4 {
		x, y := float(a, i), float(b, i)
		dot += float64(x * y)
		aa += float64(x * x)
		bb += float64(y * y)
	}
	// Not sqrt(aa)*sqrt(bb): the contract fixes this form. Neither underflows
	// nor overflows: a float32 squared and summed is far inside float64.
	return max(0, 2-float64(2*dot)/math.Sqrt(float64(aa*bb)))
}

// SimilarityOf maps a distance to a similarity of 0..1 (API.md 2): 1 at
// distance 0, falling, towards 0.
func (v *Version) SimilarityOf(distance float64) float64 {
	k, m := v.Similarity.Steepness, v.Similarity.Midpoint
	return (1 + math.Exp(-float64(k*m))) / (1 + math.Exp(float64(k*(distance-m))))
}

// DistanceMax is an upper bound of distances between descriptors of v.
func (v *Version) DistanceMax() float64 {
	switch {
	case v.Encoding == Uint8:
		return v.FromSum(uint32(v.Length) * 255 * 255)
	case v.Metric == Cosine:
		return 4
	default:
		return math.MaxFloat64
	}
}

// Cut returns a distance beyond which no row has a similarity of threshold or
// more. It is a little too large, never too small: rows within it are still to
// be tested with SimilarityOf.
func (v *Version) Cut(threshold float64) float64 {
	lo, hi := uint64(0), math.Float64bits(v.DistanceMax()) // bits of floats above 0 are in their order
	if v.SimilarityOf(v.DistanceMax()) >= threshold {
		return v.DistanceMax()
	}
	for lo < hi { // the least distance that falls below the threshold
		mid := lo + (hi-lo)/2
		if v.SimilarityOf(math.Float64frombits(mid)) < threshold {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	// math.Exp is monotone only up to its last digits: leave them room. One of
	// them is a distance of 2^-52/steepness.
	return min(math.Float64frombits(lo)*(1+1e-9)+1e-15/v.Similarity.Steepness, v.DistanceMax())
}
