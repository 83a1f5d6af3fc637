package filter

import (
	"math/bits"
	"math/rand/v2"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// fewSpans is the maximum number of spans that are compared with a whole column one after
// the other. With more spans, each row's value is looked up in a table or a set.
const fewSpans = 8

// span is the range of values lo..hi, both included.
type span[T any] struct{ lo, hi T }

// keepSpans clears the bits of words whose values are outside all spans.
func keepSpans[T ~uint16 | ~uint32 | ~int64](k *simd.Kernel, words []uint64, values []T, spans []span[T]) {
	kept, inSpan := make([]uint64, len(words)), make([]uint64, len(words))
	for _, s := range spans {
		copy(inSpan, words)
		keepWithin(k, inSpan, values, s.lo, s.hi)
		for w := range kept {
			kept[w] |= inSpan[w]
		}
	}
	copy(words, kept)
}

// inSpans returns a predicate that passes values in any of the spans.
func inSpans[T ~uint16 | ~uint32 | ~int64](column func(*table.Chunk) []T, spans []span[T]) Predicate {
	if len(spans) == 1 {
		return Within(column, spans[0].lo, spans[0].hi)
	}
	return Predicate{
		One: func(v *table.View, i int) bool {
			x := column(v.Chunk)[i]
			return slices.ContainsFunc(spans, func(s span[T]) bool { return s.lo <= x && x <= s.hi })
		},
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			keepSpans(k, words, column(v.Chunk)[:v.Rows], spans)
		},
	}
}

// SmallOneOf returns a predicate that passes the given values.
func SmallOneOf(column func(*table.Chunk) []matcher.Small, values []uint8) Predicate {
	var set [1 << 9]uint8 // 1 for each Small that passes
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
	return Predicate{
		One: func(v *table.View, i int) bool { return set[column(v.Chunk)[i]] == 1 },
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			values := column(v.Chunk)[:v.Rows]
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

// oneOf returns a predicate that passes the given values.
func oneOf[T ~uint32 | ~int64](column func(*table.Chunk) []T, values []T) Predicate {
	switch len(values) {
	case 0:
		return Nothing
	case 1:
		return Within(column, values[0], values[0])
	}
	p := lookedUp(column, values)
	return Predicate{One: p.One, All: func(k *simd.Kernel, v *table.View, words []uint64) {
		if len(values) > k.OneOfMax() {
			p.All(k, v, words)
			return
		}
		rows := column(v.Chunk)[:v.Rows]
		for at, end := range runs(words) {
			simd.OneOf(k, words[at:end], rows[at*64:min(end*64, len(rows))], values)
		}
	}}
}

// lookedUp returns the same predicate as oneOf, without simd.OneOf. It is for kernels that
// cannot compare a column with so many values at once.
func lookedUp[T ~uint32 | ~int64](column func(*table.Chunk) []T, values []T) Predicate {
	if len(values) <= fewSpans {
		spans := make([]span[T], len(values))
		for i, x := range values {
			spans[i] = span[T]{x, x}
		}
		return inSpans(column, spans)
	}
	set := newValueSet(values)
	return Predicate{
		One: func(v *table.View, i int) bool { return set.has(column(v.Chunk)[i]) },
		All: func(_ *simd.Kernel, v *table.View, words []uint64) { set.keep(words, column(v.Chunk)[:v.Rows]) },
	}
}

// valueSet is a set of many values, at least one. It has two parts: a bitmap of the low
// 16 bits of all values, which rejects most other values without a branch, and a hash
// table with linear probing.
type valueSet[T ~uint32 | ~int64] struct {
	low   [1 << 16 / 64]uint64
	slots []T    // the length is a power of two; at most half are used; empty slots have the value free
	shift int    // a hash is shifted right by this to get a slot
	seed  uint64 // random, so that no client can choose values that share a slot
	free  T      // marks empty slots; it is a value of the set, so has(free) is right to return true at an empty slot
}

func newValueSet[T ~uint32 | ~int64](values []T) *valueSet[T] {
	s := &valueSet[T]{shift: 63, seed: rand.Uint64(), free: values[0]}
	for 1<<(64-s.shift) < 2*len(values) {
		s.shift--
	}
	s.slots = slices.Repeat([]T{s.free}, 1<<(64-s.shift))
	for _, x := range values {
		s.low[x&0xffff>>6] |= 1 << (x & 63)
		at := s.firstSlot(x)
		for s.slots[at] != s.free && s.slots[at] != x {
			at = s.nextSlot(at)
		}
		s.slots[at] = x
	}
	return s
}

// firstSlot returns the first slot to probe for x. The hash is the folded product of x
// and a constant.
func (s *valueSet[T]) firstSlot(x T) int {
	hi, lo := bits.Mul64(uint64(x)^s.seed, 0x9e3779b97f4a7c15)
	return int((hi ^ lo) >> s.shift)
}

// nextSlot returns the slot after at.
func (s *valueSet[T]) nextSlot(at int) int { return (at + 1) & (len(s.slots) - 1) }

func (s *valueSet[T]) has(x T) bool {
	for at := s.firstSlot(x); ; at = s.nextSlot(at) {
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
