package simd

import (
	"fmt"
	"unsafe"
)

// Within treats words as a bitmap with one bit per value and clears the bits of
// the values that are not in lo..hi. It panics unless len(words) is the number of
// words that the values need.
func Within[T ~uint16 | ~uint32 | ~int64](k *Kernel, words []uint64, values []T, lo, hi T) {
	checkWords(len(words), len(values))
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

// OneOf treats words as a bitmap with one bit per value and clears the bits of the values
// that are not in set. Its time grows with the length of set; see OneOfMax. It panics
// unless len(words) is the number of words that the values need.
func OneOf[T ~uint32 | ~int64](k *Kernel, words []uint64, values, set []T) {
	checkWords(len(words), len(values))
	if len(set) == 0 {
		clear(words)
		return
	}
	whole := 0
	if f := k.oneOf[unsafe.Sizeof(set[0])]; f != nil {
		whole = len(values) / 64
		f(words[:whole], (*byte)(unsafe.Pointer(unsafe.SliceData(values))), (*byte)(unsafe.Pointer(unsafe.SliceData(set))), len(set))
	}
	oneOfGeneric(words[whole:], values[whole*64:], set)
}

// OneOfMax returns the length of a set up to which OneOf is faster than looking up each
// value in a table. It is 0 if the kernel has no function of its own for OneOf.
func (k *Kernel) OneOfMax() int { return k.oneOfMax }

// checkWords panics unless words is the number of words that the values need.
func checkWords(words, values int) {
	if need := (values + 63) / 64; words != need {
		panic(fmt.Sprintf("simd: a bitmap of %d values needs %d words, got %d", values, need, words))
	}
}

// withinFuncs do the work of Within for words whose 64 bits are all in use. The
// index is the size of a value in bytes; nil means that the kernel has no such
// function. A function uses only as many low bits of lo and span as a value
// has.
type withinFuncs [9]func(words []uint64, values *byte, lo, span uint64)

// oneOfFuncs do the work of OneOf for words whose 64 bits are all in use. The index is the
// size of a value in bytes. count is the number of values of set, at least one.
type oneOfFuncs [9]func(words []uint64, values, set *byte, count int)

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

// oneOfGeneric is the reference for OneOf. Like withinGeneric, it has no branch that
// depends on the data.
func oneOfGeneric[T ~uint32 | ~int64](words []uint64, values, set []T) {
	for w := range words {
		mask := uint64(0)
		for i, x := range values[w*64 : min(w*64+64, len(values))] {
			found := uint64(0)
			for _, s := range set {
				found |= bitOf(x == s)
			}
			mask |= found << (i & 63)
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
