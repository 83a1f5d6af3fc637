package matcher_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
)

// TestSimilarity compares with values computed to 60 digits elsewhere.
func TestSimilarity(t *testing.T) {
	check := func(steepness, midpoint, distance, want float64) {
		t.Helper()
		v := version(t, matcher.Version{Length: 1, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: midpoint, Steepness: steepness}})
		got := v.SimilarityOf(distance)
		if math.Abs(got-want) > 1e-14*want {
			t.Errorf("steepness %v, midpoint %v: similarity of %v is %v, want %v", steepness, midpoint, distance, got, want)
		}
	}
	check(8, 1, 0, 1)
	check(8, 1, 1, 0.5001677313139512)
	check(8, 1, 0.5, 0.982343218964551)
	check(8, 1, 2, 0.00033546262790251185)
	check(1, 12.6, 12.6, 0.5000016860076171)
	check(1, 12.6, 3, 0.9999356476372475)
	check(10, 0.9, 4, 3.442901943895388e-14)
	check(0.0001, 60000, 100000, 0.018030793319185067)
	check(3, 0, 1, 0.09485174635513356)
	check(5, 0, 0, 1)
	check(1000, 1, 2, 0)      // exp overflows
	check(1e300, 1e300, 5, 1) // so do the products
	check(1e300, 1e300, math.MaxFloat64, 0)
}

// TestSimilarityRange: it is 1 at 0 and stays within 0..1 for every
// calibration and distance.
func TestSimilarityRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200_000 {
		v := calibrated(t, rng, matcher.Version{Encoding: matcher.Float32, Length: 1})
		if s := v.SimilarityOf(0); s != 1 {
			t.Fatalf("%+v: similarity of 0 is %v", v.Similarity, s)
		}
		d := spread(rng, -300, 300)
		if s := v.SimilarityOf(d); !(s >= 0 && s <= 1) {
			t.Fatalf("%+v: similarity of %v is %v", v.Similarity, d, s)
		}
		near := math.Abs(v.Similarity.Midpoint - spread(rng, -6, 2)/v.Similarity.Steepness)
		if s := v.SimilarityOf(near); !(s >= 0 && s <= 1) {
			t.Fatalf("%+v: similarity of %v is %v", v.Similarity, near, s)
		}
	}
}

// spread returns a number between 10^lo and 10^hi.
func spread(rng *rand.Rand, lo, hi float64) float64 {
	return math.Pow(10, lo+(hi-lo)*rng.Float64())
}

// calibrated returns a copy of v with some calibration.
func calibrated(t *testing.T, rng *rand.Rand, v matcher.Version) *matcher.Version {
	t.Helper()
	v.Similarity = matcher.Calibration{Midpoint: spread(rng, -6, 6), Steepness: spread(rng, -6, 4)}
	switch rng.IntN(10) {
	case 0:
		v.Similarity.Midpoint = 0
	case 1: // almost flat: a step of similarity is a large step of distance
		v.Similarity = matcher.Calibration{Midpoint: spread(rng, 0, 12), Steepness: spread(rng, -15, -5)}
	case 2:
		v.Similarity = matcher.Calibration{Midpoint: spread(rng, -300, 300), Steepness: spread(rng, -300, 300)}
	}
	return version(t, v)
}

// TestCut: no row that passes the threshold lies beyond the cut, and the cut
// is tight.
func TestCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 30_000 {
		v := calibrated(t, rng, []matcher.Version{
			{Length: 512, Scale: 128},
			{Length: 1, Scale: 1},
			{Length: 256, Encoding: matcher.Float32, Metric: matcher.Cosine},
			{Length: 256, Encoding: matcher.Float32, Metric: matcher.L2},
		}[rng.IntN(4)])
		threshold := rng.Float64()
		switch rng.IntN(6) {
		case 0: // of a row: it passes
			d := min(spread(rng, -9, 9), v.DistanceMax())
			if threshold = v.SimilarityOf(d); v.Cut(threshold) < d {
				t.Fatalf("%+v: the cut of %v, the similarity of %v, is %v", v.Similarity, threshold, d, v.Cut(threshold))
			}
		case 1:
			threshold = 1
		case 2:
			threshold = 1 - spread(rng, -17, -1)
		case 3:
			threshold = spread(rng, -320, -1)
		}
		checkCut(t, rng, v, threshold)
	}
}

func checkCut(t *testing.T, rng *rand.Rand, v *matcher.Version, threshold float64) {
	t.Helper()
	cut := v.Cut(threshold)
	beyond := func(d float64) {
		if d > cut && d <= v.DistanceMax() && v.SimilarityOf(d) >= threshold {
			t.Fatalf("%+v: %v is beyond the cut of %v, %v, and has similarity %v", v.Similarity, d, threshold, cut, v.SimilarityOf(d))
		}
	}
	d := cut
	for range 50 {
		d = math.Nextafter(d, math.MaxFloat64)
		beyond(d)
	}
	for e := -52.0; e < 10; e++ {
		beyond(cut * (1 + math.Exp2(e)*rng.Float64()))
		beyond(cut + math.Exp2(e)*rng.Float64()/v.Similarity.Steepness)
	}
	if cut >= v.DistanceMax() {
		return
	}
	// An ulp of exp is a step of distance of 2^-52/steepness.
	tight := cut*(1-1e-6) - 1e-11 - 1e-13/v.Similarity.Steepness
	if tight > 0 && v.SimilarityOf(tight) < threshold {
		t.Fatalf("%+v: the cut of %v is %v, and %v is beyond already, with similarity %v", v.Similarity, threshold, cut, tight, v.SimilarityOf(tight))
	}
}

// TestCutOfNothing: threshold 0 cuts nothing off.
func TestCutOfNothing(t *testing.T) {
	for _, v := range []matcher.Version{{Length: 512, Scale: 128}, {Length: 9, Encoding: matcher.Float32, Metric: matcher.Cosine}, {Length: 9, Encoding: matcher.Float32}} {
		if v := version(t, v); v.Cut(0) < v.DistanceMax() {
			t.Errorf("%v: %v", v.Encoding, v.Cut(0))
		}
	}
}
