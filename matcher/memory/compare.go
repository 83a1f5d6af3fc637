package memory

import (
	"math"
	"math/bits"
	"runtime/debug"

	"nearside/matcher"
	"nearside/simd"
)

// member is a reference that is compared with a strip.
type member struct {
	probe *probe
	strip *strip
}

// scanner is what one worker compares with. Its memory is used again.
type scanner struct {
	kernel  *simd.Kernel
	members []member
	packed  []*probe // that queries holds
	step    float64  // of their copies; 0: they are bytes themselves
	copies  []coarseQuery
	queries simd.QueriesU8
	vectors [][]byte
	found   []hit

	tile, next *simd.TileU8
	limits     [simd.GroupMax]int32
	hits       simd.HitsU8
	values     [scanBlocks * simd.BlockRows]int32
	masks      [scanBlocks]uint16
	list       []uint32 // selected blocks of a strip

	floats [pieceRows]float32
}

// scanBlocks is the most blocks of one scan for one reference: bounds fall
// after each. A zone holds a multiple of it.
const scanBlocks = 32

func newScanner(k *simd.Kernel) *scanner {
	return &scanner{kernel: k, tile: &simd.TileU8{}, next: &simd.TileU8{}}
}

// do compares the strip of a lease with the references of its jobs.
func (w *scanner) do(l *lease) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = matcher.Errorf(matcher.CodeInternal, "memory: scan: panic: %v\n%s", p, debug.Stack())
		}
	}()
	v := l.parts[0].job.version
	blocks := hasBlocks(v)
	if c := l.parts[0].strip.view.slabs[v.Type].coarse; c != nil && c.poor(l.parts[0].strip.lo, l.parts[0].strip.hi) {
		blocks = false
	}
	alone := func(p part) bool { return blocks && w.sparse(p) }
	for _, p := range l.parts {
		if alone(p) {
			w.compareSparse(p)
		}
	}
	w.members = w.members[:0]
	for _, p := range l.parts {
		if !alone(p) {
			w.join(p)
		}
	}
	if len(w.members) == 0 {
		return nil
	}
	if blocks {
		w.compareDense(v)
	} else {
		w.compareFloats(v)
	}
	return nil
}

// join adds the references of a part to w.members.
func (w *scanner) join(p part) {
	for _, probe := range p.job.probes {
		w.members = append(w.members, member{probe, p.strip})
	}
}

// forget drops what would keep a snapshot alive.
func (w *scanner) forget() {
	clear(w.members[:cap(w.members)])
	clear(w.packed[:cap(w.packed)])
	clear(w.vectors[:cap(w.vectors)])
	w.members, w.packed, w.vectors = w.members[:0], w.packed[:0], w.vectors[:0]
	w.tile.Reset()
	w.next.Reset()
}

// pack puts the probes of w.members into w.queries, as s needs them, if they
// are not there.
func (w *scanner) pack(s *slab) {
	step := 0.0
	if s.coarse != nil {
		step = s.coarse.step
	}
	same := len(w.packed) == len(w.members) && w.step == step
	for i := 0; same && i < len(w.members); i++ {
		same = w.packed[i] == w.members[i].probe
	}
	if same {
		return
	}
	w.packed, w.vectors, w.step = w.packed[:0], w.vectors[:0], step
	for i, m := range w.members {
		w.packed = append(w.packed, m.probe)
		if step == 0 {
			w.vectors = append(w.vectors, m.probe.query)
			continue
		}
		if i == len(w.copies) {
			w.copies = append(w.copies, coarseQuery{})
		}
		w.copies[i].set(step, m.probe.floats, m.probe.scale())
		w.vectors = append(w.vectors, w.copies[i].bytes)
	}
	w.kernel.PackU8(&w.queries, w.vectors)
}

// compareDense compares all rows of a strip with w.members, which may see
// different numbers of its rows.
func (w *scanner) compareDense(v *matcher.Version) {
	wide := w.members[0].strip
	for _, m := range w.members[1:] {
		if m.strip.hi > wide.hi {
			wide = m.strip
		}
	}
	w.pack(&wide.view.slabs[v.Type])
	s := shown{&wide.view.slabs[v.Type], wide.hi}
	if len(w.members) == 1 {
		w.scan(&s, 0, wide.lo/simd.BlockRows, (wide.hi+simd.BlockRows-1)/simd.BlockRows)
		return
	}
	groups := w.queries.Groups()
	for at := wide.lo; at < wide.hi; at += simd.TileRows {
		w.fill(w.tile, &s, at, wide.hi)
		for g := range groups {
			w.compareTile(&s, g, at, w.ahead(&s, g, groups, at+simd.TileRows, wide.hi))
			always := s.always(at)
			first, count := w.queries.Group(g)
			for q := range count {
				if mask := w.hits.Masks[q] | always; mask != 0 {
					w.take(&s, first+q, at, mask, w.hits.Values[q][:])
				}
			}
		}
	}
}

