package simd

import (
	"fmt"
	"unsafe"
)

// Within clears the bits of words, one per value, whose values are not in
// lo..hi. It panics unless words are just as many as the values need.
func Within[T ~uint16 | ~uint32 | ~int64](k *Kernel, words []uint64, values []T, lo, hi T) {
	if len(words) != (len(values)+63)/64 {
		panic(fmt.Sprintf("simd: %d words for %d values", len(words), len(values)))
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

// withinFuncs are Within for whole words, by the size of a value in bytes; nil:
// there is none. Only the low bits of lo and span count.
type withinFuncs [9]func(words []uint64, values *byte, lo, span uint64)

// withinGeneric has no branch that depends on the data: a value is in lo..hi
// when its distance above lo, without sign, is at most that of hi.
func withinGeneric[T ~uint16 | ~uint32 | ~int64](words []uint64, values []T, lo, hi T) {
	base, span := uint64(lo), uint64(hi)-uint64(lo)
	for w := range words {
		mask := uint64(0)
		for i, x := range values[w*64 : min(w*64+64, len(values))] {
			mask |= bit(uint64(x)-base <= span) << (i & 63)
		}
		words[w] &= mask
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
