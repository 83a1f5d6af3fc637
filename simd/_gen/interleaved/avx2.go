package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halves of a line, each a register.
const halves = 2

// sums are those of a query over a block.
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

// kind256 is a type of rows; a query has some words for a line.
type kind256 struct {
	types
	words int
	// line adds the products of a line and of the words of some queries.
	line func(query func(q, word int) Mem, rows func(half int) Mem, acc []sums)
	add  func(x, acc reg.VecVirtual)
	// finish makes values of a half's sums, and ones of miss for each above the limit.
	finish func(acc reg.VecVirtual, consts Mem, limit, miss reg.VecVirtual)
}

// u8AVX2 takes the bytes of even and of odd dimensions apart: either kind, in
// words of 16 bits, is multiplied by the query's words of that kind, and each
// pair of products is one row's. This serves all queries of a tile. VPMADDUBSW,
// which takes bytes, saturates.
func u8AVX2() kind256 {
	// Two registers of rows, one for words, one for products: with the sums of
	// six queries they are sixteen. So the mask has none of its own.
	even := func(rows func(half int) Mem, r sums) {
		mask := YMM()
		VMOVDQU(evenBytesData(), mask)
		for h := range r {
			VPAND(rows(h), mask, r[h])
		}
	}
	odd := func(rows func(half int) Mem, r sums) {
		for h := range r {
			VMOVDQU(rows(h), r[h])
			VPSRLW(U8(8), r[h], r[h])
		}
	}
	return kind256{
		types: u8, words: 2,
		line: func(query func(q, word int) Mem, rows func(half int) Mem, acc []sums) {
			for word, extract := range []func(func(int) Mem, sums){even, odd} {
				r := sums{YMM(), YMM()}
				extract(rows, r)
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
		},
		add: func(x, acc reg.VecVirtual) { VPADDD(x, acc, acc) },
		finish: func(acc reg.VecVirtual, consts Mem, limit, miss reg.VecVirtual) {
			c := YMM()
			VMOVDQU(consts, c)
			VPADDD(acc, acc, acc)
			VPSUBD(acc, c, acc)
			VPCMPGTD(limit, acc, miss) // acc > limit
		},
	}
}

func f32AVX2() kind256 {
	return kind256{
		types: f32, words: 1,
		line: func(query func(q, word int) Mem, rows func(half int) Mem, acc []sums) {
			r := sums{YMM(), YMM()}
			for h := range r {
				VMOVUPS(rows(h), r[h])
			}
			for q := range acc {
				w := YMM()
				VBROADCASTSS(query(q, 0), w)
				for h := range r {
					VFMADD231PS(w, r[h], acc[q][h])
				}
			}
		},
		add: func(x, acc reg.VecVirtual) { VADDPS(x, acc, acc) },
		finish: func(acc reg.VecVirtual, consts Mem, limit, miss reg.VecVirtual) {
			factor, infinity := YMM(), YMM()
			VMOVUPS(consts.Offset(line), factor)
			VFMADD213PS(consts, factor, acc)
			VCMPPS(U8(greater), limit, acc, miss)
			VBROADCASTSS(infinityData(), infinity)
			VCMPPS(U8(less), infinity, acc, infinity)
			VANDPS(infinity, miss, miss)
		},
	}
}

// finishBlock writes the values and the mask of a query over a block.
func (k kind256) finishBlock(acc sums, consts reg.Register, limit reg.VecVirtual, values, mask Mem) {
	var bits [halves]reg.GPVirtual
	for h := range acc {
		miss := YMM()
		k.finish(acc[h], Mem{Base: consts, Disp: h * line / halves}, limit, miss)
		VMOVDQU(acc[h], values.Offset(h*line/halves))
		bits[h] = GP32()
		VMOVMSKPS(miss, bits[h])
	}
	SHLL(U8(blockRows/halves), bits[1])
	ORL(bits[0], bits[1])
	NOTL(bits[1])
	MOVW(bits[1].As16(), mask)
}

// scanTurn256 is the lines of a turn of a scan's main loop, each with its own sums.
const scanTurn256 = 4

func scan256(name string, k kind256) {
	textScan(name, k.types)
	query, end := base("query"), Load(Param("query").Len(), GP64())
	rows, consts, values, masks := base("blocks"), base("consts"), base("values"), base("masks")
	left := Load(Param("masks").Len(), GP64())
	TESTQ(left, left)
	JZ(LabelRef("done"))
	turns := GP64()
	MOVQ(end, turns)
	ANDQ(I32(-scanTurn256*k.words), turns)
	acc := newSums(scanTurn256)

	Label("block")
	j := GP64() // the query's word
	XORQ(j, j)
	clearSums(acc)
	loop(j, turns, end, scanTurn256, func(i int) {
		k.line(func(_, word int) Mem {
			return Mem{Base: query, Index: j, Scale: 4, Disp: 4 * (i*k.words + word)}
		}, func(half int) Mem {
			return Mem{Base: rows, Disp: i*line + half*line/halves}
		}, acc[i:i+1])
	}, func(n int) {
		ADDQ(I32(n*line), rows)
		ADDQ(I32(n*k.words), j)
	})
	for n := scanTurn256 / 2; n > 0; n /= 2 {
		for i := range n {
			for h := range halves {
				k.add(acc[i+n][h], acc[i][h])
			}
		}
	}
	limit := YMM()
	broadcastLimit(limit)
	k.finishBlock(acc[0], consts, limit, Mem{Base: values}, Mem{Base: masks})
	ADDQ(I32(k.consts), consts)
	ADDQ(I32(line), values)
	ADDQ(I32(2), masks)
	DECQ(left)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	Label("done")
	RET()
}

// tile256 writes a tile that takes one block after the other, each with
// 2*width registers of sums. Line by line it prefetches the next tile's block of
// the same place.
func tile256(name string, k kind256, width int) {
	textTile(name, k.types, width)
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
	k.line(func(q, word int) Mem {
		return Mem{Base: query, Disp: 4 * (q*k.words + word)}
	}, func(half int) Mem {
		return Mem{Base: rows, Disp: half * line / halves}
	}, acc)
	TESTQ(ahead, ahead)
	JZ(LabelRef("advance"))
	PREFETCHT1(Mem{Base: ahead})
	ADDQ(I32(line), ahead)
	Label("advance")
	ADDQ(I32(4*width*k.words), query)
	ADDQ(I32(line), rows)
	CMPQ(rows, end)
	JB(LabelRef("line"))

	limits, c := pointer("limits"), header(consts, 0)
	for q := range acc {
		limit := YMM()
		VBROADCASTSS(Mem{Base: limits, Disp: 4 * q}, limit)
		k.finishBlock(acc[q], c, limit, Mem{Base: values, Disp: 4 * q * tileRows}, Mem{Base: masks, Disp: 8 * q})
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
