package scan

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// fusion is a fused search whose parts are members of a scan.
type fusion struct {
	whole   *Search
	first   int   // the member that is the first part
	rows    []Hit // rows of the tile within the limit of a part, once for each such part
	pending []Hit // hits that are not offered yet
	parts   partValues
}

// fusedMemory is memory for comparing rows with all parts of a fused search.
type fusedMemory struct {
	found     bool // a fusion has rows
	distances [matcher.PartsMax]float64
	limits    [matcher.PartsMax]floatLimit
	floats    [matcher.PartsMax * pieceRows]float32
	lines     [matcher.PartsMax]line
	row       []byte
}

// addFusion adds the fused search whose first part is the next member.
func (w *scanner) addFusion(whole *Search) {
	n := len(w.fusions)
	if n < cap(w.fusions) {
		w.fusions = w.fusions[:n+1] // with the memory of earlier scans
	} else {
		w.fusions = append(w.fusions, fusion{})
	}
	f := &w.fusions[n]
	f.whole, f.first, f.rows, f.pending = whole, len(w.members), f.rows[:0], f.pending[:0]
	parts := len(whole.fused.parts)
	f.parts.values = slices.Grow(f.parts.values[:0], parts)[:parts]
}

// forgetFusions drops the pointers that would keep a snapshot in memory.
func (w *scanner) forgetFusions() {
	all := w.fusions[:cap(w.fusions)]
	for i := range all {
		all[i].whole = nil
	}
	w.fusions = w.fusions[:0]
	clear(w.fusedMemory.limits[:])
	w.fusedMemory.found = false
}

// addFused collects the rows of mask, which are within the limit of part q. With FuseBest
// and uint8, the smallest collected value of a row is its value, or above the bound of the
// search: parts that did not collect the row are farther away than their limits.
func (w *scanner) addFused(s *slabView, q, at int, mask uint64, values []int32) {
	m := &w.members[q]
	f, norm := &w.fusions[m.fusion-1], w.queries.Distance(q, 0)
	w.fusedMemory.found = w.fusedMemory.found || mask != 0
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		h := Hit{math.NaN(), m.strip.base + uint32(at+i)}
		if s.Coarse == nil {
			h.value = float64(uint32(values[i]) + norm)
		}
		f.rows = append(f.rows, h)
	}
}

// takeFused compares the collected rows of w.tile with all parts and offers those that may
// be hits. blocks are the blocks of the tile.
func (w *scanner) takeFused(s *slabView, blocks []uint32) {
	w.fusedMemory.found = false
	for i := range w.fusions {
		f := &w.fusions[i]
		if len(f.rows) == 0 {
			continue
		}
		m := member{search: f.whole, strip: w.members[f.first].strip}
		changed := false
		means := f.whole.isMean() && f.whole.order == matcher.BySimilarity
		if !means {
			f.sortRows()
		}
		switch {
		case means:
			w.takeMeans(s, f, &m, blocks)
			changed = s.Coarse != nil
		case s.Coarse != nil:
			for _, h := range f.rows {
				w.compareFusedRun(s.Version, &m, int(h.Row-m.strip.base), 1, 1)
			}
			changed = true
		case f.whole.isMean(): // only rows that are early or late enough are computed
			for _, h := range f.rows {
				f.pending = append(f.pending, Hit{math.NaN(), h.Row})
			}
		default:
			f.pending = append(f.pending, f.rows...)
		}
		f.rows = f.rows[:0]
		if len(f.pending) >= f.whole.batch {
			f.whole.offer(f.pending)
			f.pending, changed = f.pending[:0], true
		}
		if changed {
			w.limitParts(s, f, int(blocks[0])*simd.BlockRows)
		}
	}
}

// sortRows sorts the collected rows and leaves each row once, with its smallest value.
func (f *fusion) sortRows() {
	slices.SortFunc(f.rows, func(a, b Hit) int { return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.value, b.value)) })
	f.rows = slices.CompactFunc(f.rows, func(a, b Hit) bool { return a.Row == b.Row })
}

// limitParts sets the limits of the parts of f again.
func (w *scanner) limitParts(s *slabView, f *fusion, at int) {
	width := w.kernel.GroupU8()
	for q := f.first; q < f.first+len(f.whole.fused.parts); q++ {
		w.limits[q/width][q%width] = w.limit(s, q, at)
	}
}

