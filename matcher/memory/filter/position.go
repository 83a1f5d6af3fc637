package filter

import (
	"math"

	"nearside/matcher/memory/table"
)

// around returns the longitudes that are at most d degrees from x on the circle of 360
// degrees: the numbers n with |n-x| <= d or 360-|n-x| <= d, computed in float64.
func around(x, d float64) []span[table.Number] {
	lo, hi := near(x, d)
	spans := []span[table.Number]{{lo, hi}}
	first, last := table.NumberOf(-180), table.NumberOf(180)
	// wraps reports whether n is near x by the way across the 180th meridian.
	wraps := func(n table.Number) bool { return 360-math.Abs(n.Float()-x) <= d }
	if wraps(last) {
		lo, hi := table.NumberOf(x), last // hi wraps; the numbers x..lo-1 do not
		for lo < hi {
			if mid := lo + table.Number(uint64(hi-lo)/2); wraps(mid) {
				hi = mid
			} else {
				lo = mid + 1
			}
		}
		spans = append(spans, span[table.Number]{lo, last})
	}
	if wraps(first) {
		lo, hi := first, table.NumberOf(x)
		for lo < hi {
			if mid := hi - table.Number(uint64(hi-lo)/2); wraps(mid) {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		spans = append(spans, span[table.Number]{first, hi})
	}
	return spans
}

// near returns the range lo..hi of numbers whose float64 difference from x is at most d.
// d must not be negative. It is a single range because the difference grows with the
// number.
func near(x, d float64) (lo, hi table.Number) {
	lo, hi = table.NumberOf(x), table.NumberOf(x)
	for end := table.NumberOf(math.MaxFloat64); hi < end; {
		if mid := end - table.Number(uint64(end-hi)/2); mid.Float()-x <= d {
			hi = mid
		} else {
			end = mid - 1
		}
	}
	for end := table.NumberOf(-math.MaxFloat64); end < lo; {
		if mid := end + table.Number(uint64(lo-end)/2); x-mid.Float() <= d {
			lo = mid
		} else {
			end = mid + 1
		}
	}
	return lo, hi
}
