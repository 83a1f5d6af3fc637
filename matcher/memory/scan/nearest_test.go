package scan

import (
	"fmt"
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
	"signed": func(r *rand.Rand, i, _ int) float64 { // 0 is the border of two levels
		if i < 2 {
			return float64(2000*i - 1000)
		}
		return 2000*r.Float64() - 1000
	},
	"huge":     func(r *rand.Rand, _, _ int) float64 { return float64(r.IntN(3)-1) * math.MaxFloat64 },
	"tiny":     func(r *rand.Rand, _, _ int) float64 { return float64(r.IntN(5)-2) * math.SmallestNonzeroFloat64 },
	"zeros":    func(r *rand.Rand, _, _ int) float64 { return math.Copysign(0, float64(r.IntN(2))-0.5) },
	"skewed":   func(r *rand.Rand, _, _ int) float64 { return math.Exp(20 * r.NormFloat64()) },
	"sums":     func(r *rand.Rand, _, _ int) float64 { return float64(5_000_000 + r.IntN(4000)) },
	"sawtooth": func(_ *rand.Rand, i, n int) float64 { return float64(n - i + i%7*n) },
}

// newTestSearch returns a search over n rows whose IDs are in no order.
func newTestSearch(n, limit int) *Search {
	chunk := &table.Chunk{IDs: make([]matcher.ID, n)}
	for i := range chunk.IDs {
		chunk.IDs[i] = matcher.ID{byte(i * 167), byte(i >> 8), byte(i)}
	}
	snap := &table.Snapshot{}
	snap.Views[matcher.Faces] = []table.View{{Chunk: chunk, Rows: n}}
	p := &Search{snap: snap, origin: matcher.Faces, version: &matcher.Version{Encoding: matcher.Float32}, limit: limit, cut: math.Inf(1)}
	p.prepare()
	return p
}

// TestNearest checks that a search keeps the first hits of the order, whatever the order
// in which they arrive, and that its bound is never below the last of them. The larger set
// is large enough for hits to be dropped several times.
func TestNearest(t *testing.T) {
	for name, value := range streams {
		for n, limits := range map[int][]int{
			3000:   {1, 2, 3, 10, 100, largeMin - 1, largeMin, 1000, 2999, 3000, 3001},
			30_000: {largeMin, 1000, 9000},
		} {
			for _, limit := range limits {
				t.Run(fmt.Sprintf("%s/%d of %d", name, limit, n), func(t *testing.T) {
					r := rand.New(rand.NewPCG(1, uint64(limit)))
					all := make([]Hit, n)
					for i := range all {
						all[i] = Hit{value(r, i, n), uint32(i)}
					}
					testNearest(t, newTestSearch(n, limit), all)
				})
			}
		}
	}
}

func testNearest(t *testing.T, p *Search, all []Hit) {
	want := slices.SortedFunc(slices.Values(all), p.compare)
	want = want[:min(p.limit, len(want))]
	for part := range slices.Chunk(all, 7) {
		p.offer(part)
		if p.within() < want[len(want)-1].value {
			t.Fatalf("bound %v is below %v", p.within(), want[len(want)-1].value)
		}
	}
	rows := p.Ranked(math.Cbrt)
	if !slices.Equal(p.Hits(), want) {
		t.Fatal("wrong hits")
	}
	for i, h := range want {
		if rows[i] != (matcher.Match{ID: p.id(h), Distance: h.value, Similarity: math.Cbrt(h.value)}) {
			t.Fatalf("row %d is %+v, want that of hit %v", i, rows[i], h)
		}
	}
	p.Release()
}

// TestLargeBound checks that the bound of a large answer is close to its last hit, and that
// few rows are offered.
func TestLargeBound(t *testing.T) {
	const n = 60_000
	for _, name := range []string{"random", "sums"} {
		for _, limit := range []int{largeMin, 1000, 10_000} {
			r := rand.New(rand.NewPCG(3, uint64(limit)))
			p := newTestSearch(n, limit)
			var all []float64
			offered := 0
			for i := range n {
				x := streams[name](r, i, n)
				all = append(all, x)
				if x <= p.within() {
					p.offer([]Hit{{x, uint32(i)}})
					offered++
				}
			}
			within := 0
			for _, x := range all {
				if x <= p.within() {
					within++
				}
			}
			// Rows with the value of the last hit are within every bound.
			slices.Sort(all)
			least := 0
			for least < n && all[least] <= all[limit-1] {
				least++
			}
			if within > least+least/20 {
				t.Errorf("%s, limit %d: %d rows are within the bound, want about %d", name, limit, within, least)
			}
			// In random order, row i is among the first limit of its predecessors with probability limit/i.
			expected := float64(least) * (1 + math.Log(n/float64(limit)))
			if float64(offered) > 1.1*expected {
				t.Errorf("%s, limit %d: %d rows were offered, want about %.0f", name, limit, offered, expected)
			}
			p.Release()
		}
	}
}

// TestLargeMemory checks that a large answer has little more memory than its hits need.
func TestLargeMemory(t *testing.T) {
	for _, limit := range []int{largeMin, 1000, 9000, 16_000} {
		p := newTestSearch(4*limit, limit)
		p.large = &large{next: limit} // the pool may have one that a larger limit has used
		p.large.reset(limit)
		for row := range uint32(4 * limit) {
			p.offer([]Hit{{float64(row % 7), row}})
		}
		p.Ranked(math.Cbrt)
		if room, most := cap(p.large.hits), hitsMax(limit)*5/4; room > most {
			t.Errorf("limit %d: there is room for %d hits, want at most %d", limit, room, most)
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
				p.Ranked(math.Cbrt)
				p.Release()
			}
		})
	}
}
