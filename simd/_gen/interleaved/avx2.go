package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"nearside/simd/gen/vex"
)

// halves is the number of registers that hold a line.
const halves = 2

// sums are the sums of one query over one block, one for each row.
type sums = [halves]reg.VecVirtual

func newSums(n int) []sums {
	acc := make([]sums, n)
	for i := range acc {
		acc[i] = sums{YMM(), YMM()}
	}
	return acc
}

func clearSums(acc []sums) {
	for _, a := range acc {
		for _, half := range a {
			VPXOR(half, half, half)
		}
	}
}

// form256 is the form of queries that an instruction set multiplies.
type form256 struct {
	words int // number of words that a query has for a line
	// line adds the products of a line and of the words of one or more queries to
	// their sums.
	line func(query func(q, word int) Mem, rows func(half int) Mem, acc []sums)
}

var (
	pairs256 = form256{2, line256}     // AVX2
	bytes256 = form256{1, lineVNNI256} // AVX-VNNI
)

// lineVNNI256 multiplies a line by one word of each query: VPDPBUSD adds the products
// of four unsigned bytes of a row and four signed bytes of a query.
func lineVNNI256(query func(q, word int) Mem, rows func(half int) Mem, acc []sums) {
	r := sums{YMM(), YMM()}
	for h := range r {
		VMOVDQU(rows(h), r[h])
	}
	for q := range acc {
		w := YMM()
		VPBROADCASTD(query(q, 0), w)
		for h := range r {
			vex.VPDPBUSD(w, r[h], acc[q][h])
		}
	}
}

// line256 extracts the even and the odd dimensions of the line as numbers
// of 16 bits and multiplies each by the query's word of that kind; both products
// of a pair belong to the same row. All queries share the extraction. VPMADDUBSW
// would multiply bytes directly, but it saturates.
//
// Six queries need twelve registers for sums. With two registers for rows, one
// for a query's word and one for products all sixteen are in use. So the mask of
// the even bytes has no register of its own; each line loads it again.
func line256(query func(q, word int) Mem, rows func(half int) Mem, acc []sums) {
	even := func(r sums) {
		mask := YMM()
		VMOVDQU(evenBytesData(), mask)
		for h := range r {
			VPAND(rows(h), mask, r[h])
		}
	}
	odd := func(r sums) {
		for h := range r {
			VMOVDQU(rows(h), r[h])
			VPSRLW(U8(8), r[h], r[h])
		}
	}
	for word, extract := range []func(sums){even, odd} {
		r := sums{YMM(), YMM()}
		extract(r)
		for q := range acc {
			w := YMM()
			VPBROADCASTD(query(q, word), w)
			for h := range r {
				products := YMM()
				VPMADDWD(w, r[h], products)
				VPADDD(products, acc[q][h], acc[q][h])
			}
		}
	}
}

// finish256 turns the sums of one half into values, and sets all bits of a lane of
// miss if the value is above the limit.
func finish256(acc reg.VecVirtual, consts Mem, limit, miss reg.VecVirtual) {
	c := YMM()
	VMOVDQU(consts, c)
	VPADDD(acc, acc, acc)
	VPSUBD(acc, c, acc)
	VPCMPGTD(limit, acc, miss) // acc > limit
}

// finishBlock stores the values and the mask of one query over one block.
func finishBlock(acc sums, consts reg.Register, limit reg.VecVirtual, values, mask Mem) {
	var bits [halves]reg.GPVirtual
	for h := range acc {
		miss := YMM()
		finish256(acc[h], Mem{Base: consts, Disp: h * line / halves}, limit, miss)
		VMOVDQU(acc[h], values.Offset(h*line/halves))
		bits[h] = GP32()
		VMOVMSKPS(miss, bits[h])
	}
	SHLL(U8(blockRows/halves), bits[1])
	ORL(bits[0], bits[1])
	NOTL(bits[1])
	MOVW(bits[1].As16(), mask)
}

