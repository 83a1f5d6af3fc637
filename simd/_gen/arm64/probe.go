package main

import "fmt"

// multiplies is the number of multiply instructions in a round of a probe.
const multiplies = 12

// probes returns the probes. They measure the highest speed that a core reaches: they
// only read memory, or only multiply.
func probes() []*function {
	const a, b, product vec = 28, 29, 12
	return []*function{
		stream(),
		multiply("probeU8NEON", "SMULL", func(f *function, sum vec) {
			f.three(smull, product+sum, a, b)
			f.two(sadalp, sum, product+sum)
		}),
		multiply("probeU8DotProd", "SDOT", func(f *function, sum vec) { f.lane(sdotLane, sum, a, b, 0) }),
		multiply("probeU8I8MM", "USMMLA", func(f *function, sum vec) { f.three(usmmla, sum, a, b) }),
		multiply("probeF32NEON", "FMLA", func(f *function, sum vec) { f.op("VFMLA %v.S4, %v.S4, %v.S4", a, b, sum) }),
	}
}

// stream generates a probe that reads memory in order.
func stream() *function {
	const turn = 512
	f := newFunction("probeStreamNEON", "data []byte", 24,
		"probeStreamNEON reads data in order.", fmt.Sprintf("The length of data is a multiple of %d.", turn))
	f.op("MOVD data_base+0(FP), R0")
	f.op("MOVD data_len+8(FP), R1")
	f.op("LSR $9, R1, R1")
	f.clear(0, 4)
	f.op("CBZ R1, done")
	f.label("turn")
	for i := range turn / 64 {
		first := vec(16 + 4*(i%2))
		f.op("VLD1.P 64(R0), %s", list(first, 4, "B16"))
		for j := range vec(4) {
			f.op("VEOR %v.B16, %v.B16, %[2]v.B16", first+j, j)
		}
	}
	f.op("SUBS $1, R1, R1")
	f.op("BNE turn")
	f.label("done")
	return f
}

// multiply generates a probe that repeats one multiply instruction and reads no memory.
func multiply(name, instruction string, add func(f *function, sum vec)) *function {
	f := newFunction(name, "rounds int", 8, fmt.Sprintf("%s runs %s %d times in each round.", name, instruction, multiplies))
	f.op("MOVD rounds+0(FP), R0")
	f.clear(0, 30)
	f.op("CBZ R0, done")
	f.label("round")
	for sum := range vec(multiplies) {
		add(f, sum)
	}
	f.op("SUBS $1, R0, R0")
	f.op("BNE round")
	f.label("done")
	return f
}
