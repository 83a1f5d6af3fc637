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
// loaded tile of queries is used four times. Two lanes and two blocks at a time need fewer
// loads, but more of them miss the L1 cache: that was measured 20 % slower. Queries come
// from the L2 cache; loads that say so were 12 % faster.
//
// The kernel does not prefetch. Tiles of rows are read in order, so the CPU prefetches
// them by itself, and prefetch instructions compete with the loads of queries: they were
// measured up to 20 % slower.
//
// If the lines of a block are no multiple of 16, the last tile of a block repeats
// lines, for which the queries have zeros. So no byte after a block is read. A block
// of less than 16 lines makes the tiles smaller; the configuration has their sizes.

const (
	tileBytes  = 16 * line
	laneMax    = 16 // queries of a lane
	groupWide  = 2 * laneMax
	valueBytes = 4 * tileRows // bytes of a query's values
)

// The tile registers: sums first, then queries, then rows.
const (
	tileSums    = vex.Tile(0)
	tileQueries = vex.Tile(4)
	tileRow     = vex.Tile(5)
	tileRowMax  = 3 // number of registers for rows
)

// tileAMX generates a tile of one or two lanes.
func tileAMX(name string) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(config *[64]byte, queries []uint32, lane, lanes int, blocks *[%d][]byte, consts *[%[1]d][]int32, limits *[%d]int32, "+
			"values *[%[2]d][%d]int32, masks *[%[2]d]uint64)",
		tileBlocks, groupWide, tileRows))
	Doc(name+" compares lanes*lane queries with the rows of four blocks. It writes masks that are not",
		"zero, and the values of their queries. The caller has checked the sizes.")
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
	values, masks, limits := pointer("values"), pointer("masks"), pointer("limits")
	lanes := Load(Param("lanes"), GP64())

	Label("lane")
	multiplyTiles(queries, last, stride)
	finishTiles(stride, values, masks, limits)
	DECQ(lanes)
	JNZ(LabelRef("lane"))
	vex.TILERELEASE()
	VZEROUPPER()
	RET()
	finishHits(values, masks, limits)
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

// finishTurn is the number of queries of an iteration of finishTiles. A single lane of a
// number of queries that it does not divide has one query more, with arbitrary sums.
const finishTurn = 2

// finishTiles stores the sums of a lane and jumps to finishHits for queries with values
// within their limits, which are few. A value is c-2*dot, so with h = floor(c/2) it is
// 2*(h-dot) or one more. Of every four values h-dot, the least one is compared.
func finishTiles(stride, values, masks, limits reg.Register) {
	for b := range vex.Tile(tileBlocks) {
		vex.TILESTORED(tileSums+b, Mem{Base: values, Index: stride, Scale: valueBytes / line, Disp: int(b) * line})
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
			VPSUBD(Mem{Base: values, Disp: q*valueBytes + b*line}, halves[b], v[b])
		}
		VPMINSD(v[1], v[0], v[0])
		VPMINSD(v[3], v[2], v[2])
		VPMINSD(v[2], v[0], v[0])
		VPADDD(v[0], v[0], v[0])
		near[q] = K()
		VPCMPD_BCST(U8(2), Mem{Base: limits, Disp: 4 * q}, v[0], near[q]) // at most the limit
	}
	KORTESTW(near[0], near[1])
	JNZ(LabelRef("hits"))
	Label("finished")
	ADDQ(I32(finishTurn*valueBytes), values)
	ADDQ(I32(finishTurn*8), masks)
	ADDQ(I32(finishTurn*4), limits)
	SUBQ(I32(finishTurn), left)
	JG(LabelRef("query"))
}

// finishHits turns the stored sums of the queries of an iteration into values and sets
// their masks.
func finishHits(values, masks, limits reg.Register) {
	Label("hits")
	array := pointer("consts")
	var hits [finishTurn][tileBlocks]reg.OpmaskVirtual
	for b := range tileBlocks {
		c := ZMM()
		VMOVDQU32(Mem{Base: header(array, b)}, c)
		for q := range hits {
			v, at := ZMM(), Mem{Base: values, Disp: q*valueBytes + b*line}
			VPSLLD(U8(1), at, v)
			VPSUBD(v, c, v)
			VMOVDQU32(v, at)
			hits[q][b] = K()
			VPCMPD_BCST(U8(2), Mem{Base: limits, Disp: 4 * q}, v, hits[q][b])
			if b == tileBlocks/2-1 || b == tileBlocks-1 {
				KUNPCKWD(hits[q][b-1], hits[q][b], hits[q][b-1]) // the first becomes the low half
			}
		}
	}
	for q := range hits {
		KUNPCKDQ(hits[q][0], hits[q][2], hits[q][0])
		KMOVQ(hits[q][0], Mem{Base: masks, Disp: 8 * q})
	}
	JMP(LabelRef("finished"))
}
