package memory

import (
	"math"
	"math/bits"

	"nearside/matcher"
	"nearside/simd"
)

// pieceRows is the most float32 rows of one kernel call.
const pieceRows = 64

// compareFloats compares float32 rows with w.members, each with the selected
// rows of its strip. Kernels only select: what is near enough, or could not be
// told, is computed again by [matcher.Version.Distance].
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

// denseWord is the number of selected rows in 64 from which all are compared:
// reading in order is faster than a call per row.
const denseWord = 16

// comparePiece compares the rows of mask, of which the first has offset at.
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

// compareRun compares n neighbours; mask tells which of them are selected.
func (w *scanner) compareRun(v *matcher.Version, m *member, at, n int, mask uint64) {
	s := &m.strip.view.slabs[v.Type]
	p, values := m.probe, w.floats[:n]
	rows := floats(s.rows[at*v.Size() : (at+n)*v.Size()])
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
		w.found = append(w.found, hit{p.exact(s.row(at + i)), m.strip.base + uint32(at+i)})
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

// floatLimit tells which kernel values are of rows that cannot enter.
type floatLimit struct {
	probe *probe
	value float64 // L2: largest kernel value of a row that may enter; cosine: the same of 2 - 2cos
}

// newFloatLimit bounds the error of kernels. Under L2 the kernel's value x of
// a row with distance d is at most d(1+e)+u. Under cosine its dot product is
// off by at most e|a||b|+u; 1e-10 is for what is rounded in float64, here and
// in Distance: sums of up to 16384 terms, to 2^-53 each.
func newFloatLimit(p *probe) floatLimit {
	e := simd.ErrorBound(p.version.Length)
	if p.version.Metric == matcher.Cosine {
		return floatLimit{p, p.within() + 2*e + 1e-10}
	}
	return floatLimit{p, (p.within()*(1+e) + simd.UnderflowBound) * (1 + 1e-10)}
}

// excludes reports whether x is of a row that cannot enter. What overflowed
// or is no number tells nothing.
func (l *floatLimit) excludes(x float32, s *slab, i int) bool {
	if l.probe.version.Metric != matcher.Cosine {
		return float64(x) > l.value && x <= math.MaxFloat32
	}
	scale := 2 * l.probe.inverse * s.inverse[i]
	d := 2 - float64(x)*scale
	return d > l.value+simd.UnderflowBound*scale && d <= math.MaxFloat64
}
