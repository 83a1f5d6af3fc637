// Command probe generates the probes of package simd. They measure the highest
// speed that a core reaches: they only read memory, or only multiply.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"nearside/simd/gen/vex"
)

//go:generate go run . -pkg simd -out ../../probe_amd64.s -stubs ../../probe_stub_amd64.go

// sums is the number of independent sums. It hides the latency of an instruction,
// at most five cycles with at most two instructions started in each.
const sums = 12

func main() {
	ConstraintExpr("amd64,!purego")
	stream("probeStreamAVX2", 32, YMM, VPXOR)
	stream("probeStreamAVX512", 64, ZMM, func(m, x, y Op) { VPXORQ(m, x, y) })
	products("probeU8AVX2", "VPMADDWD", YMM, func(a, b, acc reg.VecVirtual) { VPMADDWD(a, b, acc) })
	products("probeU8VNNI", "VPDPBUSD", ZMM, func(a, b, acc reg.VecVirtual) { VPDPBUSD(a, b, acc) })
	products("probeU8AVXVNNI", "VPDPBUSD", YMM, func(a, b, acc reg.VecVirtual) { vex.VPDPBUSD(a, b, acc) })
	tiles("probeU8AMX")
	products("probeF32AVX2", "VFMADD231PS", YMM, func(a, b, acc reg.VecVirtual) { VFMADD231PS(a, b, acc) })
	products("probeF32AVX512", "VFMADD231PS", ZMM, func(a, b, acc reg.VecVirtual) { VFMADD231PS(a, b, acc) })
	vex.Generate()
}

// stream generates a probe that reads memory in order into registers of size bytes.
func stream(name string, size int, register func() reg.VecVirtual, xor func(m, x, y Op)) {
	const turn = 512
	TEXT(name, NOSPLIT, "func(data []byte)")
	Doc(name+" reads data in order.", fmt.Sprintf("The length of data is a multiple of %d.", turn))
	Pragma("noescape")
	p, end := Load(Param("data").Base(), GP64()), Load(Param("data").Len(), GP64())
	acc := []reg.VecVirtual{register(), register(), register(), register()}
	for _, a := range acc {
		xor(a, a, a)
	}
	ADDQ(p, end)
	Label("turn")
	CMPQ(p, end)
	JAE(LabelRef("done"))
	for at := 0; at < turn; at += size {
		a := acc[at/size%len(acc)]
		xor(Mem{Base: p, Disp: at}, a, a)
	}
	ADDQ(I32(turn), p)
	JMP(LabelRef("turn"))
	Label("done")
	VZEROUPPER()
	RET()
}

// products generates a probe that repeats one multiply instruction and reads no
// memory.
func products(name, instruction string, register func() reg.VecVirtual, multiply func(a, b, acc reg.VecVirtual)) {
	TEXT(name, NOSPLIT, "func(rounds int)")
	Doc(fmt.Sprintf("%s runs %s %d times in each round.", name, instruction, sums))
	left := Load(Param("rounds"), GP64())
	a, b := register(), register()
	VXORPS(a.AsY(), a.AsY(), a.AsY())
	VXORPS(b.AsY(), b.AsY(), b.AsY())
	var acc [sums]reg.VecVirtual
	for i := range acc {
		acc[i] = register()
		VXORPS(acc[i].AsY(), acc[i].AsY(), acc[i].AsY()) // clears the upper half of a ZMM register, too
	}
	TESTQ(left, left)
	JZ(LabelRef("done"))
	Label("round")
	for i := range acc {
		multiply(a, b, acc[i])
	}
	DECQ(left)
	JNZ(LabelRef("round"))
	VZEROUPPER()
	Label("done")
	RET()
}

// tiles generates the same for tiles of 16 rows of 64 bytes. Six sums hide the latency.
func tiles(name string) {
	const (
		rows, bytes = 16, 64
		count       = 6
	)
	config := GLOBL("fullTiles", attr.RODATA|attr.NOPTR)
	for i := range 64 / 2 {
		word := 0
		switch {
		case i == 0:
			word = 1 // the palette
		case i >= 8 && i < 16:
			word = bytes
		case i >= 24 && i < 28:
			word = rows<<8 | rows
		}
		DATA(2*i, U16(word))
	}
	TEXT(name, NOSPLIT, "func(rounds int)")
	Doc(fmt.Sprintf("%s runs TDPBSUD %d times in each round.", name, sums))
	left, at := Load(Param("rounds"), GP64()), GP64()
	LEAQ(config, at)
	vex.LDTILECFG(Mem{Base: at})
	TESTQ(left, left)
	JZ(LabelRef("done"))
	Label("round")
	for i := range sums {
		vex.TDPBSUD(count+1, count, vex.Tile(i%count))
	}
	DECQ(left)
	JNZ(LabelRef("round"))
	Label("done")
	vex.TILERELEASE()
	RET()
}
