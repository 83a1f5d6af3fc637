package simd

import (
	"fmt"
	"slices"
)

// TileBlocks is the largest number of blocks of a tile and TileRows the largest
// number of its rows.
const (
	TileBlocks = 4
	TileRows   = TileBlocks * BlockRows
)

// TileU8 holds references to up to four blocks of uint8 rows and to their
// constants. The blocks may lie anywhere in memory. If they are outside the Go heap,
// the caller must keep them mapped while the tile is in use, because a TileU8 keeps
// only the slices themselves reachable. A TileU8 is not safe for concurrent use. The
// zero value has no blocks.
type TileU8 struct {
	count  int
	blocks [TileBlocks][]byte
	consts [TileBlocks][]int32
}

// Reset removes all blocks.
func (t *TileU8) Reset() { *t = TileU8{} }

// Len returns the number of blocks.
func (t *TileU8) Len() int { return t.count }

// AddBlock appends a block and its constants, which ScanU8 describes. It panics
// if the tile already has four blocks.
func (t *TileU8) AddBlock(block []byte, consts []int32) {
	if t.count == TileBlocks {
		panic(fmt.Sprintf("simd: a tile must have at most %d blocks", TileBlocks))
	}
	// A kernel always reads four blocks, so the first one fills the empty places.
	if t.count == 0 {
		for i := range TileBlocks {
			t.blocks[i], t.consts[i] = block, consts
		}
	}
	t.blocks[t.count], t.consts[t.count] = block, consts
	t.count++
}

// checkSizes panics unless t has blocks and each has the given size and a
// constant for each row. The assembly does not check sizes.
func (t *TileU8) checkSizes(blockBytes int) {
	if t.count == 0 {
		panic("simd: a tile must have at least one block")
	}
	for i := range t.count {
		if len(t.blocks[i]) != blockBytes || len(t.consts[i]) != BlockRows {
			panic(fmt.Sprintf("simd: block %d of a tile needs %d bytes and %d constants, got %d and %d",
				i, blockBytes, BlockRows, len(t.blocks[i]), len(t.consts[i])))
		}
	}
}

// prefetched returns the blocks that a kernel should prefetch, or nil if t is nil
// or has no blocks.
func (t *TileU8) prefetched() *[TileBlocks][]byte {
	if t == nil || t.count == 0 {
		return nil
	}
	return &t.blocks
}

// nextPart returns the blocks of next that group g prefetches, or nil, for a kernel that
// prefetches whole blocks. The first groups share this work, because a single group would
// request more than memory delivers while it computes, and would have to wait.
func (h *HitsU8) nextPart(g, groups int, next *TileU8) *[TileBlocks][]byte {
	parts := 1
	switch {
	case groups >= TileBlocks:
		parts = TileBlocks
	case groups >= 2:
		parts = 2
	}
	size := TileBlocks / parts
	if g >= parts || next == nil || g*size >= next.count {
		return nil
	}
	for b := g * size; b < min(next.count, (g+1)*size); b++ {
		h.part.AddBlock(next.blocks[b], next.consts[b])
	}
	return &h.part.blocks
}

// HitsU8 holds the results of TileU8. The first index is the query's position in
// its group.
type HitsU8 struct {
	// Values are the values of the rows, block after block. Known tells which of them have a
	// meaning.
	Values [GroupMax][TileRows]int32
	sums   [laneMax][TileRows]int32 // working memory of a wide tile

	// Masks have bit r set if the value of row r is at most the query's limit. The masks
	// after that of the group's last query have no meaning.
	Masks [GroupMax]uint64

	narrow    int       // the number of queries, if they are at most NarrowMax; else 0
	blockMask [1]uint16 // the mask of one block, for a tile that runs as scans
	part      TileU8    // the blocks that nextPart returns; empty between calls of TileU8
}

// Known reports whether the values of a query have a meaning. This is so if the query has a
// hit. In a group of at most NarrowMax queries, it is also so if another query has one.
func (h *HitsU8) Known(query int) bool {
	return h.Masks[query] != 0 || slices.ContainsFunc(h.Masks[:h.narrow], func(mask uint64) bool { return mask != 0 })
}

// trimMasks clears the mask bits of missing blocks.
func (h *HitsU8) trimMasks(queries, blocks int) {
	if blocks < TileBlocks {
		rows := ^uint64(0) >> (TileRows - blocks*BlockRows)
		for i := range h.Masks[:queries] {
			h.Masks[i] &= rows
		}
	}
}