// scanTurn256 is the number of lines in an iteration of a scan's main loop.
// Each line has its own sums.
const scanTurn256 = 4

// scan256 generates a scan.
func scan256(name string, form form256, ahead lookahead) {
	textScan(name)
	query, end := base("query"), Load(Param("query").Len(), GP64())
	rows, consts, values, masks := base("blocks"), base("consts"), base("values"), base("masks")
	left := Load(Param("masks").Len(), GP64())
	TESTQ(left, left)
	JZ(LabelRef("done"))
	turns := GP64()
	MOVQ(end, turns)
	ANDQ(I32(-scanTurn256*form.words), turns)
	acc := newSums(scanTurn256)

	Label("block")
	j := GP64() // number of the query's word
	XORQ(j, j)
	clearSums(acc)
	lineLoops(ahead, rows, j, turns, end, scanTurn256, func(i int) {
		form.line(func(_, word int) Mem {
			return Mem{Base: query, Index: j, Scale: 4, Disp: 4 * (i*form.words + word)}
		}, func(half int) Mem {
			return Mem{Base: rows, Disp: i*line + half*line/halves}
		}, acc[i:i+1])
	}, func(n int) {
		ADDQ(I32(n*line), rows)
		ADDQ(I32(n*form.words), j)
	})
	for n := scanTurn256 / 2; n > 0; n /= 2 {
		for i := range n {
			for h := range halves {
				VPADDD(acc[i+n][h], acc[i][h], acc[i][h])
			}
		}
	}
	limit := YMM()
	broadcastLimit(limit)
	finishBlock(acc[0], consts, limit, Mem{Base: values}, Mem{Base: masks})
	ADDQ(I32(constBytes), consts)
	ADDQ(I32(line), values)
	ADDQ(I32(2), masks)
	DECQ(left)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	Label("done")
	RET()
}

// tile256 generates a tile that handles one block after the other, each with
// 2*width registers of sums. With each line it prefetches one line of the block
// at the same position of the next tile.
func tile256(name string, width int, form form256) {
	textTile(name, width)
	blocks, consts, next := pointer("blocks"), pointer("consts"), pointer("next")
	values, masks := pointer("values"), pointer("masks")
	left := GP64()
	MOVQ(U32(tileBlocks), left)
	acc := newSums(width)

	Label("block")
	query, rows := base("queries"), header(blocks, 0)
	end, ahead := GP64(), GP64()
	MOVQ(Mem{Base: blocks, Disp: 8}, end)
	ADDQ(rows, end)
	XORQ(ahead, ahead)
	TESTQ(next, next)
	JZ(LabelRef("clear"))
	MOVQ(Mem{Base: next}, ahead)
	ADDQ(I32(slice), next)
	Label("clear")
	clearSums(acc)

	Label("line")
	form.line(func(q, word int) Mem {
		return Mem{Base: query, Disp: 4 * (q*form.words + word)}
	}, func(half int) Mem {
		return Mem{Base: rows, Disp: half * line / halves}
	}, acc)
	TESTQ(ahead, ahead)
	JZ(LabelRef("advance"))
	PREFETCHT1(Mem{Base: ahead})
	ADDQ(I32(line), ahead)
	Label("advance")
	ADDQ(I32(4*width*form.words), query)
	ADDQ(I32(line), rows)
	CMPQ(rows, end)
	JB(LabelRef("line"))

	limits, c := pointer("limits"), header(consts, 0)
	for q := range acc {
		limit := YMM()
		VBROADCASTSS(Mem{Base: limits, Disp: 4 * q}, limit)
		finishBlock(acc[q], c, limit, Mem{Base: values, Disp: 4 * q * tileRows}, Mem{Base: masks, Disp: 8 * q})
	}
	ADDQ(I32(slice), blocks)
	ADDQ(I32(slice), consts)
	ADDQ(I32(line), values)
	ADDQ(I32(2), masks)
	DECQ(left)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
