package memory

import (
	"context"
	"math"
	"math/bits"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// pieceRows is the most rows of one kernel call: 128 KiB of 512-byte
// descriptors, which stay in L2 while every query of the pass goes over them.
const pieceRows = 256

// span is a part of a chunk to be scanned: rows lo..hi-1 that have their bit
// in mask (by offset in the chunk), or the rows in offsets.
type span struct {
	view    *view
	base    uint32   // row of offset 0
	lo, hi  int      // lo is a multiple of 64
	mask    []uint64 // nil: every row
	offsets []uint32 // rows, ascending; nil: lo, hi and mask
}

// rows is an upper bound of the rows that the span's scan touches.
func (s *span) rows() int {
	if s.offsets != nil {
		return len(s.offsets)
	}
	return s.hi - s.lo
}

// pieces calls yield with runs of at most pieceRows rows that hold every
// selected row of the span; with a mask, a run may hold others too.
func (s *span) pieces(yield func(lo, n int) bool) {
	switch {
	case s.offsets != nil:
		s.runs(yield)
	case s.mask == nil:
		for lo := s.lo; lo < s.hi; lo += pieceRows {
			if !yield(lo, min(pieceRows, s.hi-lo)) {
				return
			}
		}
	default:
		s.masked(yield)
	}
}

// runs joins neighbours of a list of rows.
func (s *span) runs(yield func(lo, n int) bool) {
	for i := 0; i < len(s.offsets); {
		j := i + 1
		for j < len(s.offsets) && s.offsets[j] == s.offsets[j-1]+1 && j-i < pieceRows {
			j++
		}
		if !yield(int(s.offsets[i]-s.base), j-i) {
			return
		}
		i = j
	}
}

// denseWord is the number of selected rows in 64 from which all are scanned:
// the scan in order is faster than a call per row.
const denseWord = 16

// masked joins words that are dense and takes the others row by row.
func (s *span) masked(yield func(lo, n int) bool) {
	for lo := s.lo; lo < s.hi; {
		n := 0
		for n < pieceRows && lo+n < s.hi && bits.OnesCount64(s.mask[(lo+n)>>6]) >= denseWord {
			n += 64
		}
		if n > 0 {
			if !yield(lo, min(n, s.hi-lo)) {
				return
			}
			lo += n
			continue
		}
		for word := s.mask[lo>>6]; word != 0; {
			start := bits.TrailingZeros64(word)
			run := bits.TrailingZeros64(^(word >> start))
			if !yield(lo+start, run) {
				return
			}
			if start+run >= 64 {
				break
			}
			word &= ^uint64(0) << (start + run)
		}
		lo += 64
	}
}

// scanner is what one worker scans with.
type scanner struct {
	kernel *simd.Kernel
	tops   []topK // by probe
	sums   [pieceRows]uint32
	values [pieceRows]float32
}

// scan offers the selected rows of s to every probe. It ends early with the
// context.
func (w *scanner) scan(ctx context.Context, s *span, t matcher.DescriptorType) {
	version := s.view.versions[t]
	size := version.Size()
	for lo, n := range s.pieces {
		if ctx.Err() != nil {
			return
		}
		rows := s.view.descriptors[t][lo*size : (lo+n)*size]
		for i := range w.tops {
			switch {
			case version.Encoding == matcher.Uint8:
				w.bytes(&w.tops[i], s, rows, lo, n)
			case version.Metric == matcher.Cosine:
				w.cosine(&w.tops[i], s, t, rows, lo, n)
			default:
				w.squared(&w.tops[i], s, t, rows, lo, n)
			}
		}
	}
}

// skips reports whether offset i of a piece is not selected.
func (s *span) skips(i int) bool { return s.mask != nil && s.mask[i>>6]>>(i&63)&1 == 0 }

// bytes scans uint8 rows; their sums are exact.
func (w *scanner) bytes(top *topK, s *span, rows []byte, lo, n int) {
	sums := w.sums[:n]
	w.kernel.SquaredL2U8(sums, top.probe.query, rows)
	bound := uint32(min(top.bound(), math.MaxUint32))
	for i, sum := range sums {
		if sum <= bound && !s.skips(lo+i) {
			top.offer(hit{float64(sum), s.base + uint32(lo+i)})
			bound = uint32(min(top.bound(), math.MaxUint32))
		}
	}
}

// squared scans float32 rows under L2. The kernel's value x of a row with
// distance d is at most d(1+e)+u, so a row above that for d = bound is out;
// all others, and those that overflowed, are computed again.
func (w *scanner) squared(top *topK, s *span, t matcher.DescriptorType, rows []byte, lo, n int) {
	p, values := top.probe, w.values[:n]
	w.kernel.SquaredL2F32(values, p.floats, floats(rows))
	e, u := simd.ErrorBound(p.version.Length), simd.UnderflowBound
	limit := func() float32 {
		bound := top.bound()*(1+e) + u
		if bound >= math.MaxFloat32 {
			return float32(math.Inf(1))
		}
		return math.Nextafter32(float32(bound), float32(math.Inf(1)))
	}
	bound := limit()
	for i, x := range values {
		if !(x > bound) && !s.skips(lo+i) { // also takes NaN
			top.offer(hit{p.version.Distance(p.query, s.view.descriptor(t, lo+i)), s.base + uint32(lo+i)})
			bound = limit()
		}
	}
}

// cosine scans float32 rows under cosine: the kernel's dot product is off by
// at most e|a||b|+u.
func (w *scanner) cosine(top *topK, s *span, t matcher.DescriptorType, rows []byte, lo, n int) {
	p, values := top.probe, w.values[:n]
	w.kernel.DotF32(values, p.floats, floats(rows))
	// 1e-10 is for what is rounded in float64, here and in Distance: sums of up
	// to 16384 terms, to 2^-53 each.
	e, u := 2*simd.ErrorBound(p.version.Length)+1e-10, simd.UnderflowBound
	inverse := s.view.inverse[t][lo : lo+n]
	bound := top.bound()
	for i, dot := range values {
		scale := 2 * p.inverse * inverse[i]
		x := 2 - float64(dot)*scale
		out := x > bound+e+u*scale && x <= math.MaxFloat64 // not so for NaN and overflow
		if !out && !s.skips(lo+i) {
			top.offer(hit{p.version.Distance(p.query, s.view.descriptor(t, lo+i)), s.base + uint32(lo+i)})
			bound = top.bound()
		}
	}
}

// floats returns b as float32 values in place. b is a slab, whose rows begin at
// multiples of four, or freshly allocated.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
