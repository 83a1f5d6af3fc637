package scan

import (
	"math/bits"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// partValues are the kernel values of the parts of a mean for a tile.
type partValues struct {
	known  uint64                 // the parts whose values have a meaning
	values [][simd.TileRows]int32 // by part
}

// keepValues keeps the values of the parts of means for w.tile. first and count are the
// members that were compared with it.
func (w *scanner) keepValues(first, count int) {
	if len(w.fusions) == 0 {
		return
	}
	for q := first; q < first+count; q++ {
		m := &w.members[q]
		if m.fusion == 0 {
			continue
		}
		f := &w.fusions[m.fusion-1]
		if part := q - f.first; f.whole.isMean() {
			f.parts.known &^= 1 << part
			if w.hits.Known(q - first) {
				f.parts.known |= 1 << part
				f.parts.values[part] = w.hits.Values[q-first]
			}
		}
	}
}

// takeMeans compares the collected rows of w.tile with all parts of a mean. Most rows within
// the limit of one part are far from the others. So bounds of the similarities come first,
// and exact similarities follow only for rows that may be hits.
func (w *scanner) takeMeans(s *slabView, f *fusion, m *member, blocks []uint32) {
	var rows uint64 // by place in the tile
	for _, h := range f.rows {
		i := int(h.Row - m.strip.base)
		rows |= 1 << (slices.Index(blocks, uint32(i/simd.BlockRows))*simd.BlockRows + i%simd.BlockRows)
	}
	for n := range f.parts.values {
		w.fusedMemory.lines[n] = w.distanceLine(s, f.first+n, int(blocks[0])*simd.BlockRows)
	}
	bounds := f.whole.fused.boundsFor(bits.OnesCount64(rows))
	for ; rows != 0; rows &= rows - 1 {
		slot := bits.TrailingZeros64(rows)
		i := int(blocks[slot/simd.BlockRows])*simd.BlockRows + slot%simd.BlockRows
		switch {
		case s.mustCompare(i)>>(i&63)&1 == 0 && !w.mayPass(f, slot, bounds): // the kernel values exclude the row
		case s.Coarse != nil:
			w.compareFusedRun(s.Version, m, i, 1, 1)
		default:
			distance, sim := matcher.FuseMean.Fused(w.tileDistances(s, f, i, slot), f.whole.fused.similarity)
			if key := f.whole.fused.key(sim, distance); key <= f.whole.within() {
				f.pending = append(f.pending, Hit{key, m.strip.base + uint32(i)})
			}
		}
	}
}

// mayPass reports whether the row at a place in w.tile can become a hit of f.
func (w *scanner) mayPass(f *fusion, slot int, bounds *similarityBounds) bool {
	distances := w.fusedMemory.distances[:len(f.parts.values)]
	for n := range distances {
		value := w.limits[(f.first+n)/w.kernel.GroupU8()][(f.first+n)%w.kernel.GroupU8()]
		if f.parts.known>>n&1 == 1 {
			value = f.parts.values[n][slot]
		}
		distances[n] = w.fusedMemory.lines[n].at(value)
	}
	within := f.whole.within()
	return !bounds.exclude(f.whole.fused, distances, within) && f.whole.fused.mayPass(distances, within)
}

// tileDistances returns the distances of row i, at a place in w.tile, from the parts of f.
func (w *scanner) tileDistances(s *slabView, f *fusion, i, slot int) []float64 {
	distances := w.fusedMemory.distances[:len(f.parts.values)]
	var row []byte
	for n := range distances {
		if f.parts.known>>n&1 == 1 {
			distances[n] = s.Version.FromSum(w.queries.Distance(f.first+n, f.parts.values[n][slot]))
			continue
		}
		if row == nil {
			row = appendRowU8(w.fusedMemory.row[:0], s.Slab, i)
			w.fusedMemory.row = row
		}
		distances[n] = s.Version.Distance(f.whole.fused.parts[n].query, row)
	}
	return distances
}

// line is a lower bound of the distances between a part and rows: value*factor + offset for
// a row with that kernel value.
type line struct{ factor, offset float64 }

// at returns the bound for a kernel value.
func (l line) at(value int32) float64 {
	if d := float64(value)*l.factor + l.offset; d > 0 { // false for NaN
		return d
	}
	return 0
}

// distanceLine returns the line of part q for rows in the zone of row at.
func (w *scanner) distanceLine(s *slabView, q, at int) line {
	if s.Coarse == nil {
		unit := s.Version.FromSum(1) // distances are multiples of it
		return line{unit, unit * (float64(w.queries.Distance(q, 0)) - 1e-3)}
	}
	e, norm := s.Coarse.Bounds(at/table.ZoneRows, s.rows, s.Version.Length)
	factor, offset := w.copies[q].Line(s.Coarse.Step, e, norm)
	return line{factor, offset}
}
