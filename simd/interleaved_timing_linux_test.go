package simd

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These benchmarks run a kernel and the probe of its limit in turn, on one
// thread by its own clock, and report the median of the ratios: a shared
// machine slows down both.

// cpuTime returns what the current thread has used of a CPU.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// inTurn reports the speed of work in units of limit, both in what they do per
// second: done is that of one call, limit runs for about as long and returns the
// time that it takes to do as much.
func inTurn(b *testing.B, done float64, unit string, work func(), limit func(done float64) time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ratios, rates []float64
	for b.Loop() {
		before := limit(done)
		start := cpuTime()
		work()
		took := cpuTime() - start
		after := limit(done)
		ratios = append(ratios, (before+after).Seconds()/2/took.Seconds())
		rates = append(rates, done/took.Seconds()/1e9)
	}
	b.ReportMetric(median(ratios), "x-limit")
	b.ReportMetric(median(rates), unit)
	b.ReportMetric(0, "ns/op") // has the probes in it
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func streamTime(k *Kernel, set []byte) time.Duration {
	start := cpuTime()
	k.ProbeStream(set)
	return cpuTime() - start
}

// peakTime returns the time for a number of products at the peak.
func peakTime(probe func(rounds int) int, products float64) time.Duration {
	start := cpuTime()
	got := probe(1 << 19)
	return time.Duration(float64(cpuTime()-start) * products / float64(got))
}

// bestOf is a heap of the ten smallest values with the greatest on top.
type bestOf[C cmp.Ordered] struct {
	values []C
	rows   []int
}

func (h *bestOf[C]) limit(all C) C {
	if len(h.values) < 10 {
		return all
	}
	return h.values[0]
}

func (h *bestOf[C]) offer(v C, row int) {
	if len(h.values) == 10 {
		if v > h.values[0] {
			return
		}
		h.values[0], h.rows[0] = v, row
		for i := 0; 2*i+1 < len(h.values); {
			c := 2*i + 1
			if c+1 < len(h.values) && h.values[c+1] > h.values[c] {
				c++
			}
			if h.values[c] <= h.values[i] {
				break
			}
			h.values[i], h.values[c] = h.values[c], h.values[i]
			h.rows[i], h.rows[c] = h.rows[c], h.rows[i]
			i = c
		}
		return
	}
	h.values, h.rows = append(h.values, v), append(h.rows, row)
	if len(h.values) == 10 {
		for i := 1; i < 10; i++ { // descending order is a heap
			for j := i; j > 0 && h.values[j] > h.values[j-1]; j-- {
				h.values[j], h.values[j-1] = h.values[j-1], h.values[j]
				h.rows[j], h.rows[j-1] = h.rows[j-1], h.rows[j]
			}
		}
	}
}

func timedSet(dims int) (blocks []byte, consts []int32) {
	all := bytesOf(stored())
	size := BlockBytesU8(dims)
	count := len(all) / size &^ 3
	consts = make([]int32, count*BlockRows)
	row := make([]uint8, dims)
	for i := range consts {
		GetRowU8(row, all[i/BlockRows*size:][:size], i%BlockRows)
		consts[i] = RowConstU8(row)
	}
	return all[:count*size], consts
}

func BenchmarkScanU8(b *testing.B) {
	for _, k := range Kernels()[1:] {
		for _, dims := range []int{128, 512, 2048} {
			blocks, consts := timedSet(dims)
			size := BlockBytesU8(dims)
			var q QueriesU8
			k.PackU8(&q, randomRows(seeded(21), 1, dims))
			chunk := 1 << 20 / size
			values, masks := make([]int32, chunk*BlockRows), make([]uint16, chunk)
			b.Run(fmt.Sprintf("%s/%d", k.Name(), dims), func(b *testing.B) {
				inTurn(b, float64(len(blocks)), "GB/s", func() {
					top := bestOf[int32]{}
					for at := 0; at < len(blocks)/size; at += chunk {
						n := min(chunk, len(blocks)/size-at)
						k.ScanU8(&q, 0, blocks[at*size:][:n*size], consts[at*BlockRows:][:n*BlockRows],
							top.limit(math.MaxInt32), values[:n*BlockRows], masks[:n])
						for i, mask := range masks[:n] {
							for ; mask != 0; mask &= mask - 1 {
								row := i*BlockRows + bits.TrailingZeros16(mask)
								top.offer(values[row], at*BlockRows+row)
							}
						}
					}
				}, func(float64) time.Duration { return streamTime(k, blocks) })
			})
		}
	}
}

func BenchmarkTileU8(b *testing.B) {
	for _, k := range Kernels()[1:] {
		for _, dims := range []int{128, 512, 2048} {
			blocks, consts := timedSet(dims)
			size := BlockBytesU8(dims)
			for _, count := range []int{1, 2, 4, 5, 6, 16, 64} {
				var q QueriesU8
				k.PackU8(&q, randomRows(seeded(22), count, dims))
				part := len(blocks) / (4 * size) / max(1, count/8) * 4 // blocks
				b.Run(fmt.Sprintf("%s/%d/%d", k.Name(), dims, count), func(b *testing.B) {
					done := float64(count) * float64(part*size)
					run := func(g int, tile *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
						k.TileU8(&q, g, tile, limits, hits, next)
					}
					inTurn(b, done, "GMAC/s",
						func() { runTiles(&q.queries, blocks[:part*size], consts[:part*BlockRows], size, math.MaxInt32, run) },
						func(done float64) time.Duration {
							return max(peakTime(k.ProbeU8, done), streamTime(k, blocks[:part*size]))
						})
				})
			}
		}
	}
}

// runTiles takes all queries over blocks, tile by tile, and keeps the best ten
// of each.
func runTiles[W uint32 | float32, C int32 | float32](q *queries[W], blocks []byte, consts []C, size int, all C,
	run func(g int, tile *Tile[C], limits *[GroupMax]C, hits *Hits[C], next *Tile[C]),
) {
	tops := make([]bestOf[C], q.Count())
	limits := make([][GroupMax]C, q.Groups())
	for g := range limits {
		for i := range limits[g] {
			limits[g][i] = all
		}
	}
	hits, tile, next := new(Hits[C]), new(Tile[C]), new(Tile[C])
	terms := len(consts) / (len(blocks) / size)
	fill := func(t *Tile[C], at int) {
		t.Reset()
		for b := at; b < min(at+TileBlocks, len(blocks)/size); b++ {
			t.Add(blocks[b*size:][:size], consts[b*terms:][:terms])
		}
	}
	fill(tile, 0)
	for at := 0; at < len(blocks)/size; at += TileBlocks {
		fill(next, at+TileBlocks)
		for g := range limits {
			ahead := next
			if g >= 2 {
				ahead = nil
			}
			run(g, tile, &limits[g], hits, ahead)
			first, count := q.Group(g)
			for i, mask := range hits.Masks[:count] {
				if mask == 0 {
					continue
				}
				top := &tops[first+i]
				for ; mask != 0; mask &= mask - 1 {
					row := bits.TrailingZeros64(mask)
					top.offer(hits.Values[i][row], at*BlockRows+row)
				}
				limits[g][i] = top.limit(all)
			}
		}
		tile, next = next, tile
	}
}

func BenchmarkTileF32(b *testing.B) {
	blocks := bytesOf(stored())
	for _, k := range Kernels()[1:] {
		for _, dims := range []int{128, 512, 2048} {
			size := BlockBytesF32(dims)
			consts := make([]float32, len(blocks)/size*TermsF32)
			for i := range consts {
				consts[i] = float32(dims) / 3 // of uniform numbers, about
				if i/BlockRows%2 == 1 {
					consts[i] = -2
				}
			}
			for _, count := range []int{1, 6, 16, 64} {
				var q QueriesF32
				k.PackF32(&q, rowsOf(seeded(23), count, dims, values["positive"]))
				part := len(blocks) / (4 * size) / max(1, count/4) * 4 // blocks
				b.Run(fmt.Sprintf("%s/%d/%d", k.Name(), dims, count), func(b *testing.B) {
					done := float64(count) * float64(part*size) / 4
					run := func(g int, tile *TileF32, limits *[GroupMax]float32, hits *HitsF32, next *TileF32) {
						k.TileF32(&q, g, tile, limits, hits, next)
					}
					inTurn(b, done, "GMAC/s",
						func() {
							runTiles(&q.queries, blocks[:part*size], consts[:part*TermsF32], size, float32(math.Inf(1)), run)
						},
						func(done float64) time.Duration {
							return max(peakTime(k.ProbeF32, done), streamTime(k, blocks[:part*size]))
						})
				})
			}
		}
	}
}
