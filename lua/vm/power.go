package vm

import "math"

// power is a to the power of b. Where the result of a power with a whole
// exponent is exact, it is computed exactly, which math.Pow does not promise.
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
	return invalid(math.Pow(a, b), math.IsNaN(a) || math.IsNaN(b))
}

// log10 is exact for powers of ten; math.Log10(1000) is below 3.
func log10(x float64) float64 {
	if r := math.Round(math.Log10(x)); math.Abs(r) <= 22 && math.Pow10(int(r)) == x {
		return r
	}
	return math.Log10(x)
}
