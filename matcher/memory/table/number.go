package table

import "math"

// Number is a float64 encoded as an integer with the same order, so that number columns
// can be compared in the same way as time columns. -0 becomes 0.
type Number int64

// NoNumber means that there is no number. It is below all others.
const NoNumber = Number(math.MinInt64)

// NumberOf returns the number of f.
func NumberOf(f float64) Number {
	b := int64(math.Float64bits(f + 0))
	if b < 0 {
		b ^= math.MaxInt64 // negative floats have the reverse order
	}
	return Number(b)
}

// Float returns the float64 of n.
func (n Number) Float() float64 {
	b := int64(n)
	if b < 0 {
		b ^= math.MaxInt64
	}
	return math.Float64frombits(uint64(b))
}
