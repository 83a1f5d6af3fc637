// Command rowmajor writes the kernels of package simd that read row-major data:
// for each row of a block one sum over the pairs of its elements and the query's.
//
// All of them share one frame: rows strictly in order, because a core streams
// from memory about twice as fast that way as when it reads several rows side
// by side; within a row, steps of one vector register, then the rest that fills
// no register. A turn of the main loop takes 64 to 128 bytes: longer ones are
// no faster in cache and some were measured 20 % slower from memory.
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

// kernel is what differs between the kernels of the frame.
type kernel struct {
	name, doc string
	dst, elem string // Go types
	elemLog   uint8  // log2 of an element's size in bytes
	step      int    // bytes of a row that one step takes, a power of two
	turn      int    // steps per turn of the main loop, a power of two

	prepare func(end reg.Register)                // once per call: constants, masks
	clear   func()                                // before each row
	add     func(row, query Mem, i int)           // step i of a turn
	rest    func(row, query, j, end reg.Register) // bytes j..end, fewer than a step, more than none
	store   func(out Mem)                         // the row's sum
}

// emit writes the frame around k.
func emit(k kernel) {
	TEXT(k.name, NOSPLIT, "func(dst []"+k.dst+", query, rows []"+k.elem+")")
	Doc(k.name+" "+k.doc, "The caller has checked the shape.")
	Pragma("noescape")
	out := Load(Param("dst").Base(), GP64())
	left := Load(Param("dst").Len(), GP64())
	query := Load(Param("query").Base(), GP64())
	end := Load(Param("query").Len(), GP64()) // of a row, in bytes
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

// squaredL2U8AVX2 widens to 16 bits. The shorter way over VPMADDUBSW saturates.
func squaredL2U8AVX2() {
	acc := [2]reg.VecVirtual{YMM(), YMM()}
	scalar := GP32()
	emit(kernel{
		name: "squaredL2U8AVX2", doc: "sets dst[i] to the sum of (query[j]-row[j])^2, exact.",
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

// squaredL2U8VNNI takes d = |query - row| in bytes and squares it with
// VPDPBUSD, which multiplies unsigned by signed bytes: d*d = d*(d-128) - d*(-128),
// both d-128 and -128 are signed bytes. It was measured faster than widening d
// for VPDPWSSD. Lanes wrap, which cancels, since the sum fits in 32 bits.
func squaredL2U8VNNI() {
	square := []reg.VecVirtual{ZMM(), ZMM()} // sums of d*(d-128)
	offset := []reg.VecVirtual{ZMM(), ZMM()} // sums of d*(-128)
	signs := ZMM()                           // -128 in every byte
	k := kernel{
		name: "squaredL2U8VNNI", doc: "sets dst[i] to the sum of (query[j]-row[j])^2, exact.",
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

// floatAVX512 writes a float32 kernel; add must leave acc as it is where r and
// q are 0. Its registers are ymm: on Zen 4 zmm was no faster in cache, and up to
// 20 % slower on long rows from memory, where it runs ahead of the prefetcher.
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

// emitMasked writes the frame for steps of one register, which add takes into
// its accumulator i. The rest is a step under a mask: what is masked off is not
// read, so that it cannot fault, and counts as 0.
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
	emit(k)
}

// roundDown returns n less what is no whole multiple of m, a power of two.
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
	VPSHUFD(U8(0x4e), x, t) // pairs swapped
	add(t, x, x)
	VPSHUFD(U8(0xb1), x, t) // neighbours swapped
	add(t, x, x)
	return x
}
