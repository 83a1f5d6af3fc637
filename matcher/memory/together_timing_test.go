package memory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// BenchmarkTogether reports the time of a reference of five parts as a ratio to the time of
// the same parts as five references. The rows are random, so many of them are as near to one
// part as the best rows are to all parts.
func BenchmarkTogether(b *testing.B) {
	k, err := simd.Select("auto")
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range []matcher.Version{
		{Number: 1, Length: benchLength, Scale: 128, Similarity: matcher.Calibration{Midpoint: 300, Steepness: 0.1}},
		{Number: 1, Length: benchLength, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 60, Steepness: 0.5}},
		{Number: 1, Length: benchLength, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: matcher.Calibration{Midpoint: 0.3, Steepness: 9}},
	} {
		registry, err := matcher.NewRegistry([]matcher.Version{v})
		if err != nil {
			b.Fatal(err)
		}
		m, err := New(Options{Registry: registry, Kernel: k})
		if err != nil {
			b.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for at := 0; at < benchRows; at += 1000 {
			var changes []store.Change
			for i := at; i < at+1000; i++ {
				changes = append(changes, memorytest.Put(matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, 1, randomPicture(rng, &v)))
			}
			m.Apply(changes)
		}
		c := &matcher.Candidates{Limit: 10, Targets: []string{"face_id", "similarity"}}
		ref := &matcher.Reference{Type: matcher.RefTogether, Descriptor: matcher.Descriptor{Version: 1}}
		var apart []matcher.SubRequest
		for range 5 {
			apart = append(apart, memorytest.Reference(registry.Version(1), randomPicture(rng, &v), c))
			ref.Parts = append(ref.Parts, *apart[len(apart)-1].Reference)
		}
		for _, fuse := range []matcher.Fuse{matcher.FuseBest, matcher.FuseMean} {
			ref.Fuse = fuse
			together := []matcher.SubRequest{{Reference: ref, Candidates: c, Version: registry.Version(1)}}
			b.Run(fmt.Sprintf("%v/%v/%v", v.Encoding, v.Metric, fuse), func(b *testing.B) {
				timed := func(subs []matcher.SubRequest) float64 {
					start := time.Now()
					if r := m.Match(b.Context(), subs); r[0].Err != nil {
						b.Fatal(r[0].Err)
					}
					return time.Since(start).Seconds()
				}
				var ratios []float64
				for b.Loop() {
					before := timed(apart)
					ratio := 2 * timed(together)
					ratios = append(ratios, ratio/(before+timed(apart)))
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "x-apart")
			})
		}
		m.Close()
	}
}

// randomPicture returns a descriptor with random values, uniform as bytes and normal as
// floats.
func randomPicture(rng *rand.Rand, v *matcher.Version) []byte {
	if v.Encoding == matcher.Float32 {
		values := make([]float32, v.Length)
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		return memorytest.PackFloats(values)
	}
	data := make([]byte, v.Length)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}
