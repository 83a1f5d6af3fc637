package scan

import (
	"math"
	"math/bits"
)

// levelCount is the number of ranges of values in which hits are counted.
const levelCount = 1024

// levels counts the hits of a large answer by value.
type levels struct {
	limit       int
	least, most float64 // smallest and largest value at the last recount
	scale       float64 // levels per unit of value; 0: there is only level 0
	counts      [levelCount]uint32
	top         int // hits of higher levels cannot belong to the answer
	within      int // number of hits in levels 0..top
}

// reset makes l count hits in one level, so that the bound does not fall.
func (l *levels) reset(limit int) {
	l.limit, l.least, l.most, l.scale, l.top, l.within = limit, 0, math.Inf(1), 0, 0, 0
	l.counts[0] = 0
}

// of returns the level of a value. The level never falls when the value rises, because each
// operation is rounded to the nearest float64.
func (l *levels) of(value float64) int {
	return max(0, min(int(float64(value-l.least)*l.scale), levelCount-1))
}

// lower lowers top as far as limit hits stay within. It reports whether top has changed.
func (l *levels) lower() bool {
	before := l.top
	for l.within-int(l.counts[l.top]) >= l.limit {
		l.within -= int(l.counts[l.top])
		l.top--
	}
	return l.top != before
}

// recount counts hits, at least limit, with levels between their smallest and their
// largest value, and lowers top.
func (l *levels) recount(hits []Hit) {
	least, most := hits[0].value, hits[0].value
	for _, h := range hits {
		if h.value < least { // min and max are slower, because they order NaN too
			least = h.value
		} else if h.value > most {
			most = h.value
		}
	}
	l.reset(l.limit)
	l.most = most
	clear(l.counts[:])
	// There is one level if the values are equal, or their difference is infinite or close to 0.
	// There is also one if a value is negative, which no distance is: then bound would need
	// too many steps near 0, where floats are much closer together than the borders of levels.
	if scale := levelCount / (most - least); least >= 0 && scale > 0 && !math.IsInf(scale, 0) {
		l.least, l.scale, l.top = least, scale, levelCount-1
	}
	for _, h := range hits {
		l.counts[l.of(h.value)]++
	}
	l.within = len(hits)
	l.lower()
}

// bound returns the largest value in levels 0..top, or most if that is smaller.
func (l *levels) bound() float64 {
	if l.scale == 0 || l.top == levelCount-1 {
		return l.most
	}
	v := l.least + float64(l.top+1)/l.scale // exact except for rounding
	for l.of(v) > l.top {
		v = math.Nextafter(v, math.Inf(-1))
	}
	for next := math.Nextafter(v, math.Inf(1)); l.of(next) <= l.top; next = math.Nextafter(v, math.Inf(1)) {
		v = next
	}
	return min(v, l.most)
}

// Digits of sortByValue, in bits. More bits need fewer passes, but more counters.
const (
	digitFew  = 8
	digitMany = 11
	manyHits  = 1 << 13 // number of hits from which digitMany is faster
)

// sortByValue returns hits in the order of their values, and the other slice. Hits of equal
// value keep their order, and -0 is before 0. It is a radix sort over the bits of the
// values from the first to the last that differs: sums of uint8 have few of them. spare is as
// long as hits.
func sortByValue(hits, spare []Hit) (sorted, other []Hit) {
	if len(hits) == 0 {
		return hits, spare
	}
	varying := uint64(0)
	for _, h := range hits {
		varying |= sortKey(h.value) ^ sortKey(hits[0].value)
	}
	digit := digitFew
	if len(hits) >= manyHits {
		digit = digitMany
	}
	for shift := bits.TrailingZeros64(varying); shift < bits.Len64(varying); shift += digit {
		sortByDigit(spare, hits, shift, digit)
		hits, spare = spare, hits
	}
	return hits, spare
}

// sortByDigit copies hits to dst in the order of one digit of their keys.
func sortByDigit(dst, hits []Hit, shift, digit int) {
	var counters [1 << digitMany]uint32
	counts, mask := counters[:1<<digit], uint64(1)<<digit-1
	for _, h := range hits {
		counts[sortKey(h.value)>>shift&mask]++
	}
	at := uint32(0)
	for d, n := range counts {
		counts[d] = at
		at += n
	}
	for _, h := range hits {
		d := sortKey(h.value) >> shift & mask
		dst[counts[d]] = h
		counts[d]++
	}
}

// sortKey returns a number whose order is that of the values. -0 is directly before 0.
func sortKey(value float64) uint64 {
	b := math.Float64bits(value)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}
