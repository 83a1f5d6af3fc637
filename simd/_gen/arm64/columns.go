package main

import "fmt"

// columns returns the kernels that find the values of a column within a range.
func columns() []*function {
	return []*function{
		within(16, "H8", cmhsH),
		within(32, "S4", cmhsS),
		within(64, "D2", cmhsD),
	}
}

// within generates a kernel that handles 64 values of the given size at a time, one
// word of the bitmap. A value is in lo..lo+span if value-lo, unsigned and modulo
// 2^bits, is at most span. That is one comparison. Comparisons set all bits of a lane,
// so the lower half of each lane is enough: they are narrowed to bytes.
func within(bits int, arrangement string, atLeast instruction) *function {
	name := fmt.Sprintf("within%dNEON", bits)
	f := newFunction(name, "words []uint64, values *byte, lo uint64, span uint64", 48,
		name+" clears the bits of the values that are not in lo..lo+span.",
		"All 64 bits of every word are in use. The caller has checked the sizes.")
	const (
		words, left, values, tmp, word reg = 0, 1, 2, 3, 4
		lo, span, bit, groups, first   vec = 0, 1, 2, 4, 16
	)
	f.op("MOVD words_base+0(FP), %v", words)
	f.op("MOVD words_len+8(FP), %v", left)
	f.op("MOVD values+24(FP), %v", values)
	f.op("MOVD lo+32(FP), %v", tmp)
	f.op("VDUP %v, %v.%s", tmp, lo, arrangement)
	f.op("MOVD span+40(FP), %v", tmp)
	f.op("VDUP %v, %v.%s", tmp, span, arrangement)
	f.bitOfByte(bit)
	f.op("CBZ %v, done", left)

	f.label("word")
	for group := range vec(4) { // of 16 values
		count := bits / 8 // registers
		for i := 0; i < count; i += 4 {
			n := min(count, 4)
			f.op("VLD1.P %d(%v), %s", 16*n, values, list(first+vec(i), n, arrangement))
		}
		for v := first; v < first+vec(count); v++ {
			f.op("VSUB %v.%s, %v.%[2]s, %[3]v.%[2]s", lo, arrangement, v)
			f.three(atLeast, v, span, v)
		}
		narrow := map[int]string{8: "S4", 4: "H8", 2: "B16"}
		for ; count > 1; count /= 2 {
			for i := range vec(count / 2) {
				f.op("VUZP1 %v.%s, %v.%[2]s, %[4]v.%[2]s", first+2*i+1, narrow[count], first+2*i, first+i)
			}
		}
		f.op("VAND %v.B16, %v.B16, %v.B16", bit, first, groups+group)
	}
	f.op("VADDP %v.B16, %v.B16, %[2]v.B16", groups+1, groups)
	f.op("VADDP %v.B16, %v.B16, %[2]v.B16", groups+3, groups+2)
	f.op("VADDP %v.B16, %v.B16, %[2]v.B16", groups+2, groups)
	f.op("VADDP %v.B16, %[1]v.B16, %[1]v.B16", groups)
	f.op("VMOV %v.D[0], %v", groups, tmp)
	f.op("MOVD (%v), %v", words, word)
	f.op("AND %v, %v, %[2]v", tmp, word)
	f.op("MOVD.P %v, 8(%v)", word, words)
	f.op("SUBS $1, %v, %[1]v", left)
	f.op("BNE word")
	f.label("done")
	return f
}
