package main

import "fmt"

// instruction is an instruction that the Go assembler lacks: its code with all
// registers 0, the feature that it needs, and its name and operands in the syntax of
// the manual, in which the destination comes first.
type instruction struct {
	code     uint32
	feature  string
	template string
}

var (
	cmgeS  = instruction{0x4ea03c00, "ASIMD", "cmge v%[1]d.4s, v%[2]d.4s, v%[3]d.4s"}
	cmhsH  = instruction{0x6e603c00, "ASIMD", "cmhs v%[1]d.8h, v%[2]d.8h, v%[3]d.8h"}
	cmhsS  = instruction{0x6ea03c00, "ASIMD", "cmhs v%[1]d.4s, v%[2]d.4s, v%[3]d.4s"}
	cmhsD  = instruction{0x6ee03c00, "ASIMD", "cmhs v%[1]d.2d, v%[2]d.2d, v%[3]d.2d"}
	uabd   = instruction{0x6e207400, "ASIMD", "uabd v%[1]d.16b, v%[2]d.16b, v%[3]d.16b"}
	smull  = instruction{0x0e20c000, "ASIMD", "smull v%[1]d.8h, v%[2]d.8b, v%[3]d.8b"}
	smull2 = instruction{0x4e20c000, "ASIMD", "smull2 v%[1]d.8h, v%[2]d.16b, v%[3]d.16b"}
	umull  = instruction{0x2e20c000, "ASIMD", "umull v%[1]d.8h, v%[2]d.8b, v%[3]d.8b"}
	umull2 = instruction{0x6e20c000, "ASIMD", "umull2 v%[1]d.8h, v%[2]d.16b, v%[3]d.16b"}
	sadalp = instruction{0x4e606800, "ASIMD", "sadalp v%[1]d.4s, v%[2]d.8h"}
	uadalp = instruction{0x6e606800, "ASIMD", "uadalp v%[1]d.4s, v%[2]d.8h"}
	saddlp = instruction{0x4e202800, "ASIMD", "saddlp v%[1]d.8h, v%[2]d.16b"}
	fadd   = instruction{0x4e20d400, "ASIMD", "fadd v%[1]d.4s, v%[2]d.4s, v%[3]d.4s"}
	faddp  = instruction{0x6e20d400, "ASIMD", "faddp v%[1]d.4s, v%[2]d.4s, v%[3]d.4s"}
	fsub   = instruction{0x4ea0d400, "ASIMD", "fsub v%[1]d.4s, v%[2]d.4s, v%[3]d.4s"}
	sdot   = instruction{0x4e809400, "ASIMDDP", "sdot v%[1]d.4s, v%[2]d.16b, v%[3]d.16b"}
	udot   = instruction{0x6e809400, "ASIMDDP", "udot v%[1]d.4s, v%[2]d.16b, v%[3]d.16b"}
	usmmla = instruction{0x4e80ac00, "I8MM", "usmmla v%[1]d.4s, v%[2]d.16b, v%[3]d.16b"}

	// These multiply every lane of the second operand by the same lane of the third.
	sdotLane  = instruction{0x4f80e000, "ASIMDDP", "sdot v%[1]d.4s, v%[2]d.16b, v%[3]d.4b[%[4]d]"}
	usdotLane = instruction{0x4f80f000, "I8MM", "usdot v%[1]d.4s, v%[2]d.16b, v%[3]d.4b[%[4]d]"}
)

// two, three and lane add an instruction with two registers, with three, or with
// three and the number of a lane, 0 to 3.
func (f *function) two(i instruction, d, n vec) {
	f.word(i, uint32(d)|uint32(n)<<5, fmt.Sprintf(i.template, int(d), int(n)))
}

func (f *function) three(i instruction, d, n, m vec) {
	f.word(i, uint32(d)|uint32(n)<<5|uint32(m)<<16, fmt.Sprintf(i.template, int(d), int(n), int(m)))
}

func (f *function) lane(i instruction, d, n, m vec, lane int) {
	low, high := uint32(lane)&1, uint32(lane)>>1
	f.word(i, uint32(d)|uint32(n)<<5|uint32(m)<<16|low<<21|high<<11, fmt.Sprintf(i.template, int(d), int(n), int(m), lane))
}

func (f *function) word(i instruction, registers uint32, text string) {
	f.needs[i.feature] = true
	f.op("WORD $0x%08x // %s", i.code|registers, text)
}

// clear sets count registers from first on to 0.
func (f *function) clear(first vec, count int) {
	for v := first; v < first+vec(count); v++ {
		f.op("VEOR %v.B16, %[1]v.B16, %[1]v.B16", v)
	}
}

// copyVec copies a register.
func (f *function) copyVec(from, to vec) { f.op("VORR %v.B16, %[1]v.B16, %[2]v.B16", from, to) }

// bitOfByte fills a register with the bit that each of 16 bytes has in a mask of 16
// bits. It uses R16.
func (f *function) bitOfByte(v vec) {
	f.op("MOVD $0x8040201008040201, R16")
	f.op("VDUP R16, %v.D2", v)
}

// prefetch loads the cache line at an offset from r into the L2 cache.
func (f *function) prefetch(offset int, r reg) { f.op("PRFM %d(%v), PLDL2KEEP", offset, r) }
