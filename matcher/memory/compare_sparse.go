package memory

import (
	"math/bits"

	"nearside/simd"
)

// tileShare is the share of blocks with a selected row from which comparing
// all is faster for several references. ARCHITECTURE.md has the measurements.
const tileShare = 0.85

// sparse reports whether skipping the blocks of a strip that have no selected
// row is faster than comparing all rows.
func (w *scanner) sparse(p part) bool {
	if len(p.job.probes) > 1 {
		return p.strip.share < tileShare
	}
	return p.strip.share < w.kernel.ListShare()
}

// compareSparse compares the blocks of a strip that have a selected row with
// the references of one job. A scattered row costs its whole block: 16 rows
// side by side are what a scan reads anyway.
func (w *scanner) compareSparse(p part) {
	w.members = w.members[:0]
	w.join(p)
	w.pack(&p.strip.view.slabs[p.job.version.Type])
	w.list = w.list[:0]
	for i, word := range p.strip.mask {
		for left := blocksOf(word); left != 0; left &= left - 1 {
			w.list = append(w.list, uint32((p.strip.lo+i*64+bits.TrailingZeros64(left))/simd.BlockRows))
		}
	}
	s := shown{&p.strip.view.slabs[p.job.version.Type], p.strip.hi}
	if len(w.members) == 1 {
		w.scanList(&s)
	} else {
		w.tileList(&s)
	}
}

// listEnd returns the end of up to n blocks of w.list from lo that share a
// limit: that of their zone, where there are any.
func (w *scanner) listEnd(s *shown, lo, n int) int {
	hi := min(lo+n, len(w.list))
	if s.coarse != nil {
		for hi > lo && w.list[hi-1]/zoneBlocks != w.list[lo]/zoneBlocks {
			hi--
		}
	}
	return hi
}

// scanList compares the blocks of w.list with the only reference.
func (w *scanner) scanList(s *shown) {
	for lo := 0; lo < len(w.list); {
		hi := w.listEnd(s, lo, scanBlocks)
		n, ahead := hi-lo, min(hi+simd.TileBlocks, len(w.list))
		limit := w.limit(s, 0, int(w.list[lo])*simd.BlockRows)
		w.kernel.ListU8(&w.queries, 0, s.blocks, s.consts, w.list[lo:ahead], limit, w.values[:n*simd.BlockRows], w.masks[:n])
		for i, mask := range w.masks[:n] {
			w.takeBlock(s, 0, int(w.list[lo+i]), uint64(mask), w.values[i*simd.BlockRows:])
		}
		lo = hi
	}
}

// tileList compares the blocks of w.list with all references, four at once.
func (w *scanner) tileList(s *shown) {
	for lo := 0; lo < len(w.list); {
		hi := w.listEnd(s, lo, simd.TileBlocks)
		w.fillList(w.tile, s, w.list[lo:hi])
		w.fillList(w.next, s, w.list[hi:w.listEnd(s, hi, simd.TileBlocks)])
		next := w.next
		for g := range w.queries.Groups() {
			w.compareTile(s, g, int(w.list[lo])*simd.BlockRows, next)
			next = nil
			first, count := w.queries.Group(g)
			for q := range count {
				for i, b := range w.list[lo:hi] {
					w.takeBlock(s, first+q, int(b), w.hits.Masks[q]>>(i*simd.BlockRows)&0xffff, w.hits.Values[q][i*simd.BlockRows:])
				}
			}
		}
		lo = hi
	}
}

// fillList makes a tile of up to four blocks.
func (w *scanner) fillList(t *simd.TileU8, s *shown, list []uint32) {
	t.Reset()
	for _, b := range list {
		t.Add(s.block(int(b)))
	}
}

// takeBlock is take for one block, with what kernels say nothing about.
func (w *scanner) takeBlock(s *shown, q, b int, mask uint64, values []int32) {
	at := b * simd.BlockRows
	if mask |= s.always(at) >> (at & 63) & 0xffff; mask != 0 {
		w.take(s, q, at, mask, values)
	}
}
