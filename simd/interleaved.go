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
// blocks, consts and values do not fit len(masks) blocks. It reads memory
// strictly in order and reads all of a block, also rows that nobody has written;
// a call over a megabyte is a few per cent faster than four over a quarter of it.
func (k *Kernel) ScanU8(q *QueriesU8, query int, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16) {
	k.checkForm(q)
	single := q.single(query)
	checkScan(q.lines, len(masks), len(blocks), len(consts), len(values), BlockRows)
	k.scanU8(single, blocks, consts, limit, values, masks)
}

// ListU8 is ScanU8 for blocks that lie apart: those whose numbers among blocks
// are list[:len(masks)]. What comes behind them in the list is prefetched, for
// the next call, where that gains anything.
//
// It panics as ScanU8 does, and when a number is not below that of blocks.
func (k *Kernel) ListU8(q *QueriesU8, query int, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16) {
	k.checkForm(q)
	single := q.single(query)
	size := q.lines * line
	checkScan(q.lines, len(consts)/BlockRows, len(blocks), len(consts), len(consts), BlockRows)
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

// ListShare returns the share of all blocks from which scanning all is faster
// than ListU8 over some, as measured with blocks of 8 KiB from memory.
func (k *Kernel) ListShare() float64 { return k.share }

// TileU8 compares the queries of group g with the rows of a tile, as ScanU8 does.
// limits are those of the group's queries. When next is not nil, its blocks are
// brought into the L2 cache on the way. In a pass over a tile from memory, name
// the tile that follows on the first two groups: part of what one group asks for
// is dropped. For 16 queries of 512 dimensions this was measured 14 % faster than
// asking once, and 40 % faster than not at all.
//
// It panics when the queries were packed by a kernel of another form or for
// blocks of another size. Its arguments escape: keep them where they are used again.
func (k *Kernel) TileU8(q *QueriesU8, g int, t *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
	k.checkForm(q)
	t.check(q.lines*line, BlockRows)
	tile(&q.queries, g, t, limits, hits, next, k.scanU8, &k.tileU8)
}

// TermsF32 is the number of constants of a block of float32 rows: 16 addends,
// then 16 factors.
const TermsF32 = 2 * BlockRows

// PutTermsF32 writes the constants of row i (0 to 15) of a block. For squared L2
// distances they are |r|^2 and -2, for cosine 0 and -1/|r| or what suits.
func PutTermsF32(terms []float32, i int, addend, factor float32) {
	terms[i], terms[i+BlockRows] = addend, factor
}

// ScanF32 compares one query with the rows of len(masks) consecutive blocks, as
// ScanU8 does. consts has TermsF32 constants for each block. The value of a row
// r with addend a and factor f is a + f*dot(r, query). For finite input it is within
//
//	ErrorBound(n)*(|a| + |f|*sum(|r[j]*query[j]|)) + (1+|f|)*UnderflowBound
//
// of the exact value, as long as each product of this stays below the largest
// float32. A bit of a mask is set for a value at most limit and for one that is
// not finite, since the exact value may be anything then.
//
// It panics when blocks, consts and values do not fit len(masks) blocks.
func (k *Kernel) ScanF32(q *QueriesF32, query int, blocks []byte, consts []float32, limit float32, values []float32, masks []uint16) {
	single := q.single(query)
	checkScan(q.lines, len(masks), len(blocks), len(consts), len(values), TermsF32)
	k.scanF32(single, blocks, consts, limit, values, masks)
}

// TileF32 compares the queries of group g with the rows of a tile, as ScanF32
// and TileU8 do.
func (k *Kernel) TileF32(q *QueriesF32, g int, t *TileF32, limits *[GroupMax]float32, hits *HitsF32, next *TileF32) {
	t.check(q.lines*line, TermsF32)
	tile(&q.queries, g, t, limits, hits, next, k.scanF32, &k.tileF32)
}

// tile is TileU8 and TileF32 after their checks.
func tile[W uint32 | float32, C int32 | float32](q *queries[W], g int, t *Tile[C], limits *[GroupMax]C, hits *Hits[C], next *Tile[C],
	scan scanFunc[W, C], tiles *tileFuncs[W, C],
) {
	_, count := q.Group(g)
	packed, width := q.group(g)
	if width > 1 {
		tiles[width](packed, &t.blocks, &t.consts, limits, &hits.Values, &hits.Masks, next.ahead())
	} else {
		hits.Masks[0] = 0
		for b := range t.count {
			at := b * BlockRows
			scan(packed, t.blocks[b], t.consts[b], limits[0], hits.Values[0][at:][:BlockRows], hits.one[:])
			hits.Masks[0] |= uint64(hits.one[0]) << at
		}
	}
	hits.trim(count, t.count)
}

// checkForm panics when q is for kernels that read other words.
func (k *Kernel) checkForm(q *QueriesU8) {
	if q.words != k.wordsU8 {
		panic(fmt.Sprintf("simd: %s reads %d words for each line of a block, the queries have %d", k.name, k.wordsU8, q.words))
	}
}

// checkScan stands between the caller and assembly that trusts its lengths.
func checkScan(lines, count, blocks, consts, values, constsOfBlock int) {
	if blocks != count*lines*line || consts != count*constsOfBlock || values != count*BlockRows {
		panic(fmt.Sprintf("simd: %d bytes, %d constants, %d values are not %d blocks of %d bytes",
			blocks, consts, values, count, lines*line))
	}
}

// checkList stands between the caller and assembly that trusts the numbers.
func checkList(list []uint32, count, blocks, values int) {
	if count > len(list) || values != count*BlockRows {
		panic(fmt.Sprintf("simd: %d values of %d blocks of a list of %d", values, count, len(list)))
	}
	for _, b := range list {
		if int(b) >= blocks {
			panic(fmt.Sprintf("simd: block %d of %d", b, blocks))
		}
	}
}

// checkBlock panics unless a block has the wanted size and a row i.
func checkBlock(bytes, want, i int) {
	if bytes != want || uint(i) >= BlockRows {
		panic(fmt.Sprintf("simd: row %d of %d in a block of %d bytes, want %d", i, BlockRows, bytes, want))
	}
}
