package main

// rowMajor returns the kernels that read row-major data. Each computes, for each row,
// one sum over pairs of an element of the row and an element of the query. All have
// the same structure: turns of several registers, steps of one register, and the rest one
// by one.
func rowMajor() []*function {
	const product vec = 24
	return []*function{
		squaredL2U8("squaredL2U8NEON", 8, func(f *function, i int, d vec) {
			f.three(umull, product, d, d)
			f.three(umull2, product+1, d, d)
			f.two(uadalp, vec(2*i), product)
			f.two(uadalp, vec(2*i+1), product+1)
		}),
		squaredL2U8("squaredL2U8DotProd", 4, func(f *function, i int, d vec) { f.three(udot, vec(i), d, d) }),
		sumF32("squaredL2F32NEON", "sets dst[i] to the sum of (query[j]-row[j])^2.", func(f *function, sum, r, q vec) {
			f.three(fsub, r, r, q)
			f.op("VFMLA %v.S4, %[1]v.S4, %v.S4", r, sum)
		}, func(f *function, sum, r, q vec) {
			f.op("FSUBS F%d, F%d, F%[2]d", int(q), int(r))
			f.op("FMADDS F%d, F%d, F%[1]d, F%[2]d", int(r), int(sum))
		}),
		sumF32("dotF32NEON", "sets dst[i] to the sum of query[j]*row[j].", func(f *function, sum, r, q vec) {
			f.op("VFMLA %v.S4, %v.S4, %v.S4", r, q, sum)
		}, func(f *function, sum, r, q vec) {
			f.op("FMADDS F%d, F%d, F%d, F%[2]d", int(r), int(sum), int(q))
		}),
	}
}

// The registers of a row-major kernel. The sums begin at V0.
const (
	rowDst, rowLeft, rowQuery, rowSize, rowAt, rowQueryAt, rowCount reg = 0, 1, 2, 3, 4, 5, 6
	rowTurns, rowSteps, rowRest                                     reg = 7, 8, 9

	rowLoaded, rowQueryLoaded vec = 16, 20 // four registers each
)

// rowKernel holds the parts in which the row-major kernels differ. An element has
// 1<<elemLog bytes, a step 16 bytes, and a turn 16<<turnLog bytes.
type rowKernel struct {
	elemLog, turnLog int
	sums             int // registers that start at 0 for each row

	clear func()             // before each row, beside the sums
	add   func(step, at int) // adds step number step of a turn, which is loaded at register number at
	rest  func()             // adds one element
	store func()             // stores the row's sum
}

// emit generates the function of k.
func (k rowKernel) emit(f *function) {
	f.op("MOVD dst_base+0(FP), %v", rowDst)
	f.op("MOVD dst_len+8(FP), %v", rowLeft)
	f.op("MOVD query_base+24(FP), %v", rowQuery)
	f.op("MOVD query_len+32(FP), %v", rowSize)
	f.op("MOVD rows_base+48(FP), %v", rowAt)
	f.op("CBZ %v, done", rowLeft)
	stepLog := 4 - k.elemLog // log2 of the elements of a step
	f.op("LSR $%d, %v, %v", stepLog+k.turnLog, rowSize, rowTurns)
	f.op("LSR $%d, %v, %v", stepLog, rowSize, rowSteps)
	f.op("AND $%d, %v, %[2]v", 1<<k.turnLog-1, rowSteps)
	f.op("AND $%d, %v, %v", 1<<stepLog-1, rowSize, rowRest)

	f.label("row")
	f.clear(0, k.sums)
	k.clear()
	f.op("MOVD %v, %v", rowQuery, rowQueryAt)
	f.op("CBZ %v, steps", rowTurns)
	f.op("MOVD %v, %v", rowTurns, rowCount)
	f.label("turn")
	for at := 0; at < 1<<k.turnLog; at += 4 {
		f.op("VLD1.P 64(%v), %s", rowAt, list(rowLoaded, 4, "B16"))
		f.op("VLD1.P 64(%v), %s", rowQueryAt, list(rowQueryLoaded, 4, "B16"))
		for i := range 4 {
			k.add(at+i, i)
		}
	}
	f.op("SUBS $1, %v, %[1]v", rowCount)
	f.op("BNE turn")

	f.label("steps")
	f.op("CBZ %v, rest", rowSteps)
	f.op("MOVD %v, %v", rowSteps, rowCount)
	f.label("step")
	f.op("VLD1.P 16(%v), %s", rowAt, list(rowLoaded, 1, "B16"))
	f.op("VLD1.P 16(%v), %s", rowQueryAt, list(rowQueryLoaded, 1, "B16"))
	k.add(0, 0)
	f.op("SUBS $1, %v, %[1]v", rowCount)
	f.op("BNE step")

	f.label("rest")
	f.op("CBZ %v, store", rowRest)
	f.op("MOVD %v, %v", rowRest, rowCount)
	f.label("element")
	k.rest()
	f.op("SUBS $1, %v, %[1]v", rowCount)
	f.op("BNE element")

	f.label("store")
	k.store()
	f.op("SUBS $1, %v, %[1]v", rowLeft)
	f.op("BNE row")
	f.label("done")
}

