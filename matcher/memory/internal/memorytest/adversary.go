package memorytest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Adversary returns a float32 row for which an error bound may fail. kind is 0..6: rows
// of any size, with outliers, close to each other, or all the same.
func Adversary(r *rand.Rand, dims, kind int) []byte {
	data := make([]byte, 0, 4*dims)
	size := math.Pow(10, float64(r.IntN(60)-30))
	for i := range dims {
		f := float32(r.NormFloat64())
		switch kind {
		case 0: // all rows of one size
		case 1: // the size differs from row to row
			f *= float32(size)
		case 2: // outliers
			if i == r.IntN(dims) {
				f *= 1e6
			}
		case 3: // all rows the same
			f = float32(math.Sin(float64(i)))
		case 4: // the same except for the last digit
			f = float32(math.Sin(float64(i))) * (1 + float32(r.IntN(3))*0x1p-23)
		case 5: // the smallest and largest numbers
			f = math.Float32frombits(r.Uint32() &^ 0x40000000)
			if f != f || r.IntN(2) == 0 {
				f = float32(r.NormFloat64()) * 1e37
			}
		case 6: // only the first value is not zero
			if i > 0 {
				f = 0
			}
		}
		if math.IsInf(float64(f), 0) || f != f {
			f = 1
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return data
}
