package memory

import (
	"math"
	"math/bits"

	"nearside/matcher"
	"nearside/simd"
)

// predicate is one filter over a column. Each form gives the same answer: all
// is for many rows of a chunk, one for few.
type predicate struct {
	one func(v *view, i int) bool
	// all clears the bits of words, one per row below v.n, that do not pass.
	all func(k *simd.Kernel, v *view, words []uint64)
}

// byRow makes a predicate whose only form is one; it visits set bits.
func byRow(one func(v *view, i int) bool) predicate {
	return predicate{one: one, all: func(_ *simd.Kernel, v *view, words []uint64) { clearUnless(v, words, one) }}
}

// clearUnless clears the set bits of words whose rows fail test.
func clearUnless(v *view, words []uint64, test func(v *view, i int) bool) {
	for w, word := range words {
		for left := word; left != 0; left &= left - 1 {
			if bit := bits.TrailingZeros64(left); !test(v, w*64+bit) {
				words[w] &^= 1 << bit
			}
		}
	}
}

// within makes a predicate lo <= column <= hi.
func within[T ~uint16 | ~uint32 | ~int64](column func(*chunk) []T, lo, hi T) predicate {
	return predicate{
		one: func(v *view, i int) bool { x := column(v.chunk)[i]; return lo <= x && x <= hi },
		all: func(k *simd.Kernel, v *view, words []uint64) { keepWithin(k, words, column(v.chunk)[:v.n], lo, hi) },
	}
}

// gapWords is how many words without a bit are worth to be stepped over.
const gapWords = 4

// keepWithin is [simd.Within] that reads no values where no row is left: what
// another predicate passes is often side by side.
func keepWithin[T ~uint16 | ~uint32 | ~int64](k *simd.Kernel, words []uint64, values []T, lo, hi T) {
	for at := 0; at < len(words); {
		if words[at] == 0 {
			at++
			continue
		}
		end := at + 1 // behind the last word of the run with a bit
		for next := end; next < len(words) && next-end < gapWords; next++ {
			if words[next] != 0 {
				end = next + 1
			}
		}
		simd.Within(k, words[at:end], values[at*64:min(end*64, len(values))], lo, hi)
		at = end
	}
}

// smallRange makes a predicate over optional small numbers; absent ones fail.
func smallRange(column func(*chunk) []matcher.Small, r matcher.Range[uint8]) predicate {
	lo, hi := matcher.SmallOf(0), matcher.SmallOf(math.MaxUint8)
	if r.GTE != nil {
		lo = matcher.SmallOf(*r.GTE)
	}
	if r.LT != nil {
		hi = matcher.SmallOf(*r.LT) - 1 // for 0 the absent value: nothing passes, as lo is above it
	}
	return within(column, lo, hi)
}

// timeRange looks at the zones of a chunk first: rows that came in the order of
// time are then found without looking at the others.
func timeRange(r matcher.Range[matcher.Time]) predicate {
	lo, hi := matcher.Time(math.MinInt64), matcher.Time(math.MaxInt64)
	if r.GTE != nil {
		lo = *r.GTE
	}
	if r.LT != nil {
		if *r.LT == math.MinInt64 {
			return nothing
		}
		hi = *r.LT - 1
	}
	rows := within(func(c *chunk) []matcher.Time { return c.times }, lo, hi)
	return predicate{
		one: rows.one,
		all: func(k *simd.Kernel, v *view, words []uint64) {
			for z := 0; z*zoneRows < v.n; z++ {
				part := words[z*zoneRows/64 : min((z+1)*zoneRows/64, len(words))]
				full := (z+1)*zoneRows <= v.n // the writer may be at the last zone
				switch {
				case full && (v.zones[z].max < lo || v.zones[z].min > hi):
					clear(part)
				case full && v.zones[z].min >= lo && v.zones[z].max <= hi:
				default:
					simd.Within(k, part, v.times[z*zoneRows:min((z+1)*zoneRows, v.n)], lo, hi)
				}
			}
		},
	}
}

// nothing passes no row.
var nothing = predicate{
	one: func(*view, int) bool { return false },
	all: func(_ *simd.Kernel, _ *view, words []uint64) { clear(words) },
}

func idRange(r matcher.Range[matcher.ID]) predicate {
	return byRow(func(v *view, i int) bool {
		id := v.ids[i]
		return (r.GTE == nil || id.Compare(*r.GTE) >= 0) && (r.LT == nil || id.Compare(*r.LT) < 0)
	})
}
