// Command columns generates the kernels of package simd that find the values of a
// column within a range or among a few values.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

//go:generate go run . -pkg simd -out ../../columns_amd64.s -stubs ../../columns_stub_amd64.go

// instruction is one that exists for registers of 32 and of 64 bytes.
type instruction func(ops ...Op)

// lanes describes how a register is divided: the bits of a lane and the
// instructions for lanes of that size.
type lanes struct {
	bits      int
	broadcast instruction
	subtract  instruction
	compare   instruction // VPCMPU of AVX-512
	least     instruction // VPMINU of AVX-512
	isZero    instruction // VPTESTNM of AVX-512
	greater   instruction // VPCMPGT
	equal     instruction // VPCMPEQ
}

var (
	lanes16 = lanes{16, VPBROADCASTW, VPSUBW, VPCMPUW, nil, nil, VPCMPGTW, nil}
	lanes32 = lanes{32, VPBROADCASTD, VPSUBD, VPCMPUD, VPMINUD, VPTESTNMD, VPCMPGTD, VPCMPEQD}
	lanes64 = lanes{64, VPBROADCASTQ, VPSUBQ, VPCMPUQ, VPMINUQ, VPTESTNMQ, VPCMPGTQ, VPCMPEQQ}
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, l := range []lanes{lanes16, lanes32, lanes64} {
		within512(l)
		within256(l)
	}
	for _, l := range []lanes{lanes32, lanes64} {
		oneOf512(l)
		oneOf256(l)
	}
	Generate()
}

// textWithin declares a kernel that finds the values within a range.
func textWithin(l lanes, set string) {
	name := fmt.Sprintf("within%d%s", l.bits, set)
	TEXT(name, NOSPLIT, "func(words []uint64, values *byte, lo, span uint64)")
	Doc(name+" clears the bits of the values that are not in lo..lo+span.", "All 64 bits of every word are in use. The caller has checked the sizes.")
	Pragma("noescape")
}

// textOneOf declares a kernel that finds the values of a set.
func textOneOf(l lanes, set string) {
	name := fmt.Sprintf("oneOf%d%s", l.bits, set)
	TEXT(name, NOSPLIT, "func(words []uint64, values, set *byte, count int)")
	Doc(name+" clears the bits of the values that are not one of the count values of set, at least",
		"one. All 64 bits of every word are in use. The caller has checked the sizes.")
	Pragma("noescape")
}

// eachWord generates the loop over words, with the address of their values. body sets a
// bit of word for each of its 64 values that stays.
func (l lanes) eachWord(body func(values reg.Register) (word reg.GPVirtual)) {
	words, left := Load(Param("words").Base(), GP64()), Load(Param("words").Len(), GP64())
	values := Load(Param("values"), GP64())
	TESTQ(left, left)
	JZ(LabelRef("done"))

	Label("word")
	word := body(values)
	ANDQ(word, Mem{Base: words})
	ADDQ(I32(64*l.bits/8), values)
	ADDQ(I32(8), words)
	DECQ(left)
	JNZ(LabelRef("word"))
	Label("done")
	VZEROUPPER() // also without words, because registers have the parameters
	RET()
}

// appendBits sets the bits of word from the given one on to those of part, which has zeros
// in the places of other bits.
func appendBits(word, part reg.GPVirtual, at int) {
	if at == 0 {
		MOVQ(part, word)
		return
	}
	SHLQ(U8(at), part)
	ORQ(part, word)
}
