package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"nearside/simd/gen/vex"
)

// This kernel multiplies tiles: registers of 16 rows of 64 bytes. TDPBSUD multiplies the
// signed bytes of 16 queries by the unsigned bytes of 16 rows and adds to 256 sums. 16
// lines of a block are a tile as they are: each line holds four dimensions of every row.
//
// The kernel multiplies a lane of up to 16 queries by all four blocks, so it has four
// tiles of sums. Blocks of 512 dimensions then stay in the L1 cache for all lanes, and a
// loaded tile of queries is used four times. Queries come from the L2 cache; loads that
// say so were measured 12 % faster. Two lanes and two blocks at a time miss the L1 cache
// more often and were 20 % slower. Four lanes and one block at a time were 30 % slower,
// because the CPU reads four blocks from memory faster than one.
//
// The CPU prefetches blocks by itself once it reads them, page by page. So the kernel only
// prefetches the beginning of pages, and only after a lane: that was 11 % faster with 64
// queries. Prefetching all lines while it multiplies was up to 20 % slower than nothing,
// because it competes with the loads of queries.
//
// If the lines of a block are no multiple of 16, the last tile of a block repeats
// lines, for which the queries have zeros. So no byte after a block is read. A block
// of less than 16 lines makes the tiles smaller; the configuration has their sizes.

const (
	tileBytes  = 16 * line
	laneMax    = 16 // queries of a lane
	groupWide  = 4 * laneMax
	valueBytes = 4 * tileRows // bytes of a query's values
)

// The tile registers: sums first, then queries, then rows.
const (
	tileSums    = vex.Tile(0)
	tileQueries = vex.Tile(4)
	tileRow     = vex.Tile(5)
	tileRowMax  = 3 // number of registers for rows
)

// tileAMX generates a tile of any number of lanes.
func tileAMX(name string) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(config *[64]byte, queries []uint32, lane, lanes int, blocks *[%d][]byte, consts *[%[1]d][]int32, limits *[%d]int32, "+
			"values *[%[2]d][%d]int32, masks *[%[2]d]uint64, sums *[%[4]d][%[3]d]int32, next *[%[1]d][]byte, ahead int)",
		tileBlocks, groupWide, tileRows, laneMax))
	Doc(name+" compares lanes*lane queries with the rows of four blocks. It writes masks that are not",
		"zero, and the values of their queries. sums is its working memory. After each lane it",
		"prefetches the beginning of the following ahead blocks of next. The caller has checked the",
		"sizes.")
	Pragma("noescape")
	vex.LDTILECFG(Mem{Base: pointer("config")})

	last := GP64() // offset of the last tile in a block
	MOVQ(Mem{Base: pointer("blocks"), Disp: 8}, last)
	zero := GP64()
	XORQ(zero, zero)
	SUBQ(I32(tileBytes), last)
	CMOVQLT(zero, last)
	stride := GP64()
	MOVQ(U32(line), stride)
	queries := base("queries")
	f := &finisher{values: pointer("values"), masks: pointer("masks"), limits: pointer("limits")}
	lanes := Load(Param("lanes"), GP64())

	next := pointer("next")
	Label("lane")
	multiplyTiles(queries, last, stride)
	f.finishTiles(stride)
	prefetchBlocks(next)
	DECQ(lanes)
	JNZ(LabelRef("lane"))
	vex.TILERELEASE()
	VZEROUPPER()
	RET()
	f.hits()
}

// prefetchBlocks prefetches the first lines of the first two pages of some blocks.
func prefetchBlocks(next reg.Register) {
	const lines, page = 8, 4096
	left := Load(Param("ahead"), GP64())
	TESTQ(left, left)
	JZ(LabelRef("prefetched"))
	Label("prefetch")
	block := header(next, 0)
	for i := range lines {
		PREFETCHT1(Mem{Base: block, Disp: i * line})
		PREFETCHT1(Mem{Base: block, Disp: page + i*line})
	}
	ADDQ(I32(slice), next)
	DECQ(left)
	JNZ(LabelRef("prefetch"))
	Label("prefetched")
}

