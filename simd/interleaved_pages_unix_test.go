//go:build unix

package simd

import (
	"testing"
	"unsafe"
)

// at returns T at the end of memory, or at its beginning.
func at[T any](b []byte, side int) *T {
	var zero T
	return (*T)(unsafe.Pointer(&ends[byte](b, int(unsafe.Sizeof(zero)))[side][0]))
}

// fences are pages between others that nobody may touch, for all that a kernel
// reads or writes.
type fences struct{ blocks, consts, packed, values, masks, limits, hits, list, listed []byte }

const blocksMax = TileBlocks

func TestNothingOutsideOfBlocksIsTouched(t *testing.T) {
	f := fences{
		fenced(t, blocksMax*BlockBytesF32(lengthMax)), fenced(t, blocksMax*4*TermsF32), fenced(t, 2*4*2*GroupMax*lengthMax),
		fenced(t, 4*TileRows), fenced(t, 2*blocksMax), fenced(t, 4*GroupMax), fenced(t, int(unsafe.Sizeof(HitsU8{}))), fenced(t, 2*4*blocksMax),
		fenced(t, 4*blocksMax*BlockRows),
	}
	r := seeded(41)
	eachKernel(t, func(t *testing.T, k *Kernel) {
		var q8 QueriesU8
		var q32 QueriesF32
		for n := 1; n <= lengthMax; n++ {
			if n > 150 && n%32 > 1 && n%13 != 0 {
				continue
			}
			count, blocks := 1+r.IntN(GroupMax), 1+r.IntN(blocksMax)
			k.PackU8(&q8, randomRows(r, count, n))
			k.PackF32(&q32, rowsOf(r, count, n, values["uniform"]))
			for side := range 2 { // 0: just after a fence, 1: up to a fence
				fencedU8(t, k, &f, q8, count, blocks, side)
				fencedF32(k, &f, q32, count, blocks, side)
			}
		}
	})
}

// move copies packed queries to the end of memory.
func move[W uint32 | float32](q *queries[W], memory []byte, side int) {
	packed := ends[W](memory, len(q.packed))[side]
	copy(packed, q.packed)
	q.packed = packed
}

func fencedU8(t *testing.T, k *Kernel, f *fences, q QueriesU8, count, blocks, side int) {
	t.Helper()
	size := q.lines * line
	data, consts := ends[byte](f.blocks, blocks*size)[side], ends[int32](f.consts, blocks*BlockRows)[side]
	out, masks := ends[int32](f.values, blocks*BlockRows)[side], ends[uint16](f.masks, blocks)[side]
	data[len(data)/2]++
	// The single queries end where the groups begin: cut those off.
	alone := q
	alone.packed = alone.packed[:count*q.lines*q.words]
	move(&alone.queries, f.packed, side)
	k.ScanU8(&alone, count-1, data, consts, 0, out, masks)
	fencedList(t, k, f, alone, count-1, data, consts, out, side)
	move(&q.queries, f.packed, side)
	var tile TileU8
	for b := range blocks {
		tile.Add(data[b*size:][:size], consts[b*BlockRows:][:BlockRows])
	}
	hits := at[HitsU8](f.hits, side)
	k.TileU8(&q, 0, &tile, at[[GroupMax]int32](f.limits, side), hits, &tile)
	for row, want := range out {
		if got := hits.Values[count-1][row]; got != want {
			t.Fatalf("%d queries, %d blocks of %d bytes, row %d: tile %d, scan %d", count, blocks, size, row, got, want)
		}
	}
}

// fencedList compares with a scan: values are those of it.
func fencedList(t *testing.T, k *Kernel, f *fences, q QueriesU8, query int, data []byte, consts, values []int32, side int) {
	t.Helper()
	blocks := len(consts) / BlockRows
	list := ends[uint32](f.list, 2*blocksMax)[side]
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

func fencedF32(k *Kernel, f *fences, q QueriesF32, count, blocks, side int) {
	size := q.lines * line
	data, consts := ends[byte](f.blocks, blocks*size)[side], ends[float32](f.consts, blocks*TermsF32)[side]
	out, masks := ends[float32](f.values, blocks*BlockRows)[side], ends[uint16](f.masks, blocks)[side]
	alone := q
	alone.packed = alone.packed[:count*q.lines]
	move(&alone.queries, f.packed, side)
	k.ScanF32(&alone, count-1, data, consts, 0, out, masks)
	move(&q.queries, f.packed, side)
	var tile TileF32
	for b := range blocks {
		tile.Add(data[b*size:][:size], consts[b*TermsF32:][:TermsF32])
	}
	k.TileF32(&q, 0, &tile, at[[GroupMax]float32](f.limits, side), at[HitsF32](f.hits, side), &tile)
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
