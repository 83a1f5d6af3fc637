package matcher

import (
	"cmp"
	"strconv"
)

// Number is the value of a JSON number: exact for 64-bit integers, the nearest
// float64 for all others. The value is Float + Rest.
//
// Rounding keeps the order, so numbers compare by Float first, and by Rest if
// the Floats are equal.
type Number struct {
	Float float64 // nearest to the value
	Rest  int16   // the value minus Float; 0 except for integers beyond 2^53
}

// IntNumber returns i exactly.
func IntNumber(i int64) Number {
	f := float64(i)
	return Number{f, int16(uint64(i) - integerBits(f))}
}

// UintNumber returns u exactly.
func UintNumber(u uint64) Number {
	f := float64(u)
	return Number{f, int16(u - integerBits(f))}
}

// integerBits returns an integer from -2^63 to 2^64, modulo 2^64.
func integerBits(f float64) uint64 {
	switch {
	case f < 0:
		return uint64(int64(f))
	case f == 1<<64:
		return 0
	}
	return uint64(f)
}

// ParseNumber reads a number as JSON writes it. For a number beyond the range of
// float64 it returns an infinite Number and an error.
func ParseNumber(text string) (Number, error) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return IntNumber(i), nil
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return UintNumber(u), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	return Number{Float: f}, err
}

// Compare returns -1, 0 or 1.
func (n Number) Compare(other Number) int {
	return cmp.Or(cmp.Compare(n.Float, other.Float), cmp.Compare(n.Rest, other.Rest))
}

// IsShared reports whether several 64-bit integers may round to the Float of n.
func (n Number) IsShared() bool {
	return n.Float >= 1<<53 && n.Float <= 1<<64 || n.Float <= -1<<53 && n.Float >= -1<<63
}

// Any returns the number as float64, or as int64 or uint64 if it is an integer
// whose Float is shared.
func (n Number) Any() any {
	switch {
	case !n.IsShared() || n == Number{Float: 1 << 64}:
		return n.Float
	case n.Float < 0:
		return int64(n.Float) + int64(n.Rest)
	}
	return integerBits(n.Float) + uint64(int64(n.Rest))
}
