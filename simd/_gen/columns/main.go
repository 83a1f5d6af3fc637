// Command columns generates the kernels of package simd that find the values of a
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
	register  = 64 // bytes of a register
	lessEqual = 2  // predicate of VPCMPU
)

// lanes describes how a register is divided: the bits of a lane and the
// instructions for lanes of that size.
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

// within generates a kernel that handles 64 values at a time, one word of the
// bitmap. A value is in lo..lo+span if value-lo, unsigned and modulo 2^bits, is at
// most span. That is one comparison.
func within(l lanes) {
	name := fmt.Sprintf("within%dAVX512", l.bits)
	TEXT(name, NOSPLIT, "func(words []uint64, values *byte, lo, span uint64)")
	Doc(name+" clears the bits of the values that are not in lo..lo+span.", "All 64 bits of every word are in use. The caller has checked the sizes.")
	Pragma("noescape")
	words, left := Load(Param("words").Base(), GP64()), Load(Param("words").Len(), GP64())
	values := Load(Param("values"), GP64())
	lo, span := l.broadcastParam("lo"), l.broadcastParam("span")
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

// broadcastParam returns a register with a parameter in all lanes.
func (l lanes) broadcastParam(param string) reg.VecVirtual {
	value, all := Load(Param(param), GP64()), ZMM()
	if l.bits == 64 {
		l.broadcast(value, all)
	} else {
		l.broadcast(value.(reg.GPVirtual).As32(), all)
	}
	return all
}
