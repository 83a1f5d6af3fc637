package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// These kernels multiply unsigned bytes of a row by signed bytes of a query. A
// register holds a line of a block, and the query has one word for it. VPDPBUSD
// wraps around; it does not saturate.

// finish512 turns sums into values, and sets a bit of miss for each value above
// the limit.
func finish512(acc reg.VecVirtual, consts Mem, limit reg.VecVirtual, miss reg.OpmaskVirtual) {
	c := ZMM()
	VMOVDQU32(consts, c)
	VPADDD(acc, acc, acc)
	VPSUBD(acc, c, acc)
	VPCMPD(U8(6), limit, acc, miss) // acc > limit
}

// scanTurn512 is the number of lines in an iteration of a scan's main loop.
// Each line has its own sums.
const scanTurn512 = 8

// scan512 generates a scan.
func scan512(name string, ahead lookahead) {
	textScan(name)
	query, end := base("query"), Load(Param("query").Len(), GP64())
	rows, consts, values, masks := base("blocks"), base("consts"), base("values"), base("masks")
	left := Load(Param("masks").Len(), GP64())
	limit := ZMM()
	broadcastLimit(limit)
	TESTQ(left, left)
	JZ(LabelRef("done"))
	turns := GP64()
	MOVQ(end, turns)
	ANDQ(I32(-scanTurn512), turns)

	var acc [scanTurn512]reg.VecVirtual
	for i := range acc {
		acc[i] = ZMM()
	}
	Label("block")
	j := GP64() // number of the line and of the query's word for it
	XORQ(j, j)
	for _, a := range acc {
		VPXORQ(a, a, a)
	}
	lineLoops(ahead, rows, j, turns, end, scanTurn512, func(i int) {
		r := ZMM()
		VMOVDQU64(Mem{Base: rows, Disp: i * line}, r)
		VPDPBUSD_BCST(Mem{Base: query, Index: j, Scale: 4, Disp: 4 * i}, r, acc[i])
	}, func(n int) {
		ADDQ(I32(n*line), rows)
		ADDQ(I32(n), j)
	})
	for n := scanTurn512 / 2; n > 0; n /= 2 {
		for i := range n {
			VPADDD(acc[i+n], acc[i], acc[i])
		}
	}
	miss := K()
	finish512(acc[0], Mem{Base: consts}, limit, miss)
	VMOVDQU32(acc[0], Mem{Base: values})
	KNOTW(miss, miss)
	KMOVW(miss, Mem{Base: masks})
	ADDQ(I32(constBytes), consts)
	ADDQ(I32(line), values)
	ADDQ(I32(2), masks)
	DECQ(left)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	Label("done")
	RET()
}

// tile512 generates a tile that handles all four blocks at once. It needs 4*width
// registers for sums and four for a line of each block; the rest hold words of the
// queries.
//
// A value is c-2*dot. With h = floor(c/2) it is 2*(h-dot), or one more. The sums begin
// with -h, so after the last line only the largest of every four sums is compared with
// the limit. Exact values and masks are computed only if it is within the limit, which
// is rare.
func tile512(name string, width int) {
	textSpread(name, width)
	t := &tile{acc: make([][tileBlocks]reg.VecVirtual, width)}
	t.clear()
	query, blocks := base("queries"), pointer("blocks")
	end := GP64() // size of a block in bytes
	MOVQ(Mem{Base: blocks, Disp: 8}, end)
	var rows [tileBlocks]reg.Register
	for b := range rows {
		rows[b] = header(blocks, b)
	}
	j := GP64()
	XORQ(j, j)
	ahead := newPrefetch(end)

	Label("line")
	var r [tileBlocks]reg.VecVirtual
	for b := range r {
		r[b] = ZMM()
		VMOVDQU64(Mem{Base: rows[b], Index: j, Scale: 1}, r[b])
	}
	for q := range t.acc {
		w := ZMM()
		VPBROADCASTD(Mem{Base: query, Disp: 4 * q}, w)
		for b := range r {
			VPDPBUSD(w, r[b], t.acc[q][b])
		}
	}
	ahead.step()
	ADDQ(I32(4*width), query)
	ADDQ(I32(line), j)
	CMPQ(j, end)
	JB(LabelRef("line"))

	t.finish()
	ahead.nextBlock()
}

// prefetch requests the lines of the next tile in memory order, at a steady rate: memory
// delivers fewer lines than a burst would request, and a burst delays the loads of rows.
//
// Each line of the tile adds the bytes to prefetch to the debt, and each prefetched line
// takes the size of a block from it. So the last line of the tile pays the debt exactly.
type prefetch struct {
	block       reg.Register // address of the slice of the current block
	at, end     reg.Register // the current line and the end of its block
	bytes, debt reg.Register // debt is negative if no line is due
	size        reg.Register // of a block
}

func newPrefetch(size reg.Register) *prefetch {
	p := &prefetch{pointer("next"), GP64(), GP64(), Load(Param("bytes"), GP64()), GP64(), size}
	MOVQ(I32(-1), p.debt)
	XORQ(p.at, p.at)
	XORQ(p.end, p.end)
	TESTQ(p.bytes, p.bytes)
	JZ(LabelRef("line"))
	start, offset := GP64(), Load(Param("at"), GP64())
	IMUL3Q(I32(slice), Load(Param("block"), GP64()), start)
	ADDQ(start, p.block)
	ORQ(offset, start)
	JNZ(LabelRef("place"))
	p.touchPages()
	Label("place")
	p.load()
	ADDQ(offset, p.at)
	return p
}

