package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"nearside/simd/gen/vex"
)

// These kernels multiply tiles: registers of 16 rows of 64 bytes. TDPBSUD multiplies
// the signed bytes of 16 queries by the unsigned bytes of 16 rows and adds to 256
// sums. 16 lines of a block are a tile as they are: each of its lines holds four
// dimensions of every row.
//
// A kernel has four tiles of sums: of up to 32 queries and two blocks at a time, or of
// up to 16 queries and all four blocks. So each loaded tile of queries or of rows is
// multiplied at least twice, except for the rows of up to 16 queries. Four
// multiplications take 64 cycles.
//
// If the lines of a block are no multiple of 16, the last tile of a block repeats
// lines, for which the queries have zeros. So no byte after a block is read. A block
// of less than 16 lines makes the tiles smaller; the configuration has their sizes.

const (
	tileBytes  = 16 * line
	tileLanes  = 16 // queries of a tile
	wideGroup  = 2 * tileLanes
	valueBytes = 4 * tileRows // bytes of a query's values
)

// tileSums is the number of tile registers for sums. They come first, then those for
// queries, and the others are for rows.
const tileSums = 4

// tileAMX generates a tile of up to lanes*16 queries.
func tileAMX(name string, lanes int) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(config *[64]byte, queries []uint32, count, pairs int, blocks *[%d][]byte, consts *[%[1]d][]int32, limits *[%d]int32, "+
			"values *[%[2]d][%d]int32, masks *[%[2]d]uint64, next *[%[1]d][]byte, ahead, share int)",
		tileBlocks, wideGroup, tileRows))
	Doc(fmt.Sprintf("%s compares count queries, at most %d, with the rows of four blocks,", name, lanes*tileLanes),
		"or with the first two if pairs is 1 and it can. It prefetches the blocks of next, in ahead",
		"steps of eight lines, at most share steps for each tile of rows. The caller has checked the sizes.")
	Pragma("noescape")
	vex.LDTILECFG(Mem{Base: pointer("config")})

	last := GP64() // offset of the last tile in a block
	MOVQ(Mem{Base: pointer("blocks"), Disp: 8}, last)
	zero := GP64()
	XORQ(zero, zero)
	SUBQ(I32(tileBytes), last)
	CMOVQLT(zero, last)
	stride, step := GP64(), Load(Param("count"), GP64())
	MOVQ(U32(line), stride)
	SHLQ(U8(6), step)
	p := &prefetcher{todo: Load(Param("ahead"), GP64()), next: pointer("next"), at: GP64(), end: GP64()}
	XORQ(p.at, p.at)
	XORQ(p.end, p.end)

	blocks := tileSums / lanes
	for first := 0; first < tileBlocks; first += blocks {
		if first > 0 {
			pairs := Load(Param("pairs"), GP64())
			CMPQ(pairs, U8(first/2))
			JE(LabelRef("done"))
		}
		multiplyTiles(first, blocks, last, stride, step, p)
		finishTiles(first, blocks, stride)
	}
	Label("done")
	vex.TILERELEASE()
	VZEROUPPER()
	RET()
}

// multiplyTiles adds up the products of all queries and some blocks. The tiles of
// queries follow each other in memory in the order of their use.
func multiplyTiles(first, blocks int, last, stride, step reg.Register, p *prefetcher) {
	label := func(name string) string { return fmt.Sprintf("%s%d", name, first) }
	for t := range tileSums {
		vex.TILEZERO(vex.Tile(t))
	}
	array, queries := pointer("blocks"), base("queries")
	rows := make([]reg.Register, blocks)
	for b := range rows {
		rows[b] = header(array, first+b)
	}
	at := GP64()
	XORQ(at, at)

	Label(label("tile"))
	lanes := tileSums / blocks
	for lane := range lanes {
		q := vex.Tile(tileSums + lane)
		vex.TILELOADD(Mem{Base: queries, Index: stride, Scale: 1, Disp: lane * tileLanes * line}, q)
		for b := range blocks {
			r := vex.Tile(tileSums + lanes + b%(tileSums-lanes))
			if lane == 0 {
				address := GP64()
				LEAQ(Mem{Base: rows[b], Index: at, Scale: 1}, address)
				vex.TILELOADD(Mem{Base: address, Index: stride, Scale: 1}, r)
			}
			vex.TDPBSUD(r, q, vex.Tile(lane*blocks+b))
		}
	}
	p.advance(label)
	ADDQ(step, queries)
	CMPQ(at, last)
	JE(LabelRef(label("sums")))
	ADDQ(I32(tileBytes), at)
	CMPQ(at, last)
	CMOVQGT(last, at)
	JMP(LabelRef(label("tile")))
	Label(label("sums"))
}