// squaredL2U8 generates a kernel of unsigned bytes. add adds the squares of the
// distances in register d to the sums, for register number i of a turn of four.
func squaredL2U8(name string, sums int, add func(f *function, i int, d vec)) *function {
	f := newFunction(name, "dst []uint32, query []uint8, rows []uint8", 72,
		name+" sets dst[i] to the exact sum of (query[j]-row[j])^2.", "The caller has checked the shape.")
	const sum, r, q reg = 10, 11, 12 // of the rest
	rowKernel{
		turnLog: 2, sums: sums,
		clear: func() { f.op("MOVD ZR, %v", sum) },
		add: func(step, at int) {
			d := rowLoaded + vec(at)
			f.three(uabd, d, d, rowQueryLoaded+vec(at))
			add(f, step, d)
		},
		rest: func() {
			f.op("MOVBU.P 1(%v), %v", rowAt, r)
			f.op("MOVBU.P 1(%v), %v", rowQueryAt, q)
			f.op("SUBW %v, %v, %[2]v", q, r)
			f.op("MADDW %v, %v, %[1]v, %[2]v", r, sum)
		},
		store: func() {
			f.addAll(sums, 1, func(x, y vec) { f.op("VADD %v.S4, %v.S4, %[2]v.S4", y, x) })
			f.op("VADDV V0.S4, V0")
			f.op("VMOV V0.S[0], %v", r)
			f.op("ADDW %v, %v, %[2]v", sum, r)
			f.op("MOVW.P %v, 4(%v)", r, rowDst)
		},
	}.emit(f)
	return f
}

// sumF32 generates a float32 kernel with eight sums, which hide a latency of four cycles
// on two multipliers. add adds the products of four lanes; rest adds the product of one
// lane.
func sumF32(name, doc string, add, rest func(f *function, sum, r, q vec)) *function {
	f := newFunction(name, "dst []float32, query []float32, rows []float32", 72, name+" "+doc, "The caller has checked the shape.")
	const sums = 8
	const restSum, r, q vec = 8, 9, 10
	rowKernel{
		elemLog: 2, turnLog: 3, sums: sums,
		clear: func() { f.clear(restSum, 1) },
		add:   func(step, at int) { add(f, vec(step), rowLoaded+vec(at), rowQueryLoaded+vec(at)) },
		rest: func() {
			f.op("FMOVS.P 4(%v), F%d", rowAt, int(r))
			f.op("FMOVS.P 4(%v), F%d", rowQueryAt, int(q))
			rest(f, restSum, r, q)
		},
		store: func() {
			f.addAll(sums, 1, func(x, y vec) { f.three(fadd, x, x, y) })
			f.three(faddp, 0, 0, 0)
			f.three(faddp, 0, 0, 0)
			f.op("FADDS F%d, F0, F0", int(restSum))
			f.op("FMOVS.P F0, 4(%v)", rowDst)
		},
	}.emit(f)
	return f
}

// addAll adds up count registers from V0 on until rest registers remain. Both numbers
// are powers of two. add adds y to x.
func (f *function) addAll(count, rest int, add func(x, y vec)) {
	for n := vec(count / 2); n >= vec(rest); n /= 2 {
		for i := range n {
			add(i, i+n)
		}
	}
}