// ahead returns the part of the tile from at that group g shall bring into the
// cache, nil for none. The first groups share that: one alone would ask for
// more than memory gives in its time, and wait.
func (w *scanner) ahead(s *shown, g, groups, at, hi int) *simd.TileU8 {
	parts := 1
	if groups >= simd.TileBlocks {
		parts = simd.TileBlocks
	} else if groups >= 2 {
		parts = 2
	}
	rows := simd.TileRows / parts
	if at += g * rows; g >= parts || at >= hi {
		return nil
	}
	w.fill(w.next, s, at, min(hi, at+rows))
	return w.next
}

// shown is a slab as far as a snapshot shows it. Its last block may have rows
// that the writer is at: kernels read whole blocks, and take drops such rows.
type shown struct {
	*slab
	rows int
}

// always returns those of the rows from at, a multiple of 64, that kernels say
// nothing about.
func (s *shown) always(at int) uint64 {
	if s.coarse == nil {
		return 0
	}
	return s.coarse.cut[at/64].Load()
}

// fill makes a tile of the rows from at, up to hi.
func (w *scanner) fill(t *simd.TileU8, s *shown, at, hi int) {
	t.Reset()
	for b := at / simd.BlockRows; b < (min(hi, at+simd.TileRows)+simd.BlockRows-1)/simd.BlockRows; b++ {
		t.Add(s.block(b))
	}
}

// compareTile compares w.tile, whose rows are of the zone of at, with group g.
func (w *scanner) compareTile(s *shown, g, at int, next *simd.TileU8) {
	first, count := w.queries.Group(g)
	for q := range count {
		w.limits[q] = w.limit(s, first+q, at)
	}
	w.kernel.TileU8(&w.queries, g, w.tile, &w.limits, &w.hits, next)
}

// limit returns the value beyond which a row of the zone of at is not for
// query q.
func (w *scanner) limit(s *shown, q, at int) int32 {
	within := w.members[q].probe.within()
	if s.coarse == nil {
		return w.queries.Limit(q, uint32(min(within, math.MaxInt32)))
	}
	e, norm := s.coarse.bounds(at/zoneRows, s.rows, s.version.Length)
	return w.copies[q].limit(s.coarse.step, within, e, norm)
}

// scan compares blocks lo..hi-1 with query q alone.
func (w *scanner) scan(s *shown, q, lo, hi int) {
	for lo < hi {
		n := min(scanBlocks-lo%scanBlocks, hi-lo) // within a zone
		block, consts := s.block(lo)
		if n > 1 {
			block, consts = s.blocks[lo*len(block):(lo+n)*len(block)], s.consts[lo*simd.BlockRows:(lo+n)*simd.BlockRows]
		}
		w.kernel.ScanU8(&w.queries, q, block, consts, w.limit(s, q, lo*simd.BlockRows), w.values[:n*simd.BlockRows], w.masks[:n])
		for b, mask := range w.masks[:n] {
			w.takeBlock(s, q, lo+b, uint64(mask), w.values[b*simd.BlockRows:])
		}
		lo += n
	}
}

// take offers the rows of mask, of which the first has offset at, to the
// probe of query q: those that its strip has and selects.
func (w *scanner) take(s *shown, q, at int, mask uint64, values []int32) {
	m := &w.members[q]
	if left := m.strip.hi - at; left < 64 {
		mask &= 1<<max(0, left) - 1
	}
	if selected := m.strip.mask; selected != nil && mask != 0 {
		mask &= selected[(at-m.strip.lo)>>6] >> (at & 63)
	}
	if s.coarse != nil {
		w.takeCoarse(s, q, at, mask, values)
		return
	}
	w.found = w.found[:0]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		w.found = append(w.found, hit{float64(w.queries.Distance(q, values[i])), m.strip.base + uint32(at+i)})
	}
	if len(w.found) > 0 {
		m.probe.offer(w.found)
	}
}

// takeCoarse compares the rows of mask themselves, unless the bound, which
// falls with each, has made that unnecessary.
func (w *scanner) takeCoarse(s *shown, q, at int, mask uint64, values []int32) {
	m, always := &w.members[q], s.always(at)>>(at&63)
	limit := w.limit(s, q, at)
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if values[i] > limit && always>>i&1 == 0 {
			continue
		}
		w.compareRun(s.version, m, at+i, 1, 1)
		limit = w.limit(s, q, at)
	}
}
