//go:build unix

package simd

import (
	"math"
	"testing"
	"unsafe"
)

// structAt returns a T at the beginning of b (side 0) or at its end (side 1).
func structAt[T any](b []byte, side int) *T {
	var zero T
	return (*T)(unsafe.Pointer(&ends[byte](b, int(unsafe.Sizeof(zero)))[side][0]))
}

// fences holds memory from fenced for each argument of a scan, a list and a tile.
// listed is for the values of a list.
type fences struct{ blocks, consts, packed, values, masks, limits, hits, list, listed []byte }

const blocksMax = TileBlocks

// TestInterleavedStaysInsideArguments checks that scans, lists and tiles
// neither read nor write bytes before or after their arguments.
func TestInterleavedStaysInsideArguments(t *testing.T) {
	f := fences{
		fenced(t, blocksMax*BlockBytesU8(lengthMax)), fenced(t, blocksMax*4*BlockRows), fenced(t, 2*4*GroupMax*(lengthMax+4*line)),
		fenced(t, 4*TileRows), fenced(t, 2*blocksMax), fenced(t, 4*GroupMax), fenced(t, int(unsafe.Sizeof(HitsU8{}))), fenced(t, 2*4*blocksMax),
		fenced(t, 4*blocksMax*BlockRows),
	}
	r := seeded(41)
	eachKernel(t, func(t *testing.T, k *Kernel) {
		var q QueriesU8
		for n := range lengths() {
			if n > 150 && n%32 > 1 && n%13 != 0 {
				continue
			}
			count, blocks := 1+r.IntN(k.groupU8), 1+r.IntN(blocksMax)
			k.PackU8(&q, randomRows(r, count, n))
			for side := range 2 { // 0: starts right after a fence, 1: ends right before a fence
				checkFencedU8(t, k, &f, q, count, blocks, side)
			}
		}
	})
}

// movePacked moves the packed queries to the beginning (side 0) or the end (side
// 1) of memory.
func movePacked(q *QueriesU8, memory []byte, side int) {
	packed := ends[uint32](memory, len(q.packed))[side]
	copy(packed, q.packed)
	q.packed = packed
}

// checkFencedU8 runs a scan, a list and a tile with all arguments next to fences,
// and compares their values.
func checkFencedU8(t *testing.T, k *Kernel, f *fences, q QueriesU8, count, blocks, side int) {
	t.Helper()
	size := q.lines * line
	data, consts := ends[byte](f.blocks, blocks*size)[side], ends[int32](f.consts, blocks*BlockRows)[side]
	out, masks := ends[int32](f.values, blocks*BlockRows)[side], ends[uint16](f.masks, blocks)[side]
	data[len(data)/2]++
	// A scan needs only the single queries. Without the groups they end at the fence.
	singles := q
	singles.packed = singles.packed[:count*q.lines*q.words]
	movePacked(&singles, f.packed, side)
	for _, form := range scanForms(k) {
		form.ScanU8(&singles, count-1, data, consts, 0, out, masks)
	}
	checkFencedList(t, k, f, singles, count-1, data, consts, out, side)
	movePacked(&q, f.packed, side)
	var tile TileU8
	for b := range blocks {
		tile.AddBlock(data[b*size:][:size], consts[b*BlockRows:][:BlockRows])
	}
	hits := structAt[HitsU8](f.hits, side)
	limits := structAt[[GroupMax]int32](f.limits, side)
	for i := range limits {
		limits[i] = math.MaxInt32 // every row is a hit, so that all values are written
	}
	k.TileU8(&q, 0, &tile, limits, hits, &tile)
	for row, want := range out {
		if got := hits.Values[count-1][row]; got != want {
			t.Fatalf("%d queries, %d blocks of %d bytes, row %d: tile %d, scan %d", count, blocks, size, row, got, want)
		}
	}
}

// checkFencedList compares ListU8 with the values of a scan of the same blocks.
func checkFencedList(t *testing.T, k *Kernel, f *fences, q QueriesU8, query int, data []byte, consts, values []int32, side int) {
	t.Helper()
	blocks := len(consts) / BlockRows
	// The list goes on for none to three further blocks, which may be prefetched.
	list := ends[uint32](f.list, blocksMax+blocks-1)[side]
	for i := range list {
		list[i] = uint32(i % blocks)
	}
	out, masks := ends[int32](f.listed, blocksMax*BlockRows)[side], ends[uint16](f.masks, blocksMax)[side]
	k.ListU8(&q, query, data, consts, list, 0, out, masks)
	for i, got := range out {
		if want := values[i%len(values)]; got != want {
			t.Fatalf("%d blocks of %d bytes, row %d: list %d, scan %d", blocks, len(data)/blocks, i, got, want)
		}
	}
}

func TestProbeStreamStaysInside(t *testing.T) {
	data := fenced(t, 1<<16)
	eachKernel(t, func(_ *testing.T, k *Kernel) {
		for n := range len(data) / 64 {
			k.ProbeStream(data[:64*n])
			k.ProbeStream(data[len(data)-64*n:])
		}
	})
}
