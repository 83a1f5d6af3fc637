package simd

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzKernels splits data, from offset on, into a query and rows of dim values,
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

// FuzzInterleaved splits data into queries and rows of dim values, and compares
// the scans and tiles of every usable kernel with the definition.
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
			return data[next%len(data)] ^ uint8(next/len(data)) // repeats data with changed bits
		}
		nextRows := func(count int) [][]uint8 {
			rows := make([][]uint8, count)
			for i := range rows {
				for range n {
					rows[i] = append(rows[i], value())
				}
			}
			return rows
		}
		blocks := 1 + int(count)/(GroupMax+2)%TileBlocks
		rows := nextRows(blocks * BlockRows)
		queries := nextRows(1 + int(count)%(GroupMax+2))
		s := blocksOf(make([]byte, blocks*BlockBytesU8(n)), rows, RowConstU8)
		for _, k := range Kernels() {
			if !k.Usable() {
				continue
			}
			var q QueriesU8
			k.PackU8(&q, queries)
			i := r.IntN(len(queries))
			checkScanU8(t, k, r, s, &q, i, queries[i])
			checkTileU8(t, k, r, s, &q, queries, r.Perm(blocks))
		}
	})
}
