package simd

import "fmt"

// ScanU8 compares query number query of q with the rows of len(masks) consecutive
// blocks. consts has one constant for each row. The value of a row r with
// constant c, where q' is the query as signed bytes (each byte minus 128), is
//
//	c - 2*dot(r, q')
//
// ScanU8 sets values[16*b+i] to the value of row i of block b, and sets bit i of
// masks[b] if that value is at most limit. With constants from RowConstU8 the
// value is |query-r|^2 - |query|^2; q.Distance and q.Limit convert between values
// and distances. With other constants the value is a dot product with an offset
// for each row.
//
// Values are exact for constants within ±2^30 and up to DimMax dimensions. A
// product of a byte and a signed byte is in [-255*128, 255*127], so |dot| is at
// most 16384*32640 = 534,773,760 and |value| at most 2^30 + 2*534,773,760 < 2^31.
// With RowConstU8 a dimension adds r*(r-2q), which is within ±65025, to the
// value, so the value stays within ±1,065,369,600. So does |query|^2. Limits and
// distances therefore fit in an int32, too.
//
// ScanU8 panics if a kernel with a different packed form packed the query, or if
// blocks, consts and values do not fit len(masks) blocks. It reads memory
// strictly in order. It reads whole blocks, including rows that were never
// written. One call over a megabyte is a few per cent faster than four calls over
// a quarter of it.
func (k *Kernel) ScanU8(q *QueriesU8, query int, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16) {
	k.checkForm(q)
	single := q.single(query)
	checkScan(q.lines, len(masks), len(blocks), len(consts), len(values))
	k.scanU8(single, blocks, consts, limit, values, masks)
}

// ListU8 does the same as ScanU8 for blocks that are not consecutive: the blocks
// with the numbers list[:len(masks)]. Kernels that gain from it prefetch the
// blocks that follow in the list, for the next call.
//
// It panics in the same cases as ScanU8, and if a number in list is not a block.
func (k *Kernel) ListU8(q *QueriesU8, query int, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16) {
	k.checkForm(q)
	single := q.single(query)
	size := q.lines * line
	checkScan(q.lines, len(consts)/BlockRows, len(blocks), len(consts), len(consts))
	checkList(list, len(masks), len(consts)/BlockRows, len(values))
	done := 0
	if n := len(masks) &^ 3; n > 0 && k.listU8 != nil {
		k.listU8(single, blocks, consts, list, limit, values, masks[:n])
		done = n
	}
	for i := done; i < len(masks); i++ {
		b := int(list[i])
		k.scanU8(single, blocks[b*size:][:size], consts[b*BlockRows:][:BlockRows], limit, values[i*BlockRows:][:BlockRows], masks[i:i+1])
	}
}

// ListShare returns a fraction of all blocks, from 0 to 1. If a list has at least
// this fraction, a scan of all blocks is faster than ListU8 over the list. It was
// measured with blocks of 8 KiB in memory.
func (k *Kernel) ListShare() float64 { return k.listShare }

// TileU8 compares the queries of group g with the rows of tile t. It computes the
// same values and masks as ScanU8. limits are the limits of the group's queries.
// If next is not nil, TileU8 also prefetches some of its blocks into the L2 cache. A caller
// that runs several groups over a tile in memory should pass the tile that follows as next
// for each group: the groups share this work. A kernel of more than NarrowMax queries
// prefetches only the beginning of these blocks.
//
// TileU8 panics if a kernel with a different packed form packed the queries, or
// if the blocks do not have the queries' dimensions. Its arguments escape to the
// heap, so a caller should reuse them.
func (k *Kernel) TileU8(q *QueriesU8, g int, t *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
	k.checkForm(q)
	t.checkSizes(q.lines * line)
	_, count := q.Group(g)
	group := &q.groups[g]
	switch {
	case count > NarrowMax:
		if g > 0 {
			next = nil
		}
		k.tileWide(q, g, t, limits, hits, next)
	case count == 1:
		hits.Masks[0] = 0
		for b := range t.count {
			first := b * BlockRows
			k.scanU8(group.packed, t.blocks[b], t.consts[b], limits[0], hits.Values[0][first:][:BlockRows], hits.blockMask[:])
			hits.Masks[0] |= uint64(hits.blockMask[0]) << first
		}
	case k.spreadU8[NarrowMax] != nil:
		part, blocks := group.part, next.prefetched()
		if blocks == nil {
			part = prefetchPart{}
		}
		k.spreadU8[widths[count]](group.packed, &t.blocks, &t.consts, (*[NarrowMax]int32)(limits[:]),
			(*[NarrowMax][TileRows]int32)(hits.Values[:]), (*[NarrowMax]uint64)(hits.Masks[:]), blocks, part.block, part.at, part.bytes)
	default:
		k.tileU8[widths[count]](group.packed, &t.blocks, &t.consts, (*[NarrowMax]int32)(limits[:]),
			(*[NarrowMax][TileRows]int32)(hits.Values[:]), (*[NarrowMax]uint64)(hits.Masks[:]), hits.nextPart(g, q.Groups(), next))
		hits.part.Reset() // hits must not refer to blocks that may be unmapped
	}
	hits.trimMasks(count, t.count)
	hits.narrow = 0
	if count <= NarrowMax {
		hits.narrow = count
	}
}

// GroupU8 returns the number of queries of a full group. TileU8 is fastest for full
// groups.
func (k *Kernel) GroupU8() int { return k.groupU8 }

// checkForm panics unless q has the packed form that k reads.
func (k *Kernel) checkForm(q *QueriesU8) {
	if q.words != k.wordsU8 || q.width != k.groupU8 {
		panic(fmt.Sprintf("simd: %s needs queries with %d words for each line of a block, in groups of %d, got %d and %d",
			k.name, k.wordsU8, k.groupU8, q.words, q.width))
	}
}

// checkScan panics unless the lengths of blocks, consts and values fit count
// blocks. The assembly does not check lengths.
func checkScan(lines, count, blocks, consts, values int) {
	if blocks != count*lines*line || consts != count*BlockRows || values != count*BlockRows {
		panic(fmt.Sprintf("simd: %d blocks need %d bytes, %d constants and %[3]d values, got %d, %d and %d",
			count, count*lines*line, count*BlockRows, blocks, consts, values))
	}
}

// checkList panics unless the first count entries of list fit values and every
// entry is a number below blocks. The assembly does not check them.
func checkList(list []uint32, count, blocks, values int) {
	if count > len(list) || values != count*BlockRows {
		panic(fmt.Sprintf("simd: %d blocks need as many list entries and %d values, got %d and %d",
			count, count*BlockRows, len(list), values))
	}
	for _, b := range list {
		if int(b) >= blocks {
			panic(fmt.Sprintf("simd: block %d of a list is out of range, there are %d blocks", b, blocks))
		}
	}
}

// checkBlock panics unless a block has the right size and i is a row of it.
func checkBlock(blockBytes, want, i int) {
	if uint(i) >= BlockRows {
		panic(fmt.Sprintf("simd: row of a block must be 0 to %d, got %d", BlockRows-1, i))
	}
	if blockBytes != want {
		panic(fmt.Sprintf("simd: row needs a block of %d bytes, got %d", want, blockBytes))
	}
}
