package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// kind512 is a type of rows: a register has a line of a block, a query has one
// word for it.
type kind512 struct {
	types
	mac     func(query, rows, acc reg.VecVirtual)
	macWord func(query Mem, rows, acc reg.VecVirtual)
	add     func(x, acc reg.VecVirtual)
	// finish makes values of sums, and a bit of miss for each above the limit.
	finish func(acc reg.VecVirtual, consts Mem, limit reg.VecVirtual, miss reg.OpmaskVirtual)
}

// u8VNNI multiplies a row's unsigned by a query's signed bytes. VPDPBUSD wraps,
// it does not saturate.
var u8VNNI = kind512{
	types:   u8,
	mac:     func(query, rows, acc reg.VecVirtual) { VPDPBUSD(query, rows, acc) },
	macWord: func(query Mem, rows, acc reg.VecVirtual) { VPDPBUSD_BCST(query, rows, acc) },
	add:     func(x, acc reg.VecVirtual) { VPADDD(x, acc, acc) },
	finish: func(acc reg.VecVirtual, consts Mem, limit reg.VecVirtual, miss reg.OpmaskVirtual) {
		c := ZMM()
		VMOVDQU32(consts, c)
		VPADDD(acc, acc, acc)
		VPSUBD(acc, c, acc)
		VPCMPD(U8(6), limit, acc, miss) // acc > limit
	},
}

var f32AVX512 = kind512{
	types:   f32,
	mac:     func(query, rows, acc reg.VecVirtual) { VFMADD231PS(query, rows, acc) },
	macWord: func(query Mem, rows, acc reg.VecVirtual) { VFMADD231PS_BCST(query, rows, acc) },
	add:     func(x, acc reg.VecVirtual) { VADDPS(x, acc, acc) },
	finish: func(acc reg.VecVirtual, consts Mem, limit reg.VecVirtual, miss reg.OpmaskVirtual) {
		factor, infinity := ZMM(), ZMM()
		VMOVUPS(consts.Offset(line), factor)
		VFMADD213PS(consts, factor, acc)
		above := K()
		VCMPPS(U8(greater), limit, acc, above)
		VBROADCASTSS(infinityData(), infinity)
		VCMPPS(U8(less), infinity, acc, above, miss)
	},
}

// scanTurn512 is the lines of a turn of a scan's main loop, each with its own sum.
const scanTurn512 = 8

func scan512(name string, k kind512) {
	textScan(name, k.types)
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
	j := GP64() // the line, and the query's word for it
	XORQ(j, j)
	for _, a := range acc {
		VPXORQ(a, a, a)
	}
	loop(j, turns, end, scanTurn512, func(i int) {
		r := ZMM()
		VMOVDQU64(Mem{Base: rows, Disp: i * line}, r)
		k.macWord(Mem{Base: query, Index: j, Scale: 4, Disp: 4 * i}, r, acc[i])
	}, func(n int) {
		ADDQ(I32(n*line), rows)
		ADDQ(I32(n), j)
	})
	for n := scanTurn512 / 2; n > 0; n /= 2 {
		for i := range n {
			k.add(acc[i+n], acc[i])
		}
	}
	miss := K()
	k.finish(acc[0], Mem{Base: consts}, limit, miss)
	VMOVDQU32(acc[0], Mem{Base: values})
	KNOTW(miss, miss)
	KMOVW(miss, Mem{Base: masks})
	ADDQ(I32(k.consts), consts)
	ADDQ(I32(line), values)
	ADDQ(I32(2), masks)
	DECQ(left)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	Label("done")
	RET()
}

// tile512 writes a tile of all four blocks at once: 4*width registers of sums,
// one for each block's line, the rest for the query's words.
func tile512(name string, k kind512, width int) {
	textTile(name, k.types, width)
	query, blocks, next := base("queries"), pointer("blocks"), pointer("next")
	end := GP64() // of a block, in bytes
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

	// The next tile is prefetched in the order in which it lies in memory, four
	// lines with each line of this one. So the loop has four turns, one for each
	// block of the next tile; without a next tile it has one.
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
			k.mac(w, r[b], acc[q][b])
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

	k.finishTile(acc)
	VZEROUPPER()
	RET()
}

// finishTile writes the values and masks of a tile.
func (k kind512) finishTile(acc [][tileBlocks]reg.VecVirtual) {
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
			k.finish(acc[q][b], Mem{Base: consts[b]}, limit, miss[b])
			VMOVDQU32(acc[q][b], Mem{Base: values, Disp: 4 * (q*tileRows + b*blockRows)})
		}
		KUNPCKWD(miss[0], miss[1], miss[0]) // the first becomes the low half
		KUNPCKWD(miss[2], miss[3], miss[2])
		KUNPCKDQ(miss[0], miss[2], miss[0])
		KNOTQ(miss[0], miss[0])
		KMOVQ(miss[0], Mem{Base: masks, Disp: 8 * q})
	}
}
