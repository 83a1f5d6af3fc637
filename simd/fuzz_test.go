package simd

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzKernels cuts data into a query and rows of dim values, from an offset on,
// and compares every usable kernel with the reference.
func FuzzKernels(f *testing.F) {
	f.Add([]byte{}, uint16(0), uint8(0))
	f.Add(make([]byte, 300), uint16(65), uint8(1))
	f.Add([]byte("a query, rows and a rest that fills no row"), uint16(8), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, dim uint16, offset uint8) {
		data = data[min(int(offset), len(data)):]
		n := int(dim)%DimMax + 1
		floats := make([]float32, len(data)/4)
		for i := range floats {
			floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			if d := float64(floats[i]); math.IsNaN(d) || math.IsInf(d, 0) {
				floats[i] = 0
			}
		}
		for _, k := range Kernels() {
			if !k.Usable() {
				continue
			}
			if count := len(data)/n - 1; count >= 0 {
				checkU8(t, k, count, data[:n], data[n:][:count*n])
			}
			if count := len(floats)/n - 1; count >= 0 {
				for _, m := range metrics {
					m.check(t, k, count, floats[:n], floats[n:][:count*n])
				}
			}
		}
	})
}