// offerFused offers the pending hits of fused searches.
func (w *scanner) offerFused() {
	for i := range w.fusions {
		if f := &w.fusions[i]; len(f.pending) > 0 {
			f.whole.offer(f.pending)
			f.pending = f.pending[:0]
		}
	}
}

// compareFusedRun is compareRun for a fused search.
func (w *scanner) compareFusedRun(v *matcher.Version, m *member, at, n int, mask uint64) {
	s := &m.strip.view.Slabs[v.Type]
	rows := table.Floats(s.Rows[at*v.Size() : (at+n)*v.Size()])
	parts := m.search.fused.parts
	for i, part := range parts {
		values := w.fusedMemory.floats[i*n:][:n]
		if v.Metric == matcher.Cosine {
			w.kernel.DotF32(values, part.floats, rows)
		} else {
			w.kernel.SquaredL2F32(values, part.floats, rows)
		}
	}
	w.limitFloats(parts)
	w.found = w.found[:0]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		value, ok := w.fusedValue(m.search, s, at+i, w.fusedMemory.floats[i:], n)
		if !ok {
			continue
		}
		w.found = append(w.found, Hit{value, m.strip.base + uint32(at+i)})
		if m.search.order == matcher.BySimilarity {
			m.search.offer(w.found)
			w.found = w.found[:0]
			w.limitFloats(parts)
		}
	}
	if len(w.found) > 0 {
		m.search.offer(w.found)
	}
}

// limitFloats sets the limits of the parts for float32 rows.
func (w *scanner) limitFloats(parts []*Search) {
	for i, part := range parts {
		w.fusedMemory.limits[i] = newFloatLimit(part)
	}
}

// fusedValue returns the value of row i for a fused search. It is NaN if it need not be
// computed yet. ok is false if the row cannot become a hit. The kernel values of the parts are
// stride elements of values apart.
func (w *scanner) fusedValue(p *Search, s *table.Slab, i int, values []float32, stride int) (value float64, ok bool) {
	value = math.Inf(1)
	for n, part := range p.fused.parts {
		if w.fusedMemory.limits[n].excludes(values[n*stride], s, i) {
			continue
		}
		ok = true
		if p.order != matcher.BySimilarity {
			return math.NaN(), true
		}
		if p.fused.mean {
			break
		}
		value = min(value, p.version.Distance(part.query, s.Row(i)))
	}
	if !ok || !p.fused.mean {
		return value, ok
	}
	return w.meanValue(p, s, i, values, stride)
}

// meanValue is fusedValue for a mean. It computes the exact distances only if lower bounds
// of them allow the row to become a hit.
func (w *scanner) meanValue(p *Search, s *table.Slab, i int, values []float32, stride int) (value float64, ok bool) {
	f, distances := p.fused, w.fusedMemory.distances[:len(p.fused.parts)]
	for n := range distances {
		distances[n] = w.fusedMemory.limits[n].atLeast(values[n*stride], s, i)
	}
	if !f.mayPass(distances, p.within()) {
		return 0, false
	}
	for n, part := range f.parts {
		distances[n] = p.version.Distance(part.query, s.Row(i))
	}
	distance, sim := matcher.FuseMean.Fused(distances, f.similarity)
	value = f.key(sim, distance)
	return value, value <= p.within()
}

// atLeast returns a lower bound of the distance of row i, whose kernel value is x. It
// allows for the same errors as newFloatLimit.
func (l *floatLimit) atLeast(x float32, s *table.Slab, i int) float64 {
	p := l.search
	e, d := simd.ErrorBound(p.version.Length), 0.0
	if p.version.Metric == matcher.Cosine {
		scale := 2 * p.inverse * s.Inverse[i]
		d = 2 - float64(x)*scale - simd.UnderflowBound*scale - 2*e - 1e-10
	} else {
		d = (float64(x)/(1+1e-10) - simd.UnderflowBound) / (1 + e)
	}
	if !(d > 0) || d > math.MaxFloat32 { // overflow or NaN: 0 is the only bound
		return 0
	}
	return d
}
