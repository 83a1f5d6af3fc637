package matcher_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"nearside/internal/precise"
	"nearside/matcher"
)

// TestSimilarity compares with values that another program computed to 60 digits.
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
	check(1e300, 1e300, 5, 1) // the products overflow
	check(1e300, 1e300, math.MaxFloat64, 0)
}

// TestSimilarityBits: the similarity equals the formula in docs/api.md,
// Similarity, bit by bit, with every operation rounded to the nearest float64.
func TestSimilarityBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 5_000 {
		v := calibrated(t, rng, matcher.Version{Encoding: matcher.Float32, Length: 1})
		m, k := v.Similarity.Midpoint, v.Similarity.Steepness
		for _, d := range []float64{spread(rng, -9, 9), math.Abs(m + rng.NormFloat64()/k)} {
			if got, want := v.SimilarityOf(d), precise.Similarity(m, k, d); got != want {
				t.Fatalf("%+v: similarity of %v is %v, want %v", v.Similarity, d, got, want)
			}
		}
	}
}

// TestSimilarityNeverRises: the next larger distance never has a larger
// similarity.
func TestSimilarityNeverRises(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for range 200_000 {
		v := calibrated(t, rng, matcher.Version{Encoding: matcher.Float32, Length: 1})
		d := math.Abs(v.Similarity.Midpoint + spread(rng, -6, 2)*rng.NormFloat64()/v.Similarity.Steepness)
		if a, b := v.SimilarityOf(d), v.SimilarityOf(math.Nextafter(d, math.MaxFloat64)); a < b {
			t.Fatalf("%+v: similarity of %v is %v, of the next distance %v", v.Similarity, d, a, b)
		}
	}
}

// TestSimilarityRange: the similarity is 1 at distance 0 and stays within 0..1
// for every calibration and distance.
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

// calibrated returns a copy of v with a random calibration.
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

// TestDistanceLimit: the limit passes the threshold, and the next distance does not.
func TestDistanceLimit(t *testing.T) {
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
		case 0: // the similarity of a row: the row passes
			d := min(spread(rng, -9, 9), v.DistanceMax())
			if threshold = v.SimilarityOf(d); v.DistanceLimit(threshold) < d {
				t.Fatalf("%+v: the limit of %v, the similarity of %v, is %v", v.Similarity, threshold, d, v.DistanceLimit(threshold))
			}
		case 1:
			threshold = 1
		case 2:
			threshold = 1 - spread(rng, -17, -1)
		case 3:
			threshold = spread(rng, -320, -1)
		}
		checkDistanceLimit(t, v, threshold)
	}
}

func checkDistanceLimit(t *testing.T, v *matcher.Version, threshold float64) {
	t.Helper()
	limit := v.DistanceLimit(threshold)
	if s := v.SimilarityOf(limit); s < threshold {
		t.Fatalf("%+v: the limit of %v is %v, and does not pass with similarity %v", v.Similarity, threshold, limit, s)
	}
	if limit == v.DistanceMax() {
		return
	}
	if next := math.Nextafter(limit, math.MaxFloat64); v.SimilarityOf(next) >= threshold {
		t.Fatalf("%+v: the limit of %v is %v, but %v also passes, with similarity %v", v.Similarity, threshold, limit, next, v.SimilarityOf(next))
	}
}

// TestDistanceLimitOfThresholdZero: every distance passes threshold 0.
func TestDistanceLimitOfThresholdZero(t *testing.T) {
	for _, v := range []matcher.Version{{Length: 512, Scale: 128}, {Length: 9, Encoding: matcher.Float32, Metric: matcher.Cosine}, {Length: 9, Encoding: matcher.Float32}} {
		if v := version(t, v); v.DistanceLimit(0) < v.DistanceMax() {
			t.Errorf("%v: the limit of 0 is %v, want at least %v", v.Encoding, v.DistanceLimit(0), v.DistanceMax())
		}
	}
}
