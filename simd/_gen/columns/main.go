// Command columns writes the kernels of package simd that look for values of a
// column within a range.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

//go:generate go run . -pkg simd -out ../../columns_amd64.s -stubs ../../columns_stub_amd64.go

const (
	register  = 64 // bytes
	lessEqual = 2  // predicate of VPCMPU
)

// lanes is what a register is cut into.
type lanes struct {
	bits      int
	broadcast func(ops ...Op)
	subtract  func(ops ...Op)
	compare   func(ops ...Op)
}

func main() {
	ConstraintExpr("amd64,!purego")
	within(lanes{16, VPBROADCASTW, VPSUBW, VPCMPUW})
	within(lanes{32, VPBROADCASTD, VPSUBD, VPCMPUD})
	within(lanes{64, VPBROADCASTQ, VPSUBQ, VPCMPUQ})
	Generate()
}

// within takes a word of 64 rows at a time. A value is within lo..lo+span when
// it is at most span above lo, without sign and modulo 2^bits: one comparison.
func within(l lanes) {
	name := fmt.Sprintf("within%dAVX512", l.bits)
	TEXT(name, NOSPLIT, "func(words []uint64, values *byte, lo, span uint64)")
	Doc(name+" clears the bits of values that are not in lo..lo+span, for whole words.", "The caller has checked the sizes.")
	Pragma("noescape")
	words, left := Load(Param("words").Base(), GP64()), Load(Param("words").Len(), GP64())
	values := Load(Param("values"), GP64())
	lo, span := l.fill("lo"), l.fill("span")
	TESTQ(left, left)
	JZ(LabelRef("done"))

	Label("word")
	word := GP64()
	rows := register * 8 / l.bits
	for i := range 64 / rows {
		x, k := ZMM(), K()
		VMOVDQU64(Mem{Base: values, Disp: i * register}, x)
		l.subtract(lo, x, x)
		l.compare(U8(lessEqual), span, x, k)
		part := word
		if i > 0 {
			part = GP64()
		}
		KMOVQ(k, part) // bits above the lanes are 0
		if i > 0 {
			SHLQ(U8(i*rows), part)
			ORQ(part, word)
		}
	}
	ANDQ(word, Mem{Base: words})
	ADDQ(I32(64*l.bits/8), values)
	ADDQ(I32(8), words)
	DECQ(left)
	JNZ(LabelRef("word"))
	VZEROUPPER()
	Label("done")
	RET()
}

// fill returns a register with a parameter in all lanes.
func (l lanes) fill(param string) reg.VecVirtual {
	value, all := Load(Param(param), GP64()), ZMM()
	if l.bits == 64 {
		l.broadcast(value, all)
	} else {
		l.broadcast(value.(reg.GPVirtual).As32(), all)
	}
	return all
}
