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

// FuzzInterleaved cuts data into queries and rows of dim values and compares
// every usable kernel's scans and tiles with the definition.
func FuzzInterleaved(f *testing.F) {
	f.Add([]byte{1}, uint16(0), uint8(0), uint64(0))
	f.Add(make([]byte, 3000), uint16(65), uint8(5), uint64(1))
	f.Add([]byte("queries and rows, again and again"), uint16(8), uint8(3), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, dim uint16, count uint8, seed uint64) {
		if len(data) == 0 {
			return
		}
		n, r := int(dim)%lengthMax+1, seeded(seed)
		next := 0
		value := func() uint8 {
			next++
			return data[next%len(data)] ^ uint8(next/len(data)) // goes round
		}
		cut := func(count int) ([][]uint8, [][]float32) {
			bytes, floats := make([][]uint8, count), make([][]float32, count)
			for i := range bytes {
				for range n {
					bytes[i] = append(bytes[i], value())
					x := math.Float32frombits(uint32(value())<<24 | uint32(value())<<16 | uint32(value()))
					if d := float64(x); math.IsNaN(d) || math.IsInf(d, 0) {
						x = 0
					}
					floats[i] = append(floats[i], x)
				}
			}
			return bytes, floats
		}
		blocks := 1 + int(count)/GroupMax%TileBlocks
		rows8, rows32 := cut(blocks * BlockRows)
		queries8, queries32 := cut(1 + int(count)%(GroupMax+2))
		s8 := blocksOf(make([]byte, blocks*BlockBytesU8(n)), rows8, RowConstU8)
		s32 := blocksOfF32(make([]byte, blocks*BlockBytesF32(n)), rows32, terms[int(count)%len(terms)](r))
		for _, k := range Kernels() {
			if !k.Usable() {
				continue
			}
			var q8 QueriesU8
			var q32 QueriesF32
			k.PackU8(&q8, queries8)
			k.PackF32(&q32, queries32)
			i := r.IntN(len(queries8))
			checkScanU8(t, k, r, s8, &q8, i, queries8[i])
			checkTileU8(t, k, r, s8, &q8, queries8, r.Perm(blocks))
			checkInterleavedF32(t, k, r, s32, &q32, queries32, r.Perm(blocks))
		}
	})
}
