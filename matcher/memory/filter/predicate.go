package filter

import (
	"iter"
	"math"
	"math/bits"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// Predicate is one condition on a column. Both forms give the same answer: All is for
// many rows of a chunk, One is for few.
type Predicate struct {
	One func(v *table.View, i int) bool
	// All clears the bits of rows that do not pass. words has one bit for each row below
	// v.Rows.
	All func(k *simd.Kernel, v *table.View, words []uint64)
}

// ByRow returns a predicate that tests each row with test.
func ByRow(test func(v *table.View, i int) bool) Predicate {
	return Predicate{One: test, All: func(_ *simd.Kernel, v *table.View, words []uint64) { ClearUnless(v, words, test) }}
}

// ClearUnless clears the set bits of words whose rows fail test.
func ClearUnless(v *table.View, words []uint64, test func(v *table.View, i int) bool) {
	for w, word := range words {
		for left := word; left != 0; left &= left - 1 {
			if bit := bits.TrailingZeros64(left); !test(v, w*64+bit) {
				words[w] &^= 1 << bit
			}
		}
	}
}

// Within returns the predicate lo <= column <= hi.
func Within[T ~uint16 | ~uint32 | ~int64](column func(*table.Chunk) []T, lo, hi T) Predicate {
	return Predicate{
		One: func(v *table.View, i int) bool { x := column(v.Chunk)[i]; return lo <= x && x <= hi },
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			keepWithin(k, words, column(v.Chunk)[:v.Rows], lo, hi)
		},
	}
}

// gapWords is the number of consecutive zero words from which skipping them is worth a
// separate SIMD call.
const gapWords = 4

// runs yields the parts lo..hi-1 of words that must be evaluated. It skips runs of zero
// words. The rows that pass an earlier predicate are often close together, so such runs
// are common.
func runs(words []uint64) iter.Seq2[int, int] {
	return func(yield func(lo, hi int) bool) {
		for at := 0; at < len(words); {
			if words[at] == 0 {
				at++
				continue
			}
			end := at + 1 // after the last nonzero word of the run
			for next := end; next < len(words) && next-end < gapWords; next++ {
				if words[next] != 0 {
					end = next + 1
				}
			}
			if !yield(at, end) {
				return
			}
			at = end
		}
	}
}

// keepWithin does the same as [simd.Within], but skips runs of zero words.
func keepWithin[T ~uint16 | ~uint32 | ~int64](k *simd.Kernel, words []uint64, values []T, lo, hi T) {
	for at, end := range runs(words) {
		simd.Within(k, words[at:end], values[at*64:min(end*64, len(values))], lo, hi)
	}
}

// smallRange returns a predicate on optional small numbers. Absent numbers fail.
func smallRange(column func(*table.Chunk) []matcher.Small, r matcher.Range[uint8]) Predicate {
	lo, hi := matcher.SmallOf(0), matcher.SmallOf(math.MaxUint8)
	if r.GTE != nil {
		lo = matcher.SmallOf(*r.GTE)
	}
	if r.LT != nil {
		hi = matcher.SmallOf(*r.LT) - 1 // if LT is 0, hi is the value for absent numbers, which is below lo: no row passes
	}
	return Within(column, lo, hi)
}

// TimeRange returns a predicate on the creation time. It checks the zones of a chunk
// first, so it reads few values if the rows arrived in the order of time.
func TimeRange(r matcher.Range[matcher.Time]) Predicate {
	lo, hi := matcher.Time(math.MinInt64), matcher.Time(math.MaxInt64)
	if r.GTE != nil {
		lo = *r.GTE
	}
	if r.LT != nil {
		if *r.LT == math.MinInt64 {
			return Nothing
		}
		hi = *r.LT - 1
	}
	rows := Within(func(c *table.Chunk) []matcher.Time { return c.Times }, lo, hi)
	return Predicate{
		One: rows.One,
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			for z := 0; z*table.ZoneRows < v.Rows; z++ {
				part := words[z*table.ZoneRows/64 : min((z+1)*table.ZoneRows/64, len(words))]
				full := (z+1)*table.ZoneRows <= v.Rows // the writer may be changing a zone that is not full
				switch {
				case full && (v.Zones[z].Max < lo || v.Zones[z].Min > hi):
					clear(part)
				case full && v.Zones[z].Min >= lo && v.Zones[z].Max <= hi:
				default:
					simd.Within(k, part, v.Times[z*table.ZoneRows:min((z+1)*table.ZoneRows, v.Rows)], lo, hi)
				}
			}
		},
	}
}

// Nothing is the predicate that no row passes.
var Nothing = Predicate{
	One: func(*table.View, int) bool { return false },
	All: func(_ *simd.Kernel, _ *table.View, words []uint64) { clear(words) },
}

// idRange returns a predicate that passes rows whose ID is in r.
func idRange(r matcher.Range[matcher.ID]) Predicate {
	return ByRow(func(v *table.View, i int) bool {
		id := v.IDs[i]
		return (r.GTE == nil || id.Compare(*r.GTE) >= 0) && (r.LT == nil || id.Compare(*r.LT) < 0)
	})
}

// Everything is the predicate that every row passes.
var Everything = Predicate{
	One: func(*table.View, int) bool { return true },
	All: func(*simd.Kernel, *table.View, []uint64) {},
}

// Without returns a predicate that passes rows that pass p and do not pass excluded.
func Without(p, excluded Predicate) Predicate {
	return Predicate{
		One: func(v *table.View, i int) bool { return p.One(v, i) && !excluded.One(v, i) },
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			unwanted := slices.Clone(words)
			excluded.All(k, v, unwanted)
			p.All(k, v, words)
			for w := range words {
				words[w] &^= unwanted[w]
			}
		},
	}
}
