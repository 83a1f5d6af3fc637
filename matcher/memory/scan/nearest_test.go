package scan

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// streams are orders in which hits may arrive.
var streams = map[string]func(r *rand.Rand, i, n int) float64{
	"random":     func(r *rand.Rand, _, _ int) float64 { return r.Float64() },
	"few values": func(r *rand.Rand, _, _ int) float64 { return float64(r.IntN(3)) },
	"equal":      func(*rand.Rand, int, int) float64 { return 1 },
	"falling":    func(_ *rand.Rand, i, n int) float64 { return float64(n - i) },
	"rising":     func(_ *rand.Rand, i, _ int) float64 { return float64(i) },
	"organ pipe": func(_ *rand.Rand, i, n int) float64 { return math.Abs(float64(n/2 - i)) },
	"negative":   func(r *rand.Rand, _, _ int) float64 { return float64(r.IntN(2000)-1000) * 1e-17 },
	"huge":       func(r *rand.Rand, _, _ int) float64 { return float64(r.IntN(3)-1) * math.MaxFloat64 },
	"tiny":       func(r *rand.Rand, _, _ int) float64 { return float64(r.IntN(5)-2) * math.SmallestNonzeroFloat64 },
	"zeros":      func(r *rand.Rand, _, _ int) float64 { return math.Copysign(0, float64(r.IntN(2))-0.5) },
	"skewed":     func(r *rand.Rand, _, _ int) float64 { return math.Exp(20 * r.NormFloat64()) },
	"sums":       func(r *rand.Rand, _, _ int) float64 { return float64(5_000_000 + r.IntN(4000)) },
	"sawtooth":   func(_ *rand.Rand, i, n int) float64 { return float64(n - i + i%7*n) },
}

// newTestSearch returns a search over n rows whose IDs are in no order.
func newTestSearch(n, limit int) *Search {
	chunk := &table.Chunk{IDs: make([]matcher.ID, n)}
	for i := range chunk.IDs {
		chunk.IDs[i] = matcher.ID{byte(i * 167), byte(i >> 8), byte(i)}
	}
	snap := &table.Snapshot{}
	snap.Views[matcher.Faces] = []table.View{{Chunk: chunk, Rows: n}}
	p := &Search{snap: snap, origin: matcher.Faces, version: &matcher.Version{Encoding: matcher.Float32}, limit: limit, farthest: math.Inf(1), cut: math.Inf(1)}
	p.bound.Store(math.Float64bits(p.cut))
	return p
}

// TestNearest checks that a search keeps the first hits of the order, whatever the order
// in which they arrive, and that its bound is never below the last of them.
func TestNearest(t *testing.T) {
	const n = 3000
	for name, value := range streams {
		for _, limit := range []int{1, 2, 3, 10, 100, 1000, n - 1, n, n + 1} {
			r := rand.New(rand.NewPCG(1, uint64(limit)))
			p := newTestSearch(n, limit)
			all := make([]Hit, n)
			for i := range all {
				all[i] = Hit{value(r, i, n), uint32(i)}
			}
			want := slices.SortedFunc(slices.Values(all), p.compare)
			want = want[:min(limit, n)]
			for part := range slices.Chunk(all, 7) {
				p.offer(part)
				if p.within() < want[len(want)-1].value {
					t.Fatalf("%s, limit %d: bound %v is below %v", name, limit, p.within(), want[len(want)-1].value)
				}
			}
			if got := p.Ranked(); !slices.Equal(got, want) {
				t.Errorf("%s, limit %d: wrong hits", name, limit)
			}
		}
	}
}

// BenchmarkNearest offers a million rows with random values.
func BenchmarkNearest(b *testing.B) {
	const n = 1 << 20
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]Hit, n)
	for i := range all {
		all[i] = Hit{r.Float64(), uint32(i % 65536)}
	}
	for _, limit := range []int{10, 100, 1000, 100_000} {
		b.Run(strconv.Itoa(limit), func(b *testing.B) {
			for b.Loop() {
				p := newTestSearch(1<<16, limit)
				for part := range slices.Chunk(all, 64) {
					bound := p.within()
					found := part[:0:0]
					for _, h := range part {
						if h.value <= bound {
							found = append(found, h)
						}
					}
					p.offer(found)
				}
				p.Ranked()
			}
		})
	}
}
