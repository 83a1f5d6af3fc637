package memory

import (
	"math/bits"
	"math/rand/v2"
	"slices"

	"nearside/matcher"
	"nearside/simd"
)

// fewSpans is up to how many spans are compared with a column one after the
// other: more are looked up row by row.
const fewSpans = 8

// span are the values lo..hi.
type span[T any] struct{ lo, hi T }

// keepSpans clears the bits of words whose values are in none of few.
func keepSpans[T ~uint16 | ~uint32 | ~int64](k *simd.Kernel, words []uint64, values []T, few []span[T]) {
	some, one := make([]uint64, len(words)), make([]uint64, len(words))
	for _, s := range few {
		copy(one, words)
		keepWithin(k, one, values, s.lo, s.hi)
		for w := range some {
			some[w] |= one[w]
		}
	}
	copy(words, some)
}

// smallOneOf makes a predicate that passes the given values.
func smallOneOf(column func(*chunk) []matcher.Small, values []uint8) predicate {
	var set [1 << 9]uint8 // by Small: 1 for those that pass
	for _, x := range values {
		set[matcher.SmallOf(x)] = 1
	}
	var spans []span[matcher.Small]
	for x := matcher.SmallOf(0); int(x) < len(set); x++ {
		switch {
		case set[x] == 0:
		case set[x-1] == 1:
			spans[len(spans)-1].hi = x
		default:
			spans = append(spans, span[matcher.Small]{x, x})
		}
	}
	return predicate{
		one: func(v *view, i int) bool { return set[column(v.chunk)[i]] == 1 },
		all: func(k *simd.Kernel, v *view, words []uint64) {
			values := column(v.chunk)[:v.n]
			if len(spans) <= fewSpans {
				keepSpans(k, words, values, spans)
				return
			}
			for w := range words {
				if words[w] == 0 {
					continue
				}
				pass := uint64(0)
				for i, x := range values[w*64 : min(w*64+64, len(values))] {
					pass |= uint64(set[x%(1<<9)]) << (i & 63)
				}
				words[w] &= pass
			}
		},
	}
}

// oneOf passes the given values.
func oneOf[T ~uint32 | ~int64](column func(*chunk) []T, values []T) predicate {
	switch {
	case len(values) == 0:
		return nothing
	case len(values) == 1:
		return within(column, values[0], values[0])
	case len(values) <= fewSpans:
		few := make([]span[T], len(values))
		for i, x := range values {
			few[i] = span[T]{x, x}
		}
		return predicate{
			one: func(v *view, i int) bool { return slices.Contains(values, column(v.chunk)[i]) },
			all: func(k *simd.Kernel, v *view, words []uint64) { keepSpans(k, words, column(v.chunk)[:v.n], few) },
		}
	}
	set := newValueSet(values)
	return predicate{
		one: func(v *view, i int) bool { return set.has(column(v.chunk)[i]) },
		all: func(_ *simd.Kernel, v *view, words []uint64) { set.keep(words, column(v.chunk)[:v.n]) },
	}
}

// valueSet is a set of many values, at least one: a table of the low bits of
// all, which sorts out most others without a branch, and a hash table with
// linear probing.
type valueSet[T ~uint32 | ~int64] struct {
	low   [1 << 16 / 64]uint64
	slots []T    // a power of two, at most half full; free ones have the value free
	shift int    // of hashes
	seed  uint64 // random, so that nobody can choose values of one slot
	free  T      // it is in the set, and so never looked for beyond itself
}

func newValueSet[T ~uint32 | ~int64](values []T) *valueSet[T] {
	s := &valueSet[T]{shift: 63, seed: rand.Uint64(), free: values[0]}
	for 1<<(64-s.shift) < 2*len(values) {
		s.shift--
	}
	s.slots = slices.Repeat([]T{s.free}, 1<<(64-s.shift))
	for _, x := range values {
		s.low[x&0xffff>>6] |= 1 << (x & 63)
		at := s.at(x)
		for s.slots[at] != s.free && s.slots[at] != x {
			at = s.next(at)
		}
		s.slots[at] = x
	}
	return s
}

// at returns the slot to look at first, by a product that is folded.
func (s *valueSet[T]) at(x T) int {
	hi, lo := bits.Mul64(uint64(x)^s.seed, 0x9e3779b97f4a7c15)
	return int((hi ^ lo) >> s.shift)
}

// next returns the slot after another.
func (s *valueSet[T]) next(at int) int { return (at + 1) & (len(s.slots) - 1) }

func (s *valueSet[T]) has(x T) bool {
	for at := s.at(x); ; at = s.next(at) {
		switch s.slots[at] {
		case x:
			return true
		case s.free:
			return false
		}
	}
}

// keep clears the bits of words whose values are not in the set.
func (s *valueSet[T]) keep(words []uint64, values []T) {
	for w := range words {
		if words[w] == 0 {
			continue
		}
		maybe, part := uint64(0), values[w*64:min(w*64+64, len(values))]
		for i, x := range part {
			maybe |= s.low[x&0xffff>>6] >> (x & 63) & 1 << (i & 63)
		}
		words[w] &= maybe
		for left := words[w]; left != 0; left &= left - 1 {
			if i := bits.TrailingZeros64(left); !s.has(part[i]) {
				words[w] &^= 1 << i
			}
		}
	}
}
