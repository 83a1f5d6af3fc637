// Command rowmajor generates the kernels of package simd that read row-major
// data. Each computes, for each row, one sum over pairs of an element of the row
// and an element of the query.
//
// All kernels share one loop. It reads rows strictly in order, because a core
// reads memory about twice as fast that way as when it reads several rows side by
// side. Within a row it takes steps of one vector register, then the rest, which
// is shorter than a register. A turn, one iteration of the main loop, takes 64 to
// 128 bytes: longer turns are no faster in cache, and some were measured 20 %
// slower from memory.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

//go:generate go run main.go -pkg simd -out ../../rowmajor_amd64.s -stubs ../../rowmajor_stub_amd64.go

func main() {
	ConstraintExpr("amd64,!purego")
	squaredL2U8AVX2()
	squaredL2U8VNNI()
	floatAVX512("squaredL2F32AVX512", "sets dst[i] to the sum of (query[j]-row[j])^2.", func(r, q, acc reg.VecVirtual) {
		VSUBPS(r, q, r)
		VFMADD231PS(r, r, acc)
	})
	floatAVX512("dotF32AVX512", "sets dst[i] to the sum of query[j]*row[j].", func(r, q, acc reg.VecVirtual) {
		VFMADD231PS(r, q, acc)
	})
	Generate()
}

// kernel holds the parts in which the kernels differ.
type kernel struct {
	name, doc string
	dst, elem string // Go types of an element of dst and of a row
	elemLog   uint8  // log2 of an element's size in bytes
	step      int    // bytes of a row that one step takes, a power of two
	turn      int    // steps per turn of the main loop, a power of two

	prepare func(end reg.Register)                // once per call: loads constants and masks
	clear   func()                                // before each row: sets the sums to 0
	add     func(row, query Mem, i int)           // adds step i of a turn to the sums
	rest    func(row, query, j, end reg.Register) // adds bytes j to end: at least one, less than a step
	store   func(out Mem)                         // stores the row's sum
}

// emitLoop generates the function of k: the shared loop with the parts of k.
func emitLoop(k kernel) {
	TEXT(k.name, NOSPLIT, "func(dst []"+k.dst+", query, rows []"+k.elem+")")
	Doc(k.name+" "+k.doc, "The caller has checked the shape.")
	Pragma("noescape")
	out := Load(Param("dst").Base(), GP64())
	left := Load(Param("dst").Len(), GP64())
	query := Load(Param("query").Base(), GP64())
	end := Load(Param("query").Len(), GP64()) // size of a row, from here on in bytes
	row := Load(Param("rows").Base(), GP64())
	TESTQ(left, left)
	JZ(LabelRef("done"))

	if k.elemLog > 0 {
		SHLQ(U8(k.elemLog), end)
	}
	k.prepare(end)
	steps := roundDown(end, k.step)
	turns := roundDown(end, k.step*k.turn)

	Label("row")
	k.clear()
	j := GP64()
	XORQ(j, j)
	at := func(base reg.Register, i int) Mem {
		return Mem{Base: base, Index: j, Scale: 1, Disp: i * k.step}
	}

	Label("turn")
	CMPQ(j, turns)
	JAE(LabelRef("step"))
	for i := range k.turn {
		k.add(at(row, i), at(query, i), i)
	}
	ADDQ(I32(k.step*k.turn), j)
	JMP(LabelRef("turn"))

	Label("step")
	CMPQ(j, steps)
	JAE(LabelRef("rest"))
	k.add(at(row, 0), at(query, 0), 0)
	ADDQ(I32(k.step), j)
	JMP(LabelRef("step"))

	Label("rest")
	CMPQ(j, end)
	JAE(LabelRef("store"))
	k.rest(row, query, j, end)

	Label("store")
	k.store(Mem{Base: out})
	ADDQ(I32(4), out)
	ADDQ(end, row)
	DECQ(left)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	Label("done")
	RET()
}

// squaredL2U8AVX2 widens bytes to 16 bits. VPMADDUBSW would be shorter, but it
// saturates.
func squaredL2U8AVX2() {
	acc := [2]reg.VecVirtual{YMM(), YMM()}
	scalar := GP32()
	emitLoop(kernel{
		name: "squaredL2U8AVX2", doc: "sets dst[i] to the exact sum of (query[j]-row[j])^2.",
		dst: "uint32", elem: "uint8", step: 16, turn: 4,
		prepare: func(reg.Register) {},
		clear: func() {
			VPXOR(acc[0], acc[0], acc[0])
			VPXOR(acc[1], acc[1], acc[1])
			XORL(scalar, scalar)
		},
		add: func(row, query Mem, i int) {
			r, q := YMM(), YMM()
			VPMOVZXBW(row, r)
			VPMOVZXBW(query, q)
			VPSUBW(q, r, r)
			VPMADDWD(r, r, r)
			VPADDD(r, acc[i%2], acc[i%2])
		},
		rest: func(row, query, j, end reg.Register) { // AVX2 has no masked load of bytes
			r, q := GP32(), GP32()
			Label("byte")
			MOVBLZX(Mem{Base: row, Index: j, Scale: 1}, r)
			MOVBLZX(Mem{Base: query, Index: j, Scale: 1}, q)
			SUBL(q, r)
			IMULL(r, r)
			ADDL(r, scalar)
			INCQ(j)
			CMPQ(j, end)
			JB(LabelRef("byte"))
		},
		store: func(out Mem) {
			VPADDD(acc[1], acc[0], acc[0])
			sum := GP32()
			VMOVD(sumLanes(acc[0], VEXTRACTI128, VPADDD), sum)
			ADDL(scalar, sum)
			MOVL(sum, out)
		},
	})
}

