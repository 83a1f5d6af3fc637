package table

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// Slab holds the descriptors of a chunk that have the same version, outside the Go heap.
type Slab struct {
	Version *matcher.Version

	// For uint8: blocks of 16 rows, interleaved as package simd reads them, and the
	// constant of each row in the squared distance.
	Blocks []byte
	Consts []int32

	// For float32: the rows one after another, so that a distance can be computed again
	// in place. Blocks and Consts then belong to the coarse copy, if there is one.
	Rows    []byte
	Inverse []float64 // only for cosine: 1/|row|
	Coarse  *Coarse   // nil if there is no copy
}

// slabBytes returns how many bytes a slab of n rows needs in huge pages. n is a multiple
// of 16.
func slabBytes(v *matcher.Version, n int) int {
	bytes := 0
	if HasBlocks(v) {
		bytes += n / simd.BlockRows * simd.BlockBytesU8(v.Length)
	}
	if v.Encoding == matcher.Float32 {
		bytes += n * v.Size()
	}
	return bytes
}

// HasBlocks reports whether rows of v, or coarse copies of them, are compared as bytes.
func HasBlocks(v *matcher.Version) bool {
	return v.Encoding == matcher.Uint8 || v.Exact == matcher.Bounded
}

// newSlab returns a slab of n rows. It uses all of mem for descriptors, and takes its
// columns from the front of columns.
func newSlab(v *matcher.Version, n int, mem []byte, columns *[]byte) Slab {
	s := Slab{Version: v}
	if HasBlocks(v) {
		split := n / simd.BlockRows * simd.BlockBytesU8(v.Length)
		s.Blocks, mem = mem[:split:split], mem[split:]
		s.Consts = carve[int32](columns, n)
	}
	if v.Encoding == matcher.Uint8 {
		return s
	}
	s.Rows = mem
	if v.Metric == matcher.Cosine {
		s.Inverse = carve[float64](columns, n)
	}
	if v.Exact == matcher.Bounded {
		s.Coarse = newCoarse(n)
	}
	return s
}

// Block returns block b and its constants.
func (s *Slab) Block(b int) (block []byte, consts []int32) {
	size := simd.BlockBytesU8(s.Version.Length)
	return s.Blocks[b*size : (b+1)*size : (b+1)*size], s.Consts[b*simd.BlockRows:][:simd.BlockRows:simd.BlockRows]
}

// putRow writes row i, which no snapshot may show yet. Readers may read other rows of its
// block at the same time.
func (s *Slab) putRow(i int, data []byte) {
	if s.Version.Encoding == matcher.Uint8 {
		s.putBytes(i, data, simd.RowConstU8(data))
		return
	}
	copy(s.Row(i), data)
	scale := 1.0
	if s.Inverse != nil {
		s.Inverse[i] = 1 / Norm(data)
		scale = s.Inverse[i]
	}
	if s.Coarse != nil {
		bytes, constant := s.Coarse.quantize(i, Floats(s.Row(i)), scale)
		s.putBytes(i, bytes, constant)
	}
}

// putBytes writes row, or the coarse copy of a row, to the blocks as row i.
func (s *Slab) putBytes(i int, row []byte, constant int32) {
	block, consts := s.Block(i / simd.BlockRows)
	simd.PutRowU8(block, i%simd.BlockRows, row)
	consts[i%simd.BlockRows] = constant
}

// Row returns the bytes of float32 row i. They belong to the slab.
func (s *Slab) Row(i int) []byte {
	size := s.Version.Size()
	return s.Rows[i*size : (i+1)*size : (i+1)*size]
}

// appendTo appends the bytes of row i to dst.
func (s *Slab) appendTo(dst []byte, i int) []byte {
	if s.Rows != nil {
		return append(dst, s.Row(i)...)
	}
	n := len(dst)
	dst = slices.Grow(dst, s.Version.Length)[:n+s.Version.Length]
	block, _ := s.Block(i / simd.BlockRows)
	simd.GetRowU8(dst[n:], block, i%simd.BlockRows)
	return dst
}

// Norm returns |x| of a vector of float32 values.
func Norm(x []byte) float64 {
	sum := 0.0
	for ; len(x) >= 4; x = x[4:] {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(x)))
		sum += v * v
	}
	return math.Sqrt(sum)
}

// Floats returns b as float32 values without copying. b must be aligned to four bytes: it
// is a row of a slab, or freshly allocated.
func Floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
