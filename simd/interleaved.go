package simd

import "fmt"

// ScanU8 compares one query with the rows of len(masks) consecutive blocks. The
// value of a row r with constant c is, with the signed bytes q' = query - 128,
//
//	c - 2*dot(r, q')
//
// values[16*b+i] is that of row i of block b, and bit i of masks[b] tells
// whether it is at most limit. With constants from RowConstU8 the value is
// |query-r|^2 - |query|^2: q.Distance and q.Limit convert. Other constants make
// it a bounded or plain dot product.
//
// All is exact for constants within ±2^30 and up to DimMax dimensions. A product
// of a byte and a signed byte lies in [-255*128, 255*127], so |dot| is at most
// 16384*32640 = 534,773,760 and a value within 2^30 + 2*534,773,760 < 2^31.
// Under RowConstU8 a dimension adds r*(r-2q), within ±65025, to the value, which
// therefore stays within ±1,065,369,600, and so does |query|^2: limits and
// distances fit in an int32, too.
//
// It panics when the query was packed by a kernel of another form, or when
// blocks, consts and values do not fit len(masks) blocks. It reads the rows
// strictly in order and reads all of a block, also rows that nobody has written.
func (k *Kernel) ScanU8(q *QueriesU8, query int, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16) {
	k.checkForm(q)
	single := q.single(query)
	checkScan(q.lines, len(masks), len(blocks), len(consts), len(values), BlockRows)
	k.scanU8(single, blocks, consts, limit, values, masks)
}

// TileU8 compares the queries of group g with the rows of a tile, as ScanU8 does.
// limits are those of the group's queries. When next is not nil its blocks are
// brought into the cache on the way: ask for it on the first group of a pass over
// a tile from memory, with the tile that follows, and on no other.
//
// It panics when the queries were packed by a kernel of another form or for
// blocks of another size. Its arguments escape: keep them where they are used again.
func (k *Kernel) TileU8(q *QueriesU8, g int, t *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
	k.checkForm(q)
	t.check(q.lines*line, BlockRows)
	ahead := aheadOf(next)
	_, count := q.Group(g)
	packed, width := q.group(g)
	if width == 1 {
		for b := range t.count {
			var mask [1]uint16
			k.scanU8(packed, t.blocks[b], t.consts[b], limits[0], hits.Values[0][b*BlockRows:][:BlockRows], mask[:])
			hits.Masks[0] = hits.Masks[0]&^(0xffff<<(b*BlockRows)) | uint64(mask[0])<<(b*BlockRows)
		}
	} else {
		k.tileU8[width](packed, &t.blocks, &t.consts, limits, &hits.Values, &hits.Masks, ahead)
	}
	hits.trim(count, t.count)
}

// checkForm panics when q is for kernels that read other words.
func (k *Kernel) checkForm(q *QueriesU8) {
	if q.words != k.wordsU8 {
		panic(fmt.Sprintf("simd: %s reads %d words for each line of a block, the queries have %d", k.name, k.wordsU8, q.words))
	}
}

// aheadOf returns the blocks that a kernel shall prefetch, or nil.
func aheadOf[C int32 | float32](next *Tile[C]) *[TileBlocks][]byte {
	if next == nil || next.count == 0 {
		return nil
	}
	return &next.blocks
}

// checkScan stands between the caller and assembly that trusts its lengths.
func checkScan(lines, count, blocks, consts, values, constsOfBlock int) {
	if blocks != count*lines*line || consts != count*constsOfBlock || values != count*BlockRows {
		panic(fmt.Sprintf("simd: %d bytes, %d constants, %d values are not %d blocks of %d bytes",
			blocks, consts, values, count, lines*line))
	}
}

// checkBlock panics unless a block has the wanted size and a row i.
func checkBlock(bytes, want, i int) {
	if bytes != want || uint(i) >= BlockRows {
		panic(fmt.Sprintf("simd: row %d of %d in a block of %d bytes, want %d", i, BlockRows, bytes, want))
	}
}