// squaredL2U8VNNI computes d = |query - row| in bytes and squares it with
// VPDPBUSD, which multiplies unsigned by signed bytes: d*d = d*(d-128) - d*(-128),
// where d-128 and -128 fit in signed bytes. This was measured faster than widening
// d for VPDPWSSD. A lane may wrap around; the difference is still right, because
// the sum fits in 32 bits.
func squaredL2U8VNNI() {
	square := []reg.VecVirtual{ZMM(), ZMM()} // sums of d*(d-128)
	offset := []reg.VecVirtual{ZMM(), ZMM()} // sums of d*(-128)
	signs := ZMM()                           // -128 in every byte
	k := kernel{
		name: "squaredL2U8VNNI", doc: "sets dst[i] to the exact sum of (query[j]-row[j])^2.",
		dst: "uint32", elem: "uint8", step: 64, turn: 2,
		prepare: func(reg.Register) {
			bytes := GP32()
			MOVL(U32(0x80808080), bytes)
			VPBROADCASTD(bytes, signs)
		},
		clear: func() { clearAll(append(square, offset...)) },
		store: func(out Mem) {
			VPADDD(square[1], square[0], square[0])
			VPADDD(offset[1], offset[0], offset[0])
			VPSUBD(offset[0], square[0], square[0])
			half := YMM()
			VEXTRACTI64X4(U8(1), square[0], half)
			VPADDD(square[0].AsY(), half, half)
			VMOVD(sumLanes(half, VEXTRACTI128, VPADDD), out)
		},
	}
	emitMasked(k, ZMM, func(r, q reg.VecVirtual, i int) {
		d, s := ZMM(), ZMM()
		VPSUBUSB(q, r, d)
		VPSUBUSB(r, q, s)
		VPORQ(d, s, d)
		VPXORQ(signs, d, s)
		VPDPBUSD(s, d, square[i])
		VPDPBUSD(signs, d, offset[i])
	})
}

// floatAVX512 generates a float32 kernel. add must leave a lane of acc
// unchanged if that lane is 0 in r and in q. The kernel uses ymm registers: on
// Zen 4, zmm registers were no faster in cache and up to 20 % slower on long
// rows from memory, where they run ahead of the prefetcher.
func floatAVX512(name, doc string, add func(r, q, acc reg.VecVirtual)) {
	acc := []reg.VecVirtual{YMM(), YMM(), YMM(), YMM()}
	k := kernel{
		name: name, doc: doc,
		dst: "float32", elem: "float32", elemLog: 2, step: 32, turn: 4,
		prepare: func(reg.Register) {},
		clear:   func() { clearAll(acc) },
		store: func(out Mem) {
			VADDPS(acc[1], acc[0], acc[0])
			VADDPS(acc[3], acc[2], acc[2])
			VADDPS(acc[2], acc[0], acc[0])
			VMOVSS(sumLanes(acc[0], VEXTRACTF128, func(ops ...Op) { VADDPS(ops...) }), out)
		},
	}
	emitMasked(k, YMM, func(r, q reg.VecVirtual, i int) { add(r, q, acc[i]) })
}

// emitMasked generates the function of k with steps of one register. add adds
// the terms of a step to accumulator i. The rest is one step under a mask.
// Bytes outside the mask are not read, so they cannot fault, and count as 0.
func emitMasked(k kernel, register func() reg.VecVirtual, add func(r, q reg.VecVirtual, i int)) {
	mask := K()
	constants := k.prepare
	k.prepare = func(end reg.Register) {
		constants(end)
		rest, bits := GP64(), GP64()
		MOVQ(end, rest)
		ANDQ(I32(k.step-1), rest)
		MOVQ(I32(-1), bits)
		BZHIQ(rest, bits, bits) // a bit for each byte of the rest
		KMOVQ(bits, mask)
	}
	k.add = func(row, query Mem, i int) {
		r, q := register(), register()
		VMOVDQU8(row, r)
		VMOVDQU8(query, q)
		add(r, q, i)
	}
	k.rest = func(row, query, j, _ reg.Register) {
		r, q := register(), register()
		VMOVDQU8_Z(Mem{Base: row, Index: j, Scale: 1}, mask, r)
		VMOVDQU8_Z(Mem{Base: query, Index: j, Scale: 1}, mask, q)
		add(r, q, 1)
	}
	emitLoop(k)
}

// roundDown returns n rounded down to a multiple of m, a power of two.
func roundDown(n reg.Register, m int) reg.GPVirtual {
	r := GP64()
	MOVQ(n, r)
	ANDQ(I32(-m), r)
	return r
}

func clearAll(accs []reg.VecVirtual) {
	for _, a := range accs {
		VPXORQ(a, a, a)
	}
}

// sumLanes adds up the eight 32-bit lanes of y and returns the register with the sum in its lowest lane.
func sumLanes(y reg.VecVirtual, upperHalf func(imm, y, x Op), add func(ops ...Op)) reg.VecVirtual {
	x, t := XMM(), XMM()
	upperHalf(U8(1), y, x)
	add(y.AsX(), x, x)
	VPSHUFD(U8(0x4e), x, t) // swaps the pairs
	add(t, x, x)
	VPSHUFD(U8(0xb1), x, t) // swaps the lanes of each pair
	add(t, x, x)
	return x
}
