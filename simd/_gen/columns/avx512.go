package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	bytes512  = 64
	lessEqual = 2 // predicate of VPCMPU
)

// within512 generates a kernel that handles 64 values at a time, one word of the
// bitmap. A value is in lo..lo+span if value-lo, unsigned and modulo 2^bits, is at
// most span. That is one comparison.
func within512(l lanes) {
	textWithin(l, "AVX512")
	lo, span := l.broadcast512("lo"), l.broadcast512("span")
	rows := bytes512 * 8 / l.bits
	l.eachWord(func(values reg.Register) reg.GPVirtual {
		word := GP64()
		for i := range 64 / rows {
			x, k := ZMM(), K()
			VMOVDQU64(Mem{Base: values, Disp: i * bytes512}, x)
			l.subtract(lo, x, x)
			l.compare(U8(lessEqual), span, x, k)
			part := GP64()
			KMOVQ(k, part) // bits above the lanes are 0
			appendBits(word, part, i*rows)
		}
		return word
	})
}

// broadcast512 returns a register with a parameter in all lanes.
func (l lanes) broadcast512(param string) reg.VecVirtual {
	value, all := Load(Param(param), GP64()), ZMM()
	if l.bits == 64 {
		l.broadcast(value, all)
	} else {
		l.broadcast(value.(reg.GPVirtual).As32(), all)
	}
	return all
}

// oneOf512 generates a kernel that compares 64 values with the set, one value of the set
// after the other. The differences from all of them are reduced to the least one, which is
// zero if one of them is. A comparison for each would need mask registers, and the CPU
// handles these more slowly.
func oneOf512(l lanes) {
	textOneOf(l, "AVX512")
	set, count := Load(Param("set"), GP64()), Load(Param("count"), GP64())
	rows := bytes512 * 8 / l.bits
	l.eachWord(func(values reg.Register) reg.GPVirtual {
		x, least := make([]reg.VecVirtual, 64/rows), make([]reg.VecVirtual, 64/rows)
		for i := range x {
			x[i], least[i] = ZMM(), ZMM()
			VMOVDQU64(Mem{Base: values, Disp: i * bytes512}, x[i])
			VPTERNLOGD(U8(0xff), least[i], least[i], least[i])
		}
		at, left := GP64(), GP64()
		MOVQ(set, at)
		MOVQ(count, left)

		Label("value")
		value := ZMM()
		l.broadcast(Mem{Base: at}, value)
		for i := range x {
			difference := ZMM()
			l.subtract(value, x[i], difference)
			l.least(difference, least[i], least[i])
		}
		ADDQ(I32(l.bits/8), at)
		DECQ(left)
		JNZ(LabelRef("value"))

		word := GP64()
		for i := range x {
			k, part := K(), GP64()
			l.isZero(least[i], least[i], k)
			KMOVQ(k, part) // bits above the lanes are 0
			appendBits(word, part, i*rows)
		}
		return word
	})
}