// touchPages prefetches the first line of each page of the next tile, if this group
// prefetches the first of them. The first line of a page takes longer than others, and the
// kernel waits for it. All of them at once take only as long as two or three, one after the
// other. On Zen 5, with 16 queries, this was 15 % faster than without. If each group did this for the pages
// of its own part, it would gain nothing.
func (p *prefetch) touchPages() {
	const page = 4096
	Label("page")
	for b := range tileBlocks {
		MOVQ(Mem{Base: p.block, Disp: b * slice}, p.at)
		PREFETCHT1(Mem{Base: p.at, Index: p.end, Scale: 1})
	}
	ADDQ(I32(page), p.end)
	CMPQ(p.end, p.size)
	JB(LabelRef("page"))
}

func (p *prefetch) load() {
	MOVQ(Mem{Base: p.block}, p.at)
	MOVQ(Mem{Base: p.block, Disp: 8}, p.end)
	ADDQ(p.at, p.end)
}

// step prefetches the lines that are due after a line of this tile.
func (p *prefetch) step() {
	ADDQ(p.bytes, p.debt)
	JS(LabelRef("advance"))
	Label("prefetch")
	PREFETCHT1(Mem{Base: p.at})
	ADDQ(I32(line), p.at)
	CMPQ(p.at, p.end)
	JAE(LabelRef("nextBlock"))
	Label("prefetched")
	SUBQ(p.size, p.debt)
	JNS(LabelRef("prefetch"))
	Label("advance")
}

// nextBlock continues with the next block, or stops after the last one.
func (p *prefetch) nextBlock() {
	Label("nextBlock")
	last := pointer("next")
	ADDQ(I32((tileBlocks-1)*slice), last)
	CMPQ(p.block, last)
	JAE(LabelRef("stop"))
	ADDQ(I32(slice), p.block)
	p.load()
	JMP(LabelRef("prefetched"))
	Label("stop")
	XORQ(p.bytes, p.bytes)
	MOVQ(I32(-1), p.debt)
	JMP(LabelRef("advance"))
}

// tile holds the sums of a tile, for each query one of each block.
type tile struct{ acc [][tileBlocks]reg.VecVirtual }

// clear sets the sums to -h.
func (t *tile) clear() {
	array, zero := pointer("consts"), ZMM()
	VPXORQ(zero, zero, zero)
	for b := range tileBlocks {
		start := ZMM()
		VPSRAD(U8(1), Mem{Base: header(array, b)}, start)
		VPSUBD(start, zero, start)
		for q := range t.acc {
			t.acc[q][b] = ZMM()
			VMOVDQA64(start, t.acc[q][b])
		}
	}
}

// finish returns masks of zeros if no value is within its limit. Otherwise it stores
// values and masks.
func (t *tile) finish() {
	limits := pointer("limits")
	some := GP32() // not zero if a row may be a hit
	zero := ZMM()
	VPXORQ(zero, zero, zero)
	for q := range t.acc {
		low, other := ZMM(), ZMM()
		VPMAXSD(t.acc[q][0], t.acc[q][1], low)
		VPMAXSD(t.acc[q][2], t.acc[q][3], other)
		VPMAXSD(low, other, low)
		VPSUBD(low, zero, low)
		VPADDD(low, low, low) // the least 2*(h-dot)
		near := K()
		VPCMPD_BCST(U8(2), Mem{Base: limits, Disp: 4 * q}, low, near) // at most the limit
		bits := GP32()
		KMOVW(near, bits)
		if q == 0 {
			MOVL(bits, some)
		} else {
			ORL(bits, some)
		}
	}
	masks := pointer("masks")
	TESTL(some, some)
	JNZ(LabelRef("hits"))
	for q := range t.acc {
		MOVQ(U32(0), Mem{Base: masks, Disp: 8 * q})
	}
	VZEROUPPER()
	RET()

	Label("hits")
	values, array := pointer("values"), pointer("consts")
	for q := range t.acc {
		var hits [tileBlocks]reg.OpmaskVirtual
		for b, v := range t.acc[q] {
			// The sum is dot-h; with h added it is dot.
			c, half := ZMM(), ZMM()
			VMOVDQU32(Mem{Base: header(array, b)}, c)
			VPSRAD(U8(1), c, half)
			VPADDD(half, v, v)
			VPADDD(v, v, v)
			VPSUBD(v, c, v)
			VMOVDQU32(v, Mem{Base: values, Disp: 4 * (q*tileRows + b*blockRows)})
			hits[b] = K()
			VPCMPD_BCST(U8(2), Mem{Base: limits, Disp: 4 * q}, v, hits[b])
		}
		KUNPCKWD(hits[0], hits[1], hits[0]) // the first becomes the low half
		KUNPCKWD(hits[2], hits[3], hits[2])
		KUNPCKDQ(hits[0], hits[2], hits[0])
		KMOVQ(hits[0], Mem{Base: masks, Disp: 8 * q})
	}
	VZEROUPPER()
	RET()
}
