package simd

import "fmt"

// TileBlocks is the number of blocks of a tile, TileRows that of its rows.
const (
	TileBlocks = 4
	TileRows   = TileBlocks * BlockRows
)

// Tile names up to four blocks of uint8 (C is int32) or float32 rows, with
// their constants. The blocks need not be neighbours. It is not safe for
// concurrent use, and does not keep the garbage collector from anything but
// what its slices point to. The zero value has no blocks.
type Tile[C int32 | float32] struct {
	count  int
	blocks [TileBlocks][]byte
	consts [TileBlocks][]C
}

type (
	// TileU8 names blocks of uint8 rows.
	TileU8 = Tile[int32]
	// TileF32 names blocks of float32 rows.
	TileF32 = Tile[float32]
)

// Reset removes all blocks.
func (t *Tile[C]) Reset() { *t = Tile[C]{} }

// Len returns the number of blocks.
func (t *Tile[C]) Len() int { return t.count }

// Add puts a block and its constants, as ScanU8 and ScanF32 describe them,
// behind those that are there. It panics when there are four.
func (t *Tile[C]) Add(block []byte, consts []C) {
	if t.count == TileBlocks {
		panic("simd: a tile has four blocks")
	}
	// A kernel always reads four: the first one stands for those that are missing.
	if t.count == 0 {
		for i := range TileBlocks {
			t.blocks[i], t.consts[i] = block, consts
		}
	}
	t.blocks[t.count], t.consts[t.count] = block, consts
	t.count++
}

// check stands between the caller and assembly that trusts the sizes.
func (t *Tile[C]) check(bytes, consts int) {
	if t.count == 0 {
		panic("simd: a tile without blocks")
	}
	for i := range t.count {
		if len(t.blocks[i]) != bytes || len(t.consts[i]) != consts {
			panic(fmt.Sprintf("simd: block %d of a tile has %d bytes and %d constants, want %d and %d",
				i, len(t.blocks[i]), len(t.consts[i]), bytes, consts))
		}
	}
}

// ahead returns what a kernel shall prefetch, or nil.
func (t *Tile[C]) ahead() *[TileBlocks][]byte {
	if t == nil || t.count == 0 {
		return nil
	}
	return &t.blocks
}

// Hits is what a tile's kernel found, by the query's place in its group.
type Hits[C int32 | float32] struct {
	// Values are the values of the rows, block after block. Those of queries or
	// blocks that are not there have no meaning.
	Values [GroupMax][TileRows]C
	// Masks have a bit for each row whose value is not above the query's limit.
	Masks [GroupMax]uint64

	one [1]uint16 // the mask of one block
}

type (
	// HitsU8 is what TileU8 found.
	HitsU8 = Hits[int32]
	// HitsF32 is what TileF32 found.
	HitsF32 = Hits[float32]
)

// trim clears the masks of queries and blocks that are not there.
func (h *Hits[C]) trim(queries, blocks int) {
	rows := ^uint64(0) >> (TileRows - blocks*BlockRows)
	for i := range h.Masks[:queries] {
		h.Masks[i] &= rows
	}
	clear(h.Masks[queries:])
}
