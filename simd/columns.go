package simd

import (
	"fmt"
	"unsafe"
)

// Within treats words as a bitmap with one bit per value and clears the bits of
// the values that are not in lo..hi. It panics unless len(words) is the number of
// words that the values need.
func Within[T ~uint16 | ~uint32 | ~int64](k *Kernel, words []uint64, values []T, lo, hi T) {
	if need := (len(values) + 63) / 64; len(words) != need {
		panic(fmt.Sprintf("simd: a bitmap of %d values needs %d words, got %d", len(values), need, len(words)))
	}
	if lo > hi {
		clear(words)
		return
	}
	whole := 0
	if f := k.within[unsafe.Sizeof(lo)]; f != nil {
		whole = len(values) / 64
		f(words[:whole], (*byte)(unsafe.Pointer(unsafe.SliceData(values))), uint64(lo), uint64(hi-lo))
	}
	withinGeneric(words[whole:], values[whole*64:], lo, hi)
}

// withinFuncs do the work of Within for words whose 64 bits are all in use. The
// index is the size of a value in bytes; nil means that the kernel has no such
// function. A function uses only as many low bits of lo and span as a value
// has.
type withinFuncs [9]func(words []uint64, values *byte, lo, span uint64)

// withinGeneric is the reference for Within. It has no branch that depends on the
// data: a value is in lo..hi if value-lo, as an unsigned number, is at most hi-lo.
func withinGeneric[T ~uint16 | ~uint32 | ~int64](words []uint64, values []T, lo, hi T) {
	base, span := uint64(lo), uint64(hi)-uint64(lo)
	for w := range words {
		mask := uint64(0)
		for i, x := range values[w*64 : min(w*64+64, len(values))] {
			mask |= bitOf(uint64(x)-base <= span) << (i & 63)
		}
		words[w] &= mask
	}
}

func bitOf(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
