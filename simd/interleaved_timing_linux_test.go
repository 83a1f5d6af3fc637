package simd

import (
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These benchmarks alternate between a kernel and the probe that gives the upper
// limit of its speed. Both run on one thread and are timed by the CPU time of that
// thread. The result is the median of the ratios, because a shared machine slows
// down both.

// timedKernels returns the kernels that this process can run, without generic.
func timedKernels() []*Kernel {
	return slices.DeleteFunc(Kernels()[1:], func(k *Kernel) bool { return !k.Usable() })
}

// cpuTime returns the CPU time that the current thread has used.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// reportSpeed reports the speed of work, absolute and as a ratio to the speed of
// limit. amount is what one call of work does, in bytes or products. limit runs a
// probe for about as long as work and returns the time that it needs for amount.
func reportSpeed(b *testing.B, amount float64, unit string, work func(), limit func(amount float64) time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ratios, rates []float64
	for b.Loop() {
		before := limit(amount)
		start := cpuTime()
		work()
		took := cpuTime() - start
		after := limit(amount)
		ratios = append(ratios, (before+after).Seconds()/2/took.Seconds())
		rates = append(rates, amount/took.Seconds()/1e9)
	}
	b.ReportMetric(median(ratios), "x-limit")
	b.ReportMetric(median(rates), unit)
	b.ReportMetric(0, "ns/op") // hidden, because it includes the probes
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

// peakTime returns the time that a number of products takes at the speed of probe.
func peakTime(probe func(rounds int) int, products float64) time.Duration {
	start := cpuTime()
	got := probe(1 << 19)
	return time.Duration(float64(cpuTime()-start) * products / float64(got))
}

// bestOf is a heap of the ten smallest values, with the largest of them on top.
type bestOf struct {
	values []int32
	rows   []int
}

func (h *bestOf) limit() int32 {
	if len(h.values) < 10 {
		return math.MaxInt32
	}
	return h.values[0]
}

func (h *bestOf) offer(v int32, row int) {
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
		for i := 1; i < 10; i++ { // a sort in descending order makes a heap
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
	for _, k := range timedKernels() {
		for _, dims := range []int{128, 512, 2048} {
			blocks, consts := timedSet(dims)
			size := BlockBytesU8(dims)
			var q QueriesU8
			k.PackU8(&q, randomRows(seeded(21), 1, dims))
			chunk := 1 << 20 / size
			values, masks := make([]int32, chunk*BlockRows), make([]uint16, chunk)
			b.Run(fmt.Sprintf("%s/%d", k.Name(), dims), func(b *testing.B) {
				reportSpeed(b, float64(len(blocks)), "GB/s", func() {
					top := bestOf{}
					for at := 0; at < len(blocks)/size; at += chunk {
						n := min(chunk, len(blocks)/size-at)
						k.ScanU8(&q, 0, blocks[at*size:][:n*size], consts[at*BlockRows:][:n*BlockRows],
							top.limit(), values[:n*BlockRows], masks[:n])
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

// BenchmarkListU8 compares one query with scattered blocks. The lists are those of strips
// of 2 MiB, and each call has up to 32 blocks, as in package scan. The limit is the time
// of the stream probe for as many bytes in memory order.
func BenchmarkListU8(b *testing.B) {
	for _, k := range timedKernels() {
		for _, dims := range []int{128, 512, 2048} {
			blocks, consts := timedSet(dims)
			size := BlockBytesU8(dims)
			var q QueriesU8
			k.PackU8(&q, randomRows(seeded(23), 1, dims))
			for _, percent := range []int{2, 15, 50} {
				lists, total := scatteredLists(len(blocks)/size, 2<<20/size, percent)
				b.Run(fmt.Sprintf("%s/%d/%d%%", k.Name(), dims, percent), func(b *testing.B) {
					reportSpeed(b, float64(total*size), "GB/s", func() { runLists(k, &q, blocks, consts, lists) },
						func(amount float64) time.Duration { return streamTime(k, blocks[:int(amount)]) })
				})
			}
		}
	}
}

// scatteredLists returns a list for each strip of perStrip blocks, and the number of blocks
// in all lists. Each list has about percent of the blocks of its strip.
func scatteredLists(blocks, perStrip, percent int) (lists [][]uint32, total int) {
	r := seeded(24)
	for lo := 0; lo < blocks; lo += perStrip {
		var list []uint32
		for b := lo; b < min(lo+perStrip, blocks); b++ {
			if r.IntN(100) < percent {
				list = append(list, uint32(b))
			}
		}
		lists, total = append(lists, list), total+len(list)
	}
	return lists, total
}

// runLists compares a query with the blocks of lists, and keeps the ten best rows.
func runLists(k *Kernel, q *QueriesU8, blocks []byte, consts []int32, lists [][]uint32) {
	const turn = 32 // blocks of a call
	var values [turn * BlockRows]int32
	var masks [turn]uint16
	top := bestOf{}
	for _, list := range lists {
		for len(list) > 0 {
			n := min(turn, len(list))
			ahead := list[:min(n+TileBlocks, len(list))]
			k.ListU8(q, 0, blocks, consts, ahead, top.limit(), values[:n*BlockRows], masks[:n])
			for i, mask := range masks[:n] {
				for ; mask != 0; mask &= mask - 1 {
					row := bits.TrailingZeros16(mask)
					top.offer(values[i*BlockRows+row], int(list[i])*BlockRows+row)
				}
			}
			list = list[n:]
		}
	}
}

func BenchmarkTileU8(b *testing.B) {
	for _, k := range timedKernels() {
		for _, dims := range []int{128, 512, 2048} {
			blocks, consts := timedSet(dims)
			size := BlockBytesU8(dims)
			for _, count := range []int{1, 2, 4, 5, 6, 7, 8, 12, 16, 32, 64, 256} {
				var q QueriesU8
				k.PackU8(&q, randomRows(seeded(22), count, dims))
				part := len(blocks) / (4 * size) / max(1, count/8) * 4 // number of blocks
				b.Run(fmt.Sprintf("%s/%d/%d", k.Name(), dims, count), func(b *testing.B) {
					products := float64(count) * float64(part*size)
					run := func(g int, tile *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
						k.TileU8(&q, g, tile, limits, hits, next)
					}
					reportSpeed(b, products, "GMAC/s",
						func() { runTiles(&q, blocks[:part*size], consts[:part*BlockRows], size, run) },
						func(amount float64) time.Duration {
							return max(peakTime(k.ProbeU8, amount), streamTime(k, blocks[:part*size]))
						})
				})
			}
		}
	}
}

// runTiles compares all queries with blocks, tile by tile, and keeps the ten best
// rows of each query.
func runTiles(q *QueriesU8, blocks []byte, consts []int32, size int,
	run func(g int, tile *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8),
) {
	tops := make([]bestOf, q.count)
	limits := make([][GroupMax]int32, q.Groups())
	for g := range limits {
		_, count := q.Group(g)
		for i := range limits[g] {
			limits[g][i] = math.MaxInt32
			if i >= count {
				limits[g][i] = math.MinInt32 // a kernel is slower if a missing query has hits
			}
		}
	}
	hits, tile, next := new(HitsU8), new(TileU8), new(TileU8)
	fill := func(t *TileU8, at int) {
		t.Reset()
		for b := at; b < min(at+TileBlocks, len(blocks)/size); b++ {
			t.AddBlock(blocks[b*size:][:size], consts[b*BlockRows:][:BlockRows])
		}
	}
	fill(tile, 0)
	for at := 0; at < len(blocks)/size; at += TileBlocks {
		fill(next, at+TileBlocks)
		for g := range limits {
			run(g, tile, &limits[g], hits, next)
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
				limits[g][i] = top.limit()
			}
		}
		tile, next = next, tile
	}
}
