package scan

import (
	"math"
	"math/bits"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// pieceRows is the maximum number of float32 rows in one kernel call.
const pieceRows = 64

// compareFloats compares float32 rows with w.members, each with the selected rows of its
// strip. Kernels only preselect. Rows that are near enough, or whose kernel value is
// unusable, are computed again by [matcher.Version.Distance].
func (w *scanner) compareFloats(v *matcher.Version) {
	lo, hi := w.members[0].strip.lo, 0
	for _, m := range w.members {
		hi = max(hi, m.strip.hi)
	}
	for at := lo; at < hi; at += pieceRows {
		for i := range w.members {
			m := &w.members[i]
			mask := ^uint64(0)
			if m.strip.mask != nil && at < m.strip.hi {
				mask = m.strip.mask[(at-m.strip.lo)>>6]
			}
			if left := m.strip.hi - at; left < 64 {
				mask &= 1<<max(0, left) - 1
			}
			w.comparePiece(v, m, at, mask)
		}
	}
}

// denseWord is the number of selected rows in 64 at which reading all rows in order
// becomes faster than one call per run of selected rows.
const denseWord = 16

// comparePiece compares the rows of mask. Its first bit is the row at offset at.
func (w *scanner) comparePiece(v *matcher.Version, m *member, at int, mask uint64) {
	if bits.OnesCount64(mask) >= denseWord {
		lo, hi := bits.TrailingZeros64(mask), bits.Len64(mask)
		w.compareRun(v, m, at+lo, hi-lo, mask>>lo)
		return
	}
	for mask != 0 {
		lo := bits.TrailingZeros64(mask)
		n := bits.TrailingZeros64(^(mask >> lo))
		w.compareRun(v, m, at+lo, n, 1<<n-1)
		mask &^= (1<<n - 1) << lo
	}
}

// compareRun compares n adjacent rows. The bits of mask say which of them are selected.
func (w *scanner) compareRun(v *matcher.Version, m *member, at, n int, mask uint64) {
	if m.search.fused != nil {
		w.compareFusedRun(v, m, at, n, mask)
		return
	}
	s := &m.strip.view.Slabs[v.Type]
	p, values := m.search, w.floats[:n]
	rows := table.Floats(s.Rows[at*v.Size() : (at+n)*v.Size()])
	w.found = w.found[:0]
	if v.Metric == matcher.Cosine {
		w.kernel.DotF32(values, p.floats, rows)
	} else {
		w.kernel.SquaredL2F32(values, p.floats, rows)
	}
	limit := newFloatLimit(p)
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if limit.excludes(values[i], s, at+i) {
			continue
		}
		w.found = append(w.found, Hit{p.exact(s.Row(at + i)), m.strip.base + uint32(at+i)})
		if len(w.found) == cap(w.found) || p.order == matcher.BySimilarity {
			p.offer(w.found)
			w.found = w.found[:0]
			limit = newFloatLimit(p)
		}
	}
	if len(w.found) > 0 {
		p.offer(w.found)
	}
}

// floatLimit decides which kernel values belong to rows that cannot become hits.
type floatLimit struct {
	search *Search
	value  float64 // L2: largest kernel value of a row that may become a hit; cosine: the same for 2 - 2cos
}

// newFloatLimit allows for the errors of kernels. Under L2, the kernel value x of a row
// with distance d is at most d(1+e)+u. Under cosine, the kernel's dot product is off by
// at most e|a||b|+u. The constant 1e-10 covers the float64 rounding here and in Distance:
// sums of up to 16384 terms, each rounded to 2^-53.
func newFloatLimit(p *Search) floatLimit {
	e := simd.ErrorBound(p.version.Length)
	if p.version.Metric == matcher.Cosine {
		return floatLimit{p, p.within() + 2*e + 1e-10}
	}
	return floatLimit{p, (p.within()*(1+e) + simd.UnderflowBound) * (1 + 1e-10)}
}

// excludes reports whether x belongs to a row that cannot become a hit. An overflow or
// NaN excludes nothing.
func (l *floatLimit) excludes(x float32, s *table.Slab, i int) bool {
	if l.search.version.Metric != matcher.Cosine {
		return float64(x) > l.value && x <= math.MaxFloat32
	}
	scale := 2 * l.search.inverse * s.Inverse[i]
	d := 2 - float64(x)*scale
	return d > l.value+simd.UnderflowBound*scale && d <= math.MaxFloat64
}
