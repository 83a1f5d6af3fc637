package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// listBlocks is the blocks of a list that are read at once.
const listBlocks = 4

// list512 writes a scan of blocks that lie apart. One block alone is read at
// less than half of the memory's speed: the CPU's own prefetching begins anew
// at every page. So the two halves of four blocks are read side by side, and
// with each line that of the next four is asked for.
func list512(name string, k kind512) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(query []%s, blocks []byte, consts []%s, list []uint32, limit %[2]s, values []%[2]s, masks []uint16)",
		k.word, k.elem))
	Doc(name+" compares one query with a multiple of four blocks, by their numbers.",
		"It prefetches what is behind them in the list. The caller has checked the sizes.")
	Pragma("noescape")
	limit := ZMM()
	broadcastLimit(limit)
	at := GP64() // place in the list
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
	// lines walks through the first halves, far through the second ones.
	query, far := base("query"), Load(Param("query").Len(), GP64())
	SHRQ(U8(1), far)
	words, left := GP64(), GP64()
	MOVQ(far, left)
	MOVQ(far, words)
	SHLQ(U8(2), words)
	SHLQ(U8(6), far)
	lines := GP64()
	XORQ(lines, lines)
	add := func(b, half int, word Mem, at reg.Register) {
		r := ZMM()
		VMOVDQU64(Mem{Base: rows[b], Index: at, Scale: 1}, r)
		k.macWord(word, r, acc[b][half])
	}
	TESTQ(left, left)
	JZ(LabelRef("odd"))
	Label("line")
	for b := range rows {
		add(b, 0, Mem{Base: query}, lines)
		add(b, 1, Mem{Base: query, Index: words, Scale: 1}, far)
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
		add(b, 0, Mem{Base: query, Index: words, Scale: 1}, far)
	}
	Label("sum")
	k.finishList(acc, at, limit)
	ADDQ(I32(listBlocks), at)
	JMP(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}

// listAddresses returns where the four blocks from a place in the list are, and
// the four behind them, or the last four.
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

// finishList writes the values and masks of the four blocks from a place in the
// list.
func (k kind512) finishList(acc [listBlocks][2]reg.VecVirtual, at reg.Register, limit reg.VecVirtual) {
	list, values := base("list"), GP64()
	MOVQ(at, values)
	SHLQ(U8(6), values)
	ADDQ(base("values"), values)
	masks := base("masks")
	for b := range acc {
		consts, miss := GP64(), K()
		MOVL(Mem{Base: list, Index: at, Scale: 4, Disp: 4 * b}, consts.As32())
		IMUL3Q(I32(int32(k.consts)), consts, consts)
		ADDQ(base("consts"), consts)
		k.add(acc[b][1], acc[b][0])
		k.finish(acc[b][0], Mem{Base: consts}, limit, miss)
		VMOVDQU32(acc[b][0], Mem{Base: values, Disp: b * line})
		KNOTW(miss, miss)
		KMOVW(miss, Mem{Base: masks, Index: at, Scale: 2, Disp: 2 * b})
	}
}
