package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const bytes256 = 32

// within256 generates a kernel like that of within512. AVX2 compares only signed numbers.
// So it compares value-lo and span with their highest bits flipped, which orders them as
// unsigned numbers. Subtracting lo with its highest bit flipped gives such a value-lo.
func within256(l lanes) {
	textWithin(l, "AVX2")
	lo, span := l.broadcastFlipped("lo"), l.broadcastFlipped("span")
	l.eachWord(func(values reg.Register) reg.GPVirtual {
		outside := func(i int) reg.VecVirtual {
			x := YMM()
			VMOVDQU(Mem{Base: values, Disp: i * bytes256}, x)
			l.subtract(lo, x, x)
			l.greater(span, x, x) // x > span
			return x
		}
		word := GP64()
		for at, i := 0, 0; at < 64; {
			var part reg.GPVirtual
			var bits, used int
			part, bits, used = l.laneBits(i, outside)
			appendBits(word, part, at)
			at, i = at+bits, i+used
		}
		NOTQ(word)
		return word
	})
}

// broadcastFlipped returns a register with a parameter in all lanes, with its highest bit
// flipped.
func (l lanes) broadcastFlipped(param string) reg.VecVirtual {
	value, low, all := Load(Param(param), GP64()), XMM(), YMM()
	BTCQ(U8(l.bits-1), value)
	VMOVQ(value, low)
	l.broadcast(low, all)
	return all
}

// laneBits returns the highest bits of the lanes of one or two registers, from register i
// on, and the numbers of these bits and registers. All bits of a lane must be equal.
func (l lanes) laneBits(i int, register func(i int) reg.VecVirtual) (part reg.GPVirtual, bits, used int) {
	part = GP64()
	switch l.bits {
	case 16:
		first, second := register(i), register(i+1)
		VPACKSSWB(second, first, first) // packs each half of 16 bytes by itself
		VPERMQ(U8(0b11_01_10_00), first, first)
		VPMOVMSKB(first, part.As32())
		return part, 32, 2
	case 32:
		VMOVMSKPS(register(i), part.As32())
		return part, 8, 1
	default:
		VMOVMSKPD(register(i), part.As32())
		return part, 4, 1
	}
}

// oneOf256 generates a kernel that compares eight registers of values with the set, one
// value of the set after the other.
func oneOf256(l lanes) {
	const registers = 8
	textOneOf(l, "AVX2")
	set, count := Load(Param("set"), GP64()), Load(Param("count"), GP64())
	rows := bytes256 * 8 / l.bits
	l.eachWord(func(values reg.Register) reg.GPVirtual {
		word := GP64()
		for first := 0; first < 64/rows; first += registers {
			found := l.findValues(values, first, registers, set, count)
			for i := 0; i < registers; i++ {
				part, _, _ := l.laneBits(i, func(i int) reg.VecVirtual { return found[i] })
				appendBits(word, part, (first+i)*rows)
			}
		}
		return word
	})
}

// findValues generates the loop over the set for n registers of values, from the given one
// on. It returns registers in which all bits of a lane are set if its value is in the set.
func (l lanes) findValues(values reg.Register, first, n int, set, count reg.Register) []reg.VecVirtual {
	found := make([]reg.VecVirtual, n)
	for i := range found {
		found[i] = YMM()
		VPXOR(found[i], found[i], found[i])
	}
	at, left := GP64(), GP64()
	MOVQ(set, at)
	MOVQ(count, left)

	loop := "value" + string(rune('0'+first/n))
	Label(loop)
	value := YMM()
	l.broadcast(Mem{Base: at}, value)
	for i := range found {
		equal := YMM()
		l.equal(Mem{Base: values, Disp: (first + i) * bytes256}, value, equal)
		VPOR(equal, found[i], found[i])
	}
	ADDQ(I32(l.bits/8), at)
	DECQ(left)
	JNZ(LabelRef(loop))
	return found
}