// multiplyTiles adds up the products of a lane and four blocks. The tiles of queries
// follow each other in memory in the order of their use.
func multiplyTiles(queries, last, stride reg.Register) {
	for b := range vex.Tile(tileBlocks) {
		vex.TILEZERO(tileSums + b)
	}
	at := GP64()
	XORQ(at, at)

	Label("tile")
	vex.TILELOADDT1(Mem{Base: queries, Index: stride, Scale: 1}, tileQueries)
	blocks := pointer("blocks")
	for b := range vex.Tile(tileBlocks) {
		rows := header(blocks, int(b))
		ADDQ(at, rows)
		vex.TILELOADD(Mem{Base: rows, Index: stride, Scale: 1}, tileRow+b%tileRowMax)
		vex.TDPBSUD(tileRow+b%tileRowMax, tileQueries, tileSums+b)
	}
	step := Load(Param("lane"), GP64())
	SHLQ(U8(6), step)
	ADDQ(step, queries)
	CMPQ(at, last)
	JE(LabelRef("sums"))
	ADDQ(I32(tileBytes), at)
	CMPQ(at, last)
	CMOVQGT(last, at)
	JMP(LabelRef("tile"))
	Label("sums")
}

// finishTurn is the number of queries of an iteration of finishTiles. Lanes have a multiple
// of it.
const finishTurn = 2

// finisher holds the addresses for an iteration of finishTiles.
type finisher struct{ sums, values, masks, limits reg.Register }

// finishTiles stores the sums of a lane and jumps to hits for queries with values within
// their limits, which are few. A value is c-2*dot. With h = floor(c/2) it is 2*(h-dot) or
// one more, so only the least of every four values h-dot is compared.
func (f *finisher) finishTiles(stride reg.Register) {
	f.sums = pointer("sums")
	for b := range vex.Tile(tileBlocks) {
		vex.TILESTORED(tileSums+b, Mem{Base: f.sums, Index: stride, Scale: valueBytes / line, Disp: int(b) * line})
	}
	array := pointer("consts")
	var halves [tileBlocks]reg.VecVirtual
	for b := range halves {
		halves[b] = ZMM()
		VPSRAD(U8(1), Mem{Base: header(array, b)}, halves[b])
	}
	left := Load(Param("lane"), GP64())
	Label("query")
	var near [finishTurn]reg.OpmaskVirtual
	for q := range near {
		var v [tileBlocks]reg.VecVirtual
		for b := range v {
			v[b] = ZMM()
			VPSUBD(Mem{Base: f.sums, Disp: q*valueBytes + b*line}, halves[b], v[b])
		}
		VPMINSD(v[1], v[0], v[0])
		VPMINSD(v[3], v[2], v[2])
		VPMINSD(v[2], v[0], v[0])
		VPADDD(v[0], v[0], v[0])
		near[q] = K()
		VPCMPD_BCST(U8(2), Mem{Base: f.limits, Disp: 4 * q}, v[0], near[q]) // at most the limit
	}
	KORTESTW(near[0], near[1])
	JNZ(LabelRef("hits"))
	Label("finished")
	ADDQ(I32(finishTurn*valueBytes), f.sums)
	ADDQ(I32(finishTurn*valueBytes), f.values)
	ADDQ(I32(finishTurn*8), f.masks)
	ADDQ(I32(finishTurn*4), f.limits)
	SUBQ(I32(finishTurn), left)
	JG(LabelRef("query"))
}

// hits writes the values and the masks of the queries of an iteration.
func (f *finisher) hits() {
	Label("hits")
	array := pointer("consts")
	var hits [finishTurn][tileBlocks]reg.OpmaskVirtual
	for b := range tileBlocks {
		c := ZMM()
		VMOVDQU32(Mem{Base: header(array, b)}, c)
		for q := range hits {
			v, at := ZMM(), q*valueBytes+b*line
			VPSLLD(U8(1), Mem{Base: f.sums, Disp: at}, v)
			VPSUBD(v, c, v)
			VMOVDQU32(v, Mem{Base: f.values, Disp: at})
			hits[q][b] = K()
			VPCMPD_BCST(U8(2), Mem{Base: f.limits, Disp: 4 * q}, v, hits[q][b])
			if b%2 > 0 {
				KUNPCKWD(hits[q][b-1], hits[q][b], hits[q][b-1]) // the first becomes the low half
			}
		}
	}
	for q := range hits {
		KUNPCKDQ(hits[q][0], hits[q][2], hits[q][0])
		KMOVQ(hits[q][0], Mem{Base: f.masks, Disp: 8 * q})
	}
	JMP(LabelRef("finished"))
}
