package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// These kernels scan blocks that are not consecutive. Reading such blocks one by one
// reaches less than half of the memory's speed, because the CPU's own prefetcher starts
// again at every page. So a list kernel reads both halves of four blocks side by side, and
// with each line it prefetches the same line of the next four blocks.

// listBlocks is the number of blocks of a list that are read together.
const listBlocks = 4

// listForm is the part of a list kernel that depends on the instruction set.
type listForm struct {
	words  int                                                 // number of words that a query has for a line
	clear  func()                                              // sets all sums to zero
	line   func(b, half int, query, rows Mem)                  // adds a line of a half of block b to the sums
	finish func(b int, consts reg.Register, values, masks Mem) // stores the values and the mask of block b
}

// list512 generates a list kernel for AVX-512. Each half of a block has its own sums.
func list512(name string) {
	textList(name)
	limit := ZMM()
	broadcastLimit(limit)
	var acc [listBlocks][2]reg.VecVirtual
	for b := range acc {
		acc[b] = [2]reg.VecVirtual{ZMM(), ZMM()}
	}
	scanList(listForm{1, func() {
		for _, block := range acc {
			for _, a := range block {
				VPXORQ(a, a, a)
			}
		}
	}, func(b, half int, query, rows Mem) {
		r := ZMM()
		VMOVDQU64(rows, r)
		VPDPBUSD_BCST(query, r, acc[b][half])
	}, func(b int, consts reg.Register, values, masks Mem) {
		miss := K()
		VPADDD(acc[b][1], acc[b][0], acc[b][0])
		finish512(acc[b][0], Mem{Base: consts}, limit, miss)
		VMOVDQU32(acc[b][0], values)
		KNOTW(miss, miss)
		KMOVW(miss, masks)
	}})
}

// list256 generates a list kernel for AVX2 or AVX-VNNI. Both halves of a block add to the same
// sums, because sums of their own need all sixteen registers.
func list256(name string, form form256) {
	textList(name)
	limit := YMM()
	broadcastLimit(limit)
	acc := newSums(listBlocks)
	scanList(listForm{form.words, func() {
		clearSums(acc)
	}, func(b, _ int, query, rows Mem) {
		form.line(func(_, word int) Mem { return query.Offset(4 * word) },
			func(half int) Mem { return rows.Offset(half * line / halves) }, acc[b:b+1])
	}, func(b int, consts reg.Register, values, masks Mem) {
		finishBlock(acc[b], consts, limit, values, masks)
	}})
}

// textList declares a list kernel.
func textList(name string) {
	TEXT(name, NOSPLIT, "func(query []uint32, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16)")
	Doc(name+" compares one query with the blocks list[:len(masks)].",
		"len(masks) is a multiple of four. It prefetches the blocks that follow in the list.",
		"The caller has checked the sizes.")
	Pragma("noescape")
}

// scanList generates the loop of a list kernel over groups of four blocks.
func scanList(form listForm) {
	at := GP64() // position in the list
	XORQ(at, at)

	Label("group")
	CMPQ(at, Load(Param("masks").Len(), GP64()))
	JAE(LabelRef("done"))
	rows, next := listAddresses(at, form.words)
	form.clear()
	// lines is the offset of a line in the first half of a block, and far is the
	// offset of the line at the same position of the second half.
	query, far := base("query"), Load(Param("query").Len(), GP64())
	SHRQ(U8(form.words), far) // two halves, of one or two words for each line
	words, left := GP64(), GP64()
	MOVQ(far, left)
	MOVQ(far, words)
	SHLQ(U8(1+form.words), words)
	SHLQ(U8(6), far)
	lines := GP64()
	XORQ(lines, lines)
	TESTQ(left, left)
	JZ(LabelRef("odd"))
	Label("line")
	for b := range rows {
		form.line(b, 0, Mem{Base: query}, Mem{Base: rows[b], Index: lines, Scale: 1})
		form.line(b, 1, Mem{Base: query, Index: words, Scale: 1}, Mem{Base: rows[b], Index: far, Scale: 1})
		PREFETCHT1(Mem{Base: next[b], Index: lines, Scale: 1})
		PREFETCHT1(Mem{Base: next[b], Index: far, Scale: 1})
	}
	ADDQ(I32(4*form.words), query)
	ADDQ(I32(line), lines)
	ADDQ(I32(line), far)
	DECQ(left)
	JNZ(LabelRef("line"))

	Label("odd")
	count := GP64()
	Load(Param("query").Len(), count)
	TESTQ(I32(form.words), count)
	JZ(LabelRef("sum"))
	for b := range rows {
		form.line(b, 0, Mem{Base: query, Index: words, Scale: 1}, Mem{Base: rows[b], Index: far, Scale: 1})
	}
	Label("sum")
	finishList(form, at)
	ADDQ(I32(listBlocks), at)
	JMP(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}

// listAddresses returns the addresses of the four blocks at a position in the
// list, and of the next four blocks. If fewer than four blocks follow, next
// holds the last four blocks of the list. words is the number of words that a query
// has for a line.
func listAddresses(at reg.Register, words int) (rows, next [listBlocks]reg.GPVirtual) {
	list, last := base("list"), Load(Param("list").Len(), GP64())
	SUBQ(I32(listBlocks), last)
	ahead := GP64()
	LEAQ(Mem{Base: at, Disp: listBlocks}, ahead)
	CMPQ(ahead, last)
	JLE(LabelRef("addresses"))
	MOVQ(last, ahead)
	Label("addresses")
	for _, part := range []struct {
		rows *[listBlocks]reg.GPVirtual
		at   reg.Register
	}{{&rows, at}, {&next, ahead}} {
		for b := range part.rows {
			r := GP64()
			MOVL(Mem{Base: list, Index: part.at, Scale: 4, Disp: 4 * b}, r.As32())
			size := Load(Param("query").Len(), GP64())
			SHLQ(U8(7-words), size) // a line has one or two words
			IMULQ(size, r)
			ADDQ(base("blocks"), r)
			part.rows[b] = r
		}
	}
	return rows, next
}

// finishList stores the values and masks of the four blocks at a position in the
// list.
func finishList(form listForm, at reg.Register) {
	list, values := base("list"), GP64()
	MOVQ(at, values)
	SHLQ(U8(6), values)
	ADDQ(base("values"), values)
	masks := base("masks")
	for b := range listBlocks {
		consts := GP64()
		MOVL(Mem{Base: list, Index: at, Scale: 4, Disp: 4 * b}, consts.As32())
		IMUL3Q(I32(constBytes), consts, consts)
		ADDQ(base("consts"), consts)
		form.finish(b, consts, Mem{Base: values, Disp: b * line}, Mem{Base: masks, Index: at, Scale: 2, Disp: 2 * b})
	}
}
