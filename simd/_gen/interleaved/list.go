package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// listBlocks is the number of blocks of a list that are read together.
const listBlocks = 4

// list512 generates a scan of blocks that are not consecutive. Reading such blocks
// one by one reaches less than half of the memory's speed, because the CPU's own
// prefetcher starts again at every page. So this scan reads both halves of four
// blocks side by side, and with each line it prefetches the same line of the next
// four blocks.
func list512(name string) {
	TEXT(name, NOSPLIT, "func(query []uint32, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16)")
	Doc(name+" compares one query with the blocks list[:len(masks)].",
		"len(masks) is a multiple of four. It prefetches the blocks that follow in the list.",
		"The caller has checked the sizes.")
	Pragma("noescape")
	limit := ZMM()
	broadcastLimit(limit)
	at := GP64() // position in the list
	XORQ(at, at)

	Label("group")
	CMPQ(at, Load(Param("masks").Len(), GP64()))
	JAE(LabelRef("done"))
	rows, next := listAddresses(at)
	var acc [listBlocks][2]reg.VecVirtual
	for b := range acc {
		for half := range acc[b] {
			acc[b][half] = ZMM()
			VPXORQ(acc[b][half], acc[b][half], acc[b][half])
		}
	}
	// lines is the offset of a line in the first half of a block, and far is the
	// offset of the line at the same position of the second half.
	query, far := base("query"), Load(Param("query").Len(), GP64())
	SHRQ(U8(1), far)
	words, left := GP64(), GP64()
	MOVQ(far, left)
	MOVQ(far, words)
	SHLQ(U8(2), words)
	SHLQ(U8(6), far)
	lines := GP64()
	XORQ(lines, lines)
	addLine := func(b, half int, word Mem, at reg.Register) {
		r := ZMM()
		VMOVDQU64(Mem{Base: rows[b], Index: at, Scale: 1}, r)
		VPDPBUSD_BCST(word, r, acc[b][half])
	}
	TESTQ(left, left)
	JZ(LabelRef("odd"))
	Label("line")
	for b := range rows {
		addLine(b, 0, Mem{Base: query}, lines)
		addLine(b, 1, Mem{Base: query, Index: words, Scale: 1}, far)
		PREFETCHT1(Mem{Base: next[b], Index: lines, Scale: 1})
		PREFETCHT1(Mem{Base: next[b], Index: far, Scale: 1})
	}
	ADDQ(I32(4), query)
	ADDQ(I32(line), lines)
	ADDQ(I32(line), far)
	DECQ(left)
	JNZ(LabelRef("line"))

	Label("odd")
	count := GP64()
	Load(Param("query").Len(), count)
	TESTQ(I32(1), count)
	JZ(LabelRef("sum"))
	for b := range rows {
		addLine(b, 0, Mem{Base: query, Index: words, Scale: 1}, far)
	}
	Label("sum")
	finishList(acc, at, limit)
	ADDQ(I32(listBlocks), at)
	JMP(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}

// listAddresses returns the addresses of the four blocks at a position in the
// list, and of the next four blocks. If fewer than four blocks follow, next
// holds the last four blocks of the list.
func listAddresses(at reg.Register) (rows, next [listBlocks]reg.GPVirtual) {
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
			SHLQ(U8(6), size)
			IMULQ(size, r)
			ADDQ(base("blocks"), r)
			part.rows[b] = r
		}
	}
	return rows, next
}

// finishList stores the values and masks of the four blocks at a position in the
// list.
func finishList(acc [listBlocks][2]reg.VecVirtual, at reg.Register, limit reg.VecVirtual) {
	list, values := base("list"), GP64()
	MOVQ(at, values)
	SHLQ(U8(6), values)
	ADDQ(base("values"), values)
	masks := base("masks")
	for b := range acc {
		consts, miss := GP64(), K()
		MOVL(Mem{Base: list, Index: at, Scale: 4, Disp: 4 * b}, consts.As32())
		IMUL3Q(I32(constBytes), consts, consts)
		ADDQ(base("consts"), consts)
		VPADDD(acc[b][1], acc[b][0], acc[b][0])
		finish512(acc[b][0], Mem{Base: consts}, limit, miss)
		VMOVDQU32(acc[b][0], Mem{Base: values, Disp: b * line})
		KNOTW(miss, miss)
		KMOVW(miss, Mem{Base: masks, Index: at, Scale: 2, Disp: 2 * b})
	}
}
