package memory

import "math"

// number is a float64 whose order is that of integers, so that columns of them
// are tested as those of times are. -0 becomes 0.
type number int64

// noNumber is an absent one: below all others.
const noNumber = number(math.MinInt64)

func numberOf(f float64) number {
	b := int64(math.Float64bits(f + 0))
	if b < 0 {
		b ^= math.MaxInt64 // the order of negative ones is reversed
	}
	return number(b)
}

func (n number) float() float64 {
	b := int64(n)
	if b < 0 {
		b ^= math.MaxInt64
	}
	return math.Float64frombits(uint64(b))
}

// near returns the numbers lo..hi whose float64 difference from x is at most d,
// which is 0 or more. The difference grows with the number, so that there is one
// such range.
func near(x, d float64) (lo, hi number) {
	lo, hi = numberOf(x), numberOf(x)
	for end := numberOf(math.MaxFloat64); hi < end; {
		if mid := end - number(uint64(end-hi)/2); mid.float()-x <= d {
			hi = mid
		} else {
			end = mid - 1
		}
	}
	for end := numberOf(-math.MaxFloat64); end < lo; {
		if mid := end + number(uint64(lo-end)/2); x-mid.float() <= d {
			lo = mid
		} else {
			end = mid + 1
		}
	}
	return lo, hi
}
