package matcher

import (
	"encoding/binary"
	"math"

	"nearside/internal/exp"
)

// Distance returns the distance between two descriptors of v (docs/api.md,
// Distance). Kernels only select rows; the value of this function ranks them
// and is returned. Both descriptors must have v.Size() bytes and be valid for v.
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

// FromSum converts a sum of squared byte differences to a distance.
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
	// The contract requires this form, not sqrt(aa)*sqrt(bb). It cannot overflow
	// or underflow, because sums of squared float32 values are far inside the range of
	// float64.
	return max(0, 2-float64(2*dot)/math.Sqrt(float64(aa*bb)))
}

// SimilarityOf maps a distance to a similarity of 0..1 (docs/api.md,
// Similarity): 1 at distance 0, approaching 0 for large distances. It never
// rises with the distance, because every operation is rounded to the nearest
// float64.
func (v *Version) SimilarityOf(distance float64) float64 {
	return v.SimilarityFunc()(distance)
}

// SimilarityFunc returns SimilarityOf for many distances. It computes the part that does not
// depend on the distance once.
func (v *Version) SimilarityFunc() func(distance float64) float64 {
	k, m := v.Similarity.Steepness, v.Similarity.Midpoint
	atZero := 1 + exp.Nearest(-float64(k*m)) // the divisor at distance 0, where the similarity is 1
	return func(distance float64) float64 { return atZero / (1 + exp.Nearest(float64(k*(distance-m)))) }
}

// DistanceMax returns an upper bound of the distances between descriptors of v.
func (v *Version) DistanceMax() float64 {
	switch {
	case v.Encoding == Uint8:
		return v.FromSum(uint32(v.Length) * 255 * 255)
	case v.Metric == Cosine:
		return 4 + 1e-9 // 1e-9 is for the rounding of up to LengthMax terms
	default:
		return math.MaxFloat64
	}
}

// DistanceLimit returns the largest distance, up to DistanceMax, whose similarity is at
// least threshold. threshold is 0..1.
func (v *Version) DistanceLimit(threshold float64) float64 {
	if v.SimilarityOf(v.DistanceMax()) >= threshold {
		return v.DistanceMax()
	}
	// Floats from 0 up sort like their bits, so this is a binary search over bits.
	// Distance 0 passes every threshold.
	passes, fails := uint64(0), math.Float64bits(v.DistanceMax())
	for fails-passes > 1 {
		mid := passes + (fails-passes)/2
		if v.SimilarityOf(math.Float64frombits(mid)) >= threshold {
			passes = mid
		} else {
			fails = mid
		}
	}
	return math.Float64frombits(passes)
}
