package synth

import (
	"math"

	"nearside/matcher"
)

// These constants are fitted to the cosines between the 88 pictures of
// bench/data/faces.fvecs. Pictures of one face have p1 0.71 and p50 0.88; pictures of
// different faces have p50 0.05-0.10 and p99 0.39-0.64 (two models). TestFacesAreLikeFaces
// checks the result.
const (
	picturesMax = 10 // largest number of pictures of a person; the smallest is 1

	// meanShare is the fraction of a centre's squared length that all persons have in
	// common. Real faces of different persons are on average not orthogonal.
	meanShare = 0.11

	// spectrum is the ratio x of the variances of neighbouring axes. Real descriptors use
	// few directions. With (1+x)/(1-x) = 45 effective directions, cosines between centres
	// have a spread of 0.13; isotropic centres would have 0.04.
	spectrum = 0.9565

	// A picture is its centre plus isotropic noise. The squared length of the noise,
	// relative to that of the centre, is log-normal, so some pictures are poor.
	noiseMedian = 0.11
	noiseSigma  = 0.7

	// byteSpread is the standard deviation of a byte. It is that of the real set, which
	// has round(128 + 400*x) for unit vectors of 256 dimensions.
	byteSpread = 25
)

// shape returns the common mean and the standard deviations of the axes. The squared length
// of the mean is meanShare, and the squares of the deviations sum to 1-meanShare.
func shape(seed uint64, dim int) (mean, spread []float32) {
	mean, spread = make([]float32, dim), make([]float32, dim)
	r := newRandom(seed, tagMean)
	sumMean, sumSpread := 0.0, 0.0
	for i := range spread {
		mean[i] = r.normal()
		sumMean += float64(mean[i] * mean[i])
		sumSpread += math.Pow(spectrum, float64(i))
	}
	for i := range spread {
		mean[i] *= float32(math.Sqrt(meanShare / sumMean))
		spread[i] = float32(math.Sqrt((1 - meanShare) * math.Pow(spectrum, float64(i)) / sumSpread))
	}
	return mean, spread
}

// picture writes a picture of a person to dst. r is the random generator of the picture.
func (s *Set) picture(dst []byte, r *random, person uint64) {
	dim := s.version.Length
	x := make([]float32, dim)
	centre := newRandom(s.seed, tagCentre, person)
	for i := range x {
		x[i] = s.mean[i] + s.spread[i]*centre.normal()
	}
	length := norm(x)
	noise := length * math.Sqrt(noiseMedian*math.Exp(noiseSigma*r.exactNormal())/float64(dim))
	for i := range x {
		x[i] += float32(noise) * r.normal() // the noise is isotropic, so the rotation does not change its distribution
	}
	s.rotation.apply(x)
	length = norm(x)
	if s.version.Encoding == matcher.Float32 {
		for i, v := range x {
			putFloat(dst[4*i:], float32(float64(v)/length))
		}
		return
	}
	scale := byteSpread * math.Sqrt(float64(dim)) / length
	for i, v := range x {
		dst[i] = byte(min(255, max(0, math.Round(128+scale*float64(v)))))
	}
}

func norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// rotation is a fixed orthogonal matrix that spreads every axis over all dimensions. It
// applies random signs and then a Walsh-Hadamard transform of a power of two of dimensions:
// once to the first dimensions, then once to the last.
type rotation struct{ signs [2][]float32 }

func newRotation(seed uint64, dim int) rotation {
	r := newRandom(seed, tagRotation)
	var rot rotation
	for round := range rot.signs {
		rot.signs[round] = make([]float32, dim)
		for i := range rot.signs[round] {
			rot.signs[round][i] = float32(1 - 2*r.below(2))
		}
	}
	return rot
}

func (rot *rotation) apply(x []float32) {
	size := 1
	for size*2 <= len(x) {
		size *= 2
	}
	for round, signs := range rot.signs {
		for i, s := range signs {
			x[i] *= s
		}
		if round == 0 {
			hadamard(x[:size])
		} else {
			hadamard(x[len(x)-size:])
		}
	}
}

// hadamard applies the orthonormal Walsh-Hadamard transform. len(x) must be a power of two.
func hadamard(x []float32) {
	for half := 1; half < len(x); half *= 2 {
		for lo := 0; lo < len(x); lo += 2 * half {
			a, b := x[lo:lo+half], x[lo+half:lo+2*half]
			for i, u := range a {
				v := b[i]
				a[i], b[i] = u+v, u-v
			}
		}
	}
	scale := float32(1 / math.Sqrt(float64(len(x))))
	for i := range x {
		x[i] *= scale
	}
}
