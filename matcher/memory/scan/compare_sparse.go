package scan

import (
	"math/bits"

	"nearside/matcher/memory/table"
	"nearside/simd"
)

// tileShare is the fraction of blocks with a selected row from which comparing all blocks
// is faster for several references. ARCHITECTURE.md has the measurements.
const tileShare = 0.85

// sparse reports whether skipping the blocks of a strip without a selected row is faster
// than comparing all rows.
func (w *scanner) sparse(p task) bool {
	if len(p.job.Searches) > 1 {
		return p.strip.share < tileShare
	}
	return p.strip.share < w.kernel.ListShare()
}

// compareSparse compares the references of one job with those blocks of a strip that have
// a selected row. A single selected row costs its whole block, because a scan always
// reads 16 adjacent rows.
func (w *scanner) compareSparse(p task) {
	w.members = w.members[:0]
	w.addMembers(p, true)
	w.packQueries(&p.strip.view.Slabs[p.job.version.Type])
	w.list = w.list[:0]
	for i, word := range p.strip.mask {
		for left := blocksOf(word); left != 0; left &= left - 1 {
			w.list = append(w.list, uint32((p.strip.lo+i*64+bits.TrailingZeros64(left))/simd.BlockRows))
		}
	}
	s := slabView{&p.strip.view.Slabs[p.job.version.Type], p.strip.hi}
	if len(w.members) == 1 {
		w.scanList(&s)
	} else {
		w.tileList(&s)
	}
	w.offerPending()
}

// listEnd returns the end of a run of w.list that starts at lo and can share a limit. The
// run has at most n blocks. If the slab has a coarse copy, all of them are in one zone.
func (w *scanner) listEnd(s *slabView, lo, n int) int {
	hi := min(lo+n, len(w.list))
	if s.Coarse != nil {
		for hi > lo && w.list[hi-1]/table.ZoneBlocks != w.list[lo]/table.ZoneBlocks {
			hi--
		}
	}
	return hi
}

// scanList compares the blocks of w.list with the only reference.
func (w *scanner) scanList(s *slabView) {
	for lo := 0; lo < len(w.list); {
		hi := w.listEnd(s, lo, scanBlocks)
		n, ahead := hi-lo, min(hi+simd.TileBlocks, len(w.list))
		limit := w.limit(s, 0, int(w.list[lo])*simd.BlockRows)
		w.kernel.ListU8(&w.queries, 0, s.Blocks, s.Consts, w.list[lo:ahead], limit, w.values[:n*simd.BlockRows], w.masks[:n])
		for i, mask := range w.masks[:n] {
			w.takeBlock(s, 0, int(w.list[lo+i]), uint64(mask), w.values[i*simd.BlockRows:])
		}
		lo = hi
	}
}

// tileList compares the blocks of w.list with all references, four blocks at a time.
func (w *scanner) tileList(s *slabView) {
	for lo := 0; lo < len(w.list); {
		hi := w.listEnd(s, lo, simd.TileBlocks)
		w.fillList(w.tile, s, w.list[lo:hi])
		w.fillList(w.next, s, w.list[hi:w.listEnd(s, hi, simd.TileBlocks)])
		w.setLimits(s, int(w.list[lo])*simd.BlockRows)
		for g := range w.queries.Groups() {
			w.kernel.TileU8(&w.queries, g, w.tile, &w.limits[g], w.hits, w.next)
			first, count := w.queries.Group(g)
			w.keepValues(first, count)
			for q := range count {
				for i, b := range w.list[lo:hi] {
					w.takeBlock(s, first+q, int(b), w.hits.Masks[q]>>(i*simd.BlockRows)&0xffff, w.hits.Values[q][i*simd.BlockRows:])
				}
			}
		}
		if w.fusedMemory.found {
			w.takeFused(s, w.list[lo:hi])
		}
		lo = hi
	}
}

// fillList fills t with up to four blocks.
func (w *scanner) fillList(t *simd.TileU8, s *slabView, list []uint32) {
	t.Reset()
	for _, b := range list {
		t.AddBlock(s.Block(int(b)))
	}
}

// takeBlock does the same as takeRows for one block. It adds the rows that must always be
// compared.
func (w *scanner) takeBlock(s *slabView, q, b int, mask uint64, values []int32) {
	at := b * simd.BlockRows
	if mask |= s.mustCompare(at) >> (at & 63) & 0xffff; mask != 0 {
		w.takeRows(s, q, at, mask, values)
	}
}