// prefetchLines is the number of lines of a step of a prefetcher.
const prefetchLines = 8

// prefetcher prefetches blocks in memory order, a few lines for each tile of rows, so
// that reading goes on all the time.
type prefetcher struct {
	todo    reg.Register // steps
	next    reg.Register // header of the next block
	at, end reg.Register // the rest of the current block
}

func (p *prefetcher) advance(label func(string) string) {
	left := Load(Param("share"), GP64())
	Label(label("prefetch"))
	TESTQ(p.todo, p.todo)
	JZ(LabelRef(label("prefetched")))
	CMPQ(p.at, p.end)
	JB(LabelRef(label("lines")))
	MOVQ(Mem{Base: p.next}, p.at)
	MOVQ(Mem{Base: p.next, Disp: 8}, p.end)
	ADDQ(p.at, p.end)
	ADDQ(I32(slice), p.next)
	Label(label("lines"))
	for i := range prefetchLines {
		PREFETCHT1(Mem{Base: p.at, Disp: i * line})
	}
	ADDQ(I32(prefetchLines*line), p.at)
	DECQ(p.todo)
	DECQ(left)
	JNZ(LabelRef(label("prefetch")))
	Label(label("prefetched"))
}

// finishTurn is the number of queries of an iteration of finishTiles. It divides the
// number of queries of a group.
const finishTurn = 2

// finishTiles stores the sums of some blocks, turns them into values and compares the
// values with the limits.
func finishTiles(first, blocks int, stride reg.Register) {
	values, masks, limits, array := pointer("values"), pointer("masks"), pointer("limits"), pointer("consts")
	for t := range tileSums {
		lane, b := t/blocks, t%blocks
		vex.TILESTORED(vex.Tile(t), Mem{
			Base: values, Index: stride, Scale: valueBytes / line,
			Disp: lane*tileLanes*valueBytes + (first+b)*line,
		})
	}
	consts := make([]reg.VecVirtual, blocks)
	for b := range consts {
		consts[b] = ZMM()
		VMOVDQU32(Mem{Base: header(array, first+b)}, consts[b])
	}
	left := Load(Param("count"), GP64())
	name := fmt.Sprintf("query%d", first)
	Label(name)
	for q := range finishTurn {
		hits := make([]reg.OpmaskVirtual, blocks)
		for b := range blocks {
			v, at := ZMM(), Mem{Base: values, Disp: q*valueBytes + (first+b)*line}
			VPSLLD(U8(1), at, v)
			VPSUBD(v, consts[b], v)
			VMOVDQU32(v, at)
			hits[b] = K()
			VPCMPD_BCST(U8(2), Mem{Base: limits, Disp: 4 * q}, v, hits[b]) // value <= limit
		}
		mask := Mem{Base: masks, Disp: 8*q + first*blockRows/8}
		KUNPCKWD(hits[0], hits[1], hits[0]) // the first becomes the low half
		if blocks == 2 {
			KMOVD(hits[0], mask)
			continue
		}
		KUNPCKWD(hits[2], hits[3], hits[2])
		KUNPCKDQ(hits[0], hits[2], hits[0])
		KMOVQ(hits[0], mask)
	}
	ADDQ(I32(finishTurn*valueBytes), values)
	ADDQ(I32(finishTurn*8), masks)
	ADDQ(I32(finishTurn*4), limits)
	SUBQ(I32(finishTurn), left)
	JG(LabelRef(name))
}
