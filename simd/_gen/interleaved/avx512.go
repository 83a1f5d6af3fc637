package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// scanTurn is the lines of a turn of a scan's main loop, each with its own sum.
const scanTurn = 8

func scanU8VNNI() {
	scanParams("scanU8VNNI", "compares one query with the rows of consecutive blocks.", "uint32", "int32")
	query, bytes := base("query"), Load(Param("query").Len(), GP64())
	rows, consts, values, masks := base("blocks"), base("consts"), base("values"), base("masks")
	left := Load(Param("masks").Len(), GP64())
	limit := ZMM()
	VPBROADCASTD(Load(Param("limit"), GP32()), limit)
	TESTQ(left, left)
	JZ(LabelRef("done"))
	SHLQ(U8(2), bytes) // of a query: four for each line
	turns := GP64()
	MOVQ(bytes, turns)
	ANDQ(I32(-4*scanTurn), turns)

	var acc [scanTurn]reg.VecVirtual
	for i := range acc {
		acc[i] = ZMM()
	}
	add := func(j reg.Register, i int) {
		r := ZMM()
		VMOVDQU64(Mem{Base: rows, Disp: i * line}, r)
		VPDPBUSD_BCST(Mem{Base: query, Index: j, Scale: 1, Disp: 4 * i}, r, acc[i])
	}

	Label("block")
	j := GP64()
	XORQ(j, j)
	for _, a := range acc {
		VPXORQ(a, a, a)
	}
	Label("turn")
	CMPQ(j, turns)
	JAE(LabelRef("step"))
	for i := range acc {
		add(j, i)
	}
	ADDQ(I32(scanTurn*line), rows)
	ADDQ(I32(scanTurn*4), j)
	JMP(LabelRef("turn"))
	Label("step")
	CMPQ(j, bytes)
	JAE(LabelRef("sum"))
	add(j, 0)
	ADDQ(I32(line), rows)
	ADDQ(I32(4), j)
	JMP(LabelRef("step"))

	Label("sum")
	for n := scanTurn / 2; n > 0; n /= 2 {
		for i := range n {
			VPADDD(acc[i+n], acc[i], acc[i])
		}
	}
	mask := K()
	u8VNNI.finish(acc[0], Mem{Base: consts}, limit, mask)
	VMOVDQU32(acc[0], Mem{Base: values})
	KMOVW(mask, Mem{Base: masks})
	ADDQ(I32(line), consts)
	ADDQ(I32(line), values)
	ADDQ(I32(2), masks)
	DECQ(left)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	Label("done")
	RET()
}

// u8VNNI multiplies a row's unsigned by a query's signed bytes. VPDPBUSD wraps,
// it does not saturate.
var u8VNNI = kind{
	name: "tileU8x%dVNNI", word: "uint32", elem: "int32",
	mac: func(query, rows, acc reg.VecVirtual) { VPDPBUSD(query, rows, acc) },
	finish: func(acc reg.VecVirtual, consts Mem, limit reg.VecVirtual, mask reg.OpmaskVirtual) {
		c := ZMM()
		VMOVDQU32(consts, c)
		VPADDD(acc, acc, acc)
		VPSUBD(acc, c, acc)
		VPCMPD(U8(2), limit, acc, mask) // acc <= limit
	},
}

// tile512 writes a tile of width queries: 4*width registers of sums, one for
// each block's line, one or two for the query's words.
func tile512(k kind, width int) {
	tileParams(fmt.Sprintf(k.name, width), fmt.Sprintf("compares %d queries with the rows of four blocks.", width), k.word, k.elem)
	query := base("queries")
	blocks := pointer("blocks")
	next := pointer("next")
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
	ADDQ(I32(3*line), quarter)
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

	finish512(k, acc)
	VZEROUPPER()
	RET()
}

// finish512 writes the values and masks of a tile.
func finish512(k kind, acc [][tileBlocks]reg.VecVirtual) {
	limits, values, masks, array := pointer("limits"), pointer("values"), pointer("masks"), pointer("consts")
	var consts [tileBlocks]reg.Register
	for b := range consts {
		consts[b] = header(array, b)
	}
	for q := range acc {
		limit := ZMM()
		VPBROADCASTD(Mem{Base: limits, Disp: 4 * q}, limit)
		var mask [tileBlocks]reg.OpmaskVirtual
		for b := range mask {
			mask[b] = K()
			k.finish(acc[q][b], Mem{Base: consts[b]}, limit, mask[b])
			VMOVDQU32(acc[q][b], Mem{Base: values, Disp: 4 * (q*tileRows + b*blockRows)})
		}
		KUNPCKWD(mask[0], mask[1], mask[0]) // the second is the low half
		KUNPCKWD(mask[2], mask[3], mask[2])
		KUNPCKDQ(mask[0], mask[2], mask[0])
		KMOVQ(mask[0], Mem{Base: masks, Disp: 8 * q})
	}
}
