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
func scan512(name string) {
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
	lineLoops(j, turns, end, scanTurn512, func(i int) {
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
func tile512(name string, width int) {
	textTile(name, width)
	query, blocks, next := base("queries"), pointer("blocks"), pointer("next")
	end := GP64() // size of a block in bytes
	MOVQ(Mem{Base: blocks, Disp: 8}, end)
	var rows [tileBlocks]reg.Register
	for b := range rows {
		rows[b] = header(blocks, b)
	}
	acc := make([][tileBlocks]reg.VecVirtual, width)
	for q := range acc {
		for b := range acc[q] {
			acc[q][b] = ZMM()
			VPXORQ(acc[q][b], acc[q][b], acc[q][b])
		}
	}
	j := GP64()
	XORQ(j, j)

	// Each line of this tile prefetches four lines of the next tile, in memory
	// order. So the loop runs in four parts, one for each block of the next tile;
	// without a next tile it runs in one part.
	quarter, stop, ahead := GP64(), GP64(), GP64()
	MOVQ(end, quarter)
	ADDQ(I32((tileBlocks-1)*line), quarter)
	SHRQ(U8(2), quarter)
	ANDQ(I32(-line), quarter)
	XORQ(ahead, ahead)
	MOVQ(end, stop)
	TESTQ(next, next)
	JZ(LabelRef("line"))
	XORQ(stop, stop)
	Label("turn")
	MOVQ(Mem{Base: next}, ahead)
	ADDQ(I32(slice), next)
	ADDQ(quarter, stop)
	CMPQ(stop, end)
	JBE(LabelRef("line"))
	MOVQ(end, stop)

	Label("line")
	var r [tileBlocks]reg.VecVirtual
	for b := range r {
		r[b] = ZMM()
		VMOVDQU64(Mem{Base: rows[b], Index: j, Scale: 1}, r[b])
	}
	for q := range acc {
		w := ZMM()
		VPBROADCASTD(Mem{Base: query, Disp: 4 * q}, w)
		for b := range r {
			VPDPBUSD(w, r[b], acc[q][b])
		}
	}
	TESTQ(ahead, ahead)
	JZ(LabelRef("advance"))
	for i := range tileBlocks {
		PREFETCHT1(Mem{Base: ahead, Disp: i * line})
	}
	ADDQ(I32(tileBlocks*line), ahead)
	Label("advance")
	ADDQ(I32(4*width), query)
	ADDQ(I32(line), j)
	CMPQ(j, stop)
	JB(LabelRef("line"))
	CMPQ(j, end)
	JB(LabelRef("turn"))

	finishTile(acc)
	VZEROUPPER()
	RET()
}

// finishTile stores the values and masks of a tile.
func finishTile(acc [][tileBlocks]reg.VecVirtual) {
	limits, values, masks, array := pointer("limits"), pointer("values"), pointer("masks"), pointer("consts")
	var consts [tileBlocks]reg.Register
	for b := range consts {
		consts[b] = header(array, b)
	}
	for q := range acc {
		limit := ZMM()
		VBROADCASTSS(Mem{Base: limits, Disp: 4 * q}, limit)
		var miss [tileBlocks]reg.OpmaskVirtual
		for b := range miss {
			miss[b] = K()
			finish512(acc[q][b], Mem{Base: consts[b]}, limit, miss[b])
			VMOVDQU32(acc[q][b], Mem{Base: values, Disp: 4 * (q*tileRows + b*blockRows)})
		}
		KUNPCKWD(miss[0], miss[1], miss[0]) // the first becomes the low half
		KUNPCKWD(miss[2], miss[3], miss[2])
		KUNPCKDQ(miss[0], miss[2], miss[0])
		KNOTQ(miss[0], miss[0])
		KMOVQ(miss[0], Mem{Base: masks, Disp: 8 * q})
	}
}
