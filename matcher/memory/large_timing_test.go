package memory

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/simd"
)

// BenchmarkSmallDuringLarge reports the latency of a match over 2,000 selected rows:
// alone, during matches of 1024 references with all 200,000 rows, and the ratio of the
// two medians.
func BenchmarkSmallDuringLarge(b *testing.B) {
	k, err := simd.Select("auto")
	if err != nil {
		b.Fatal(err)
	}
	m, err := bench(k)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	rng := rand.NewChaCha8([32]byte{1})
	v := m.options.Registry.Version(59)
	sub := func(c *matcher.Candidates) matcher.SubRequest {
		data := make([]byte, benchLength)
		if _, err := rng.Read(data); err != nil {
			b.Fatal(err)
		}
		return memorytest.Reference(v, data, c)
	}
	targets := []string{"face_id", "similarity"}
	small := []matcher.SubRequest{sub(&matcher.Candidates{Limit: 5, Filter: matcher.Where(matcher.AnyOf("gender", uint8(1))), Targets: targets})}
	all := &matcher.Candidates{Limit: 5, Targets: targets}
	var cross []matcher.SubRequest
	for range 1024 {
		cross = append(cross, sub(all))
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			m.Match(ctx, cross)
		}
	}()
	during := m.median(b, small)
	cancel()
	<-ended
	alone := m.median(b, small)
	b.ReportMetric(float64(alone.Microseconds()), "µs-alone")
	b.ReportMetric(float64(during.Microseconds()), "µs-during")
	b.ReportMetric(float64(during)/float64(alone), "ratio")
	b.ReportMetric(0, "ns/op")
}

// median returns the median latency of b.N matches.
func (m *Memory) median(b *testing.B, subs []matcher.SubRequest) time.Duration {
	b.Helper()
	var took []time.Duration
	for range b.N {
		start := time.Now()
		if r := m.Match(b.Context(), subs); r[0].Err != nil {
			b.Fatal(r[0].Err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
