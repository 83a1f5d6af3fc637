package memory

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// slab holds the descriptors of one version of a chunk, outside the Go heap.
type slab struct {
	version *matcher.Version

	// uint8: blocks of 16 rows, interleaved as simd reads them, and each row's
	// constant of the squared distance.
	blocks []byte
	consts []int32

	// float32: row-major, so that a row can be computed again in place. Blocks
	// and constants are then of their copy in bytes, if they have one.
	rows    []byte
	inverse []float64 // cosine: 1/|row|
	coarse  *coarse   // nil: no copy
}

// slabBytes returns what a slab of n rows, a multiple of 16, needs in huge
// pages.
func slabBytes(v *matcher.Version, n int) int {
	bytes := 0
	if hasBlocks(v) {
		bytes += n / simd.BlockRows * simd.BlockBytesU8(v.Length)
	}
	if v.Encoding == matcher.Float32 {
		bytes += n * v.Size()
	}
	return bytes
}

// hasBlocks reports whether rows of v, or a copy of them, are compared as
// bytes.
func hasBlocks(v *matcher.Version) bool {
	return v.Encoding == matcher.Uint8 || v.Exact == matcher.Bounded
}

// newSlab takes a slab of n rows: descriptors from mem, which is all its own,
// columns off the front of columns.
func newSlab(v *matcher.Version, n int, mem []byte, columns *[]byte) slab {
	s := slab{version: v}
	if hasBlocks(v) {
		split := n / simd.BlockRows * simd.BlockBytesU8(v.Length)
		s.blocks, mem = mem[:split:split], mem[split:]
		s.consts = carve[int32](columns, n)
	}
	if v.Encoding == matcher.Uint8 {
		return s
	}
	s.rows = mem
	if v.Metric == matcher.Cosine {
		s.inverse = carve[float64](columns, n)
	}
	if v.Exact == matcher.Bounded {
		s.coarse = newCoarse(n)
	}
	return s
}

// block returns block b and its constants.
func (s *slab) block(b int) (block []byte, consts []int32) {
	size := simd.BlockBytesU8(s.version.Length)
	return s.blocks[b*size : (b+1)*size : (b+1)*size], s.consts[b*simd.BlockRows:][:simd.BlockRows:simd.BlockRows]
}

// put writes row i, which no snapshot shows yet. Others of its block may be
// read meanwhile.
func (s *slab) put(i int, data []byte) {
	if s.version.Encoding == matcher.Uint8 {
		s.putBytes(i, data, simd.RowConstU8(data))
		return
	}
	copy(s.row(i), data)
	scale := 1.0
	if s.inverse != nil {
		s.inverse[i] = 1 / norm(data)
		scale = s.inverse[i]
	}
	if s.coarse != nil {
		bytes, constant := s.coarse.put(i, floats(s.row(i)), scale)
		s.putBytes(i, bytes, constant)
	}
}

// putBytes writes row i of the blocks.
func (s *slab) putBytes(i int, row []byte, constant int32) {
	block, consts := s.block(i / simd.BlockRows)
	simd.PutRowU8(block, i%simd.BlockRows, row)
	consts[i%simd.BlockRows] = constant
}

// row returns the bytes of row i of float32, which belong to the slab.
func (s *slab) row(i int) []byte {
	size := s.version.Size()
	return s.rows[i*size : (i+1)*size : (i+1)*size]
}

// appendTo appends the bytes of row i to dst.
func (s *slab) appendTo(dst []byte, i int) []byte {
	if s.rows != nil {
		return append(dst, s.row(i)...)
	}
	n := len(dst)
	dst = slices.Grow(dst, s.version.Length)[:n+s.version.Length]
	block, _ := s.block(i / simd.BlockRows)
	simd.GetRowU8(dst[n:], block, i%simd.BlockRows)
	return dst
}

// norm returns |x| of float32 values.
func norm(x []byte) float64 {
	sum := 0.0
	for ; len(x) >= 4; x = x[4:] {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(x)))
		sum += v * v
	}
	return math.Sqrt(sum)
}

// floats returns b as float32 values in place. b is a slab, whose rows begin at
// multiples of four, or freshly allocated.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
