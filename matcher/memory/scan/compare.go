package scan

import (
	"math"
	"math/bits"
	"runtime/debug"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// member is a reference to be compared with a strip.
type member struct {
	search *Search
	strip  *strip
	fusion int // of a part: index in scanner.fusions, plus 1; 0: not a part
}

// scanner is the working memory of one worker. It is reused.
type scanner struct {
	kernel      *simd.Kernel
	members     []member
	packed      []*Search // the searches whose vectors are in queries
	step        float64   // step of the queries' coarse copies; 0: the queries are uint8 themselves
	copies      []table.CoarseQuery
	queries     simd.QueriesU8
	vectors     [][]byte
	found       []Hit
	pending     [][]Hit // hits that are not offered yet, by member
	fusions     []fusion
	fusedMemory fusedMemory

	tile, next *simd.TileU8
	limits     [][simd.GroupMax]int32 // by group
	hits       *simd.HitsU8           // of its own, so that its address is a multiple of 64
	values     [scanBlocks * simd.BlockRows]int32
	masks      [scanBlocks]uint16
	list       []uint32 // selected blocks of a strip
	part       strip    // a part of a strip of a small selection
	word       [1]uint64

	floats [pieceRows]float32
}

// scanBlocks is the maximum number of blocks in one scan for one reference. The bound may
// fall after each scan. The blocks of a zone are a multiple of scanBlocks.
const scanBlocks = 32

func newScanner(k *simd.Kernel) *scanner {
	return &scanner{kernel: k, tile: &simd.TileU8{}, next: &simd.TileU8{}, hits: &simd.HitsU8{}}
}

// compareLease compares the strip of a lease with the references of its jobs.
func (w *scanner) compareLease(l *lease) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = matcher.Errorf(matcher.CodeInternal, "memory: scan: panic: %v\n%s", p, debug.Stack())
		}
	}()
	if l.tasks[0].strip.few != nil {
		w.compareFew(l.tasks[0])
		return nil
	}
	v := l.tasks[0].job.version
	blocks := table.HasBlocks(v)
	if c := l.tasks[0].strip.view.Slabs[v.Type].Coarse; c != nil && c.Poor(l.tasks[0].strip.lo, l.tasks[0].strip.hi) {
		blocks = false
	}
	separate := func(p task) bool { return blocks && w.sparse(p) }
	for _, p := range l.tasks {
		if separate(p) {
			w.compareSparse(p)
		}
	}
	w.members = w.members[:0]
	for _, p := range l.tasks {
		if !separate(p) {
			w.addMembers(p, blocks)
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

// addMembers adds the references of a task to w.members. A fused search is added as its
// parts if blocks are compared, and otherwise as a whole.
func (w *scanner) addMembers(p task, blocks bool) {
	if len(w.members) == 0 {
		w.fusions = w.fusions[:0]
	}
	for _, s := range p.job.Searches {
		m := member{search: s, strip: p.strip}
		switch first := s.whole != nil && s == s.whole.fused.parts[0]; {
		case s.whole != nil && !blocks:
			if m.search = s.whole; !first {
				continue
			}
		case s.whole != nil:
			if first {
				w.addFusion(s.whole)
			}
			m.fusion = len(w.fusions)
		}
		w.members = append(w.members, m)
	}
	for len(w.pending) < len(w.members) {
		w.pending = append(w.pending, nil)
	}
	for i := range w.members {
		w.pending[i] = w.pending[i][:0] // hits may be left of a strip at which this worker has failed
	}
}

// offerPending offers the pending hits of all members.
func (w *scanner) offerPending() {
	for i, found := range w.pending[:len(w.members)] {
		if len(found) > 0 {
			w.members[i].search.offer(found)
			w.pending[i] = found[:0]
		}
	}
	w.offerFused()
}

// forget drops the pointers that would keep a snapshot in memory.
func (w *scanner) forget() {
	clear(w.members[:cap(w.members)])
	w.forgetFusions()
	clear(w.packed[:cap(w.packed)])
	clear(w.vectors[:cap(w.vectors)])
	w.members, w.packed, w.vectors, w.part = w.members[:0], w.packed[:0], w.vectors[:0], strip{}
	w.tile.Reset()
	w.next.Reset()
}

// packQueries puts the references of w.members into w.queries, in the form that s needs,
// unless they are already there.
func (w *scanner) packQueries(s *table.Slab) {
	step := 0.0
	if s.Coarse != nil {
		step = s.Coarse.Step
	}
	same := len(w.packed) == len(w.members) && w.step == step
	for i := 0; same && i < len(w.members); i++ {
		same = w.packed[i] == w.members[i].search
	}
	if same {
		return
	}
	w.packed, w.vectors, w.step = w.packed[:0], w.vectors[:0], step
	for i, m := range w.members {
		w.packed = append(w.packed, m.search)
		if step == 0 {
			w.vectors = append(w.vectors, m.search.query)
			continue
		}
		if i == len(w.copies) {
			w.copies = append(w.copies, table.CoarseQuery{})
		}
		w.copies[i].Set(step, m.search.floats, m.search.scale())
		w.vectors = append(w.vectors, w.copies[i].Bytes)
	}
	w.kernel.PackU8(&w.queries, w.vectors)
}

// compareDense compares all rows of a strip with w.members. The members may come from
// different snapshots, so their strips may have different numbers of rows.
func (w *scanner) compareDense(v *matcher.Version) {
	longest := w.members[0].strip
	for _, m := range w.members[1:] {
		if m.strip.hi > longest.hi {
			longest = m.strip
		}
	}
	w.packQueries(&longest.view.Slabs[v.Type])
	s := slabView{&longest.view.Slabs[v.Type], longest.hi}
	if len(w.members) == 1 {
		w.scanRange(&s, 0, longest.lo/simd.BlockRows, (longest.hi+simd.BlockRows-1)/simd.BlockRows)
	} else {
		w.scanTiles(&s, longest.lo)
	}
	w.offerPending()
}

// scanTiles compares the rows of s from lo on with w.members, 64 rows at a time.
func (w *scanner) scanTiles(s *slabView, lo int) {
	groups := w.queries.Groups()
	for at := lo; at < s.rows; at += simd.TileRows {
		if at == lo || at%table.ZoneRows == 0 {
			w.setLimits(s, at)
		}
		if at == lo {
			w.fillTile(w.tile, s, at, s.rows)
		}
		w.fillTile(w.next, s, at+simd.TileRows, s.rows)
		always := s.mustCompare(at)
		for g := range groups {
			w.kernel.TileU8(&w.queries, g, w.tile, &w.limits[g], w.hits, w.next)
			first, count := w.queries.Group(g)
			w.keepValues(first, count)
			for q, mask := range w.hits.Masks[:count] {
				if mask |= always; mask != 0 && w.takeRows(s, first+q, at, mask, w.hits.Values[q][:]) {
					w.limits[g][q] = w.limit(s, first+q, at)
				}
			}
		}
		if w.fusedMemory.found {
			w.takeFused(s, w.blocksAt(at))
		}
		w.tile, w.next = w.next, w.tile
	}
}

// blocksAt returns the blocks of the tile that begins with row at.
func (w *scanner) blocksAt(at int) []uint32 {
	w.list = w.list[:0]
	for b := range uint32(simd.TileBlocks) {
		w.list = append(w.list, uint32(at/simd.BlockRows)+b)
	}
	return w.list
}

// setLimits sets the limits of all queries for the zone of row at. Within a zone, a limit
// is only set again when its query has found something. What other workers find for it
// takes effect in the next zone: a limit that is too high costs only time.
func (w *scanner) setLimits(s *slabView, at int) {
	groups := w.queries.Groups()
	w.limits = slices.Grow(w.limits[:0], groups)[:groups]
	for g := range w.limits {
		first, count := w.queries.Group(g)
		for q := range count {
			w.limits[g][q] = w.limit(s, first+q, at)
		}
		for q := count; q < w.kernel.GroupU8(); q++ {
			w.limits[g][q] = math.MinInt32 // a kernel is slower if a missing query has hits
		}
	}
}

// slabView is a slab with the number of rows that a snapshot shows. Its last block may
// have rows that the writer is changing. Kernels read whole blocks, and takeRows drops
// such rows.
type slabView struct {
	*table.Slab
	rows int
}

// mustCompare returns the rows that must always be compared exactly, because kernel
// values say nothing about them. It has one bit for each of the 64 rows from at&^63 on,
// so a caller whose at is not a multiple of 64 shifts it by at&63.
func (s *slabView) mustCompare(at int) uint64 {
	if s.Coarse == nil {
		return 0
	}
	return s.Coarse.Cut[at/64].Load()
}

// fillTile fills t with the rows at..hi-1, or with as many of them as fit.
func (w *scanner) fillTile(t *simd.TileU8, s *slabView, at, hi int) {
	t.Reset()
	for b := at / simd.BlockRows; b < (min(hi, at+simd.TileRows)+simd.BlockRows-1)/simd.BlockRows; b++ {
		t.AddBlock(s.Block(b))
	}
}

// limit returns the kernel value above which a row in the zone of row at cannot become a
// hit of query q.
func (w *scanner) limit(s *slabView, q, at int) int32 {
	within := w.members[q].search.within()
	if s.Coarse == nil {
		return w.queries.Limit(q, uint32(min(within, math.MaxInt32)))
	}
	e, norm := s.Coarse.Bounds(at/table.ZoneRows, s.rows, s.Version.Length)
	return w.copies[q].Limit(s.Coarse.Step, within, e, norm)
}

// scanRange compares blocks lo..hi-1 with query q alone.
func (w *scanner) scanRange(s *slabView, q, lo, hi int) {
	for lo < hi {
		n := min(scanBlocks-lo%scanBlocks, hi-lo) // stay within a zone
		block, consts := s.Block(lo)
		if n > 1 {
			block, consts = s.Blocks[lo*len(block):(lo+n)*len(block)], s.Consts[lo*simd.BlockRows:(lo+n)*simd.BlockRows]
		}
		w.kernel.ScanU8(&w.queries, q, block, consts, w.limit(s, q, lo*simd.BlockRows), w.values[:n*simd.BlockRows], w.masks[:n])
		for b, mask := range w.masks[:n] {
			w.takeBlock(s, q, lo+b, uint64(mask), w.values[b*simd.BlockRows:])
		}
		lo += n
	}
}

// takeRows offers the rows of mask to the search of query q, but only those that its
// strip has and selects. The first bit of mask is the row at offset at. Hits are pending
// until there are enough of them. takeRows reports whether the bound may have changed.
func (w *scanner) takeRows(s *slabView, q, at int, mask uint64, values []int32) bool {
	m := &w.members[q]
	if left := m.strip.hi - at; left < 64 {
		mask &= 1<<max(0, left) - 1
	}
	if selected := m.strip.mask; selected != nil && mask != 0 {
		mask &= selected[(at-m.strip.lo)>>6] >> (at & 63)
	}
	if m.fusion > 0 {
		w.addFused(s, q, at, mask, values)
		return false
	}
	if s.Coarse != nil {
		w.takeCoarse(s, q, at, mask, values)
		return true
	}
	found, norm, first := w.pending[q], w.queries.Distance(q, 0), m.strip.base+uint32(at)
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		found = append(found, Hit{float64(uint32(values[i]) + norm), first + uint32(i)})
	}
	full := len(found) >= m.search.batch
	if full {
		m.search.offer(found)
		found = found[:0]
	}
	w.pending[q] = found
	return full
}

// takeCoarse compares the rows of mask exactly, one after the other. Each hit can lower
// the bound, so takeCoarse skips rows that the current bound excludes.
func (w *scanner) takeCoarse(s *slabView, q, at int, mask uint64, values []int32) {
	m, always := &w.members[q], s.mustCompare(at)>>(at&63)
	limit := w.limit(s, q, at)
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if values[i] > limit && always>>i&1 == 0 {
			continue
		}
		w.compareRun(s.Version, m, at+i, 1, 1)
		limit = w.limit(s, q, at)
	}
}
