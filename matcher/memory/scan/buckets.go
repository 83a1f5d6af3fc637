package scan

import "math"

// Large answers are ordered by counting. A sort that compares has branches that the CPU
// often predicts wrongly, and each wrong prediction costs more than a comparison.

// bucketsMin is the number of hits from which counting is faster than comparing.
const bucketsMin = 256

// buckets is the number of ranges of values for which splitByValue counts hits.
const buckets = 1024

// splitByValue moves hits so that the first n of the order by value are at the front,
// except that those at lo..hi-1, which have almost the same value, are in any order.
// lo < n <= hi. There must be at least n hits.
func splitByValue(hits []Hit, n int) (lo, hi int) {
	least, most := hits[0].value, hits[0].value
	for _, h := range hits {
		if h.value < least { // min and max are slower, because they order NaN too
			least = h.value
		} else if h.value > most {
			most = h.value
		}
	}
	scale := buckets / (most - least)
	if !(scale > 0) || math.IsInf(scale, 0) { // equal values, or a difference that is infinite or close to 0
		return 0, len(hits)
	}
	var counts [buckets]int
	for _, h := range hits {
		counts[bucketOf(h.value, least, scale)]++
	}
	cut := 0
	for lo+counts[cut] < n {
		lo += counts[cut]
		cut++
	}
	hi = lo + counts[cut]
	// Three ranges side by side: buckets before the cut, the bucket of the cut, the rest.
	first, same, rest := 0, 0, len(hits)
	for same < rest {
		switch b := bucketOf(hits[same].value, least, scale); {
		case b < cut:
			hits[first], hits[same] = hits[same], hits[first]
			first, same = first+1, same+1
		case b == cut:
			same++
		default:
			rest--
			hits[same], hits[rest] = hits[rest], hits[same]
		}
	}
	return lo, hi
}

// bucketOf returns the number of the bucket of a value. It never falls when the value
// rises, because each operation is rounded to the nearest float64.
func bucketOf(value, least, scale float64) int {
	return min(int(float64(value-least)*scale), buckets-1)
}

// sortByValue returns hits in the order of their values, in the same slice or in a new
// one. It is a radix sort over the bits of the values, eight bits at a time. Bits that are
// the same in all hits are skipped: sums of uint8 have many of them.
func sortByValue(hits []Hit) []Hit {
	var counts [8][256]uint32
	for _, h := range hits {
		k := sortKey(h.value)
		for i := range counts {
			counts[i][byte(k>>(8*i))]++
		}
	}
	from, to := hits, make([]Hit, len(hits))
	for i := range counts {
		c, shift := &counts[i], 8*i
		if c[byte(sortKey(hits[0].value)>>shift)] == uint32(len(hits)) {
			continue
		}
		at := uint32(0)
		for digit, n := range c {
			c[digit] = at
			at += n
		}
		for _, h := range from {
			digit := byte(sortKey(h.value) >> shift)
			to[c[digit]] = h
			c[digit]++
		}
		from, to = to, from
	}
	return from
}

// sortKey returns a number whose order is that of the values. -0 is directly before 0.
func sortKey(value float64) uint64 {
	b := math.Float64bits(value)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}
