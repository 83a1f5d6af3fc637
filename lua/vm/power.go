package vm

import "math"

// power returns a to the power of b. The result is exact if a and b are whole
// numbers, b is from 2 to 64, and the result is at most 2^53. math.Pow does not
// guarantee that.
func power(a, b float64) float64 {
	if b == math.Trunc(b) && b >= 2 && b <= 64 && a == math.Trunc(a) && math.Abs(a) < maxInteger {
		product := 1.0
		for range int(b) {
			product *= a
			if math.Abs(product) > maxInteger {
				return math.Pow(a, b)
			}
		}
		return product
	}
	return signedNaN(math.Pow(a, b), -1, a, b)
}

// log10 returns the decimal logarithm. It is exact for powers of ten, unlike
// math.Log10: math.Log10(1000) is less than 3.
func log10(x float64) float64 {
	if r := math.Round(math.Log10(x)); math.Abs(r) <= 22 && math.Pow10(int(r)) == x {
		return r
	}
	return math.Log10(x)
}
