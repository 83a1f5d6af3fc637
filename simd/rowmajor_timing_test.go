package simd

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"
)

const (
	cachedBytes = 256 << 10 // fits in the L2 cache; also the size of one call
	storedBytes = 512 << 20 // larger than any cache
)

// stored returns distinct float32 rows. Their bytes also serve as uint8 rows,
// because the speed of a kernel does not depend on the values.
var stored = sync.OnceValue(func() []float32 {
	b := slab(storedBytes)
	s := unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
	r := seeded(7)
	for i := range s {
		s[i] = r.Float32()
	}
	return s
})

// benchmarkRows runs compute over all rows, block by block, with each usable
// kernel. Compare the results for memory with a stream probe that ran in the same
// minute, because the speed of shared machines drifts.
func benchmarkRows[T uint8 | float32, D any](b *testing.B, compute func(k *Kernel, dst []D, query, rows []T)) {
	var elem T
	size := int(unsafe.Sizeof(elem))
	all := unsafe.Slice((*T)(unsafe.Pointer(&stored()[0])), storedBytes/size)
	for _, k := range Kernels() {
		if !k.Usable() {
			continue
		}
		for _, dim := range []int{128, 512, 2048} {
			for place, bytes := range map[string]int{"cache": cachedBytes, "memory": storedBytes} {
				b.Run(fmt.Sprintf("%s/%d/%s", k.Name(), dim, place), func(b *testing.B) {
					block := cachedBytes / size
					dst := make([]D, block/dim)
					query := append([]T(nil), all[:dim]...)
					set := all[:bytes/size]
					b.SetBytes(int64(bytes))
					for b.Loop() {
						for i := 0; i < len(set); i += block {
							compute(k, dst, query, set[i:i+block])
						}
					}
					rows := float64(len(set)/dim) * float64(b.N)
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/rows, "ns/row")
				})
			}
		}
	}
}

func BenchmarkSquaredL2U8(b *testing.B)  { benchmarkRows(b, (*Kernel).SquaredL2U8) }
func BenchmarkSquaredL2F32(b *testing.B) { benchmarkRows(b, (*Kernel).SquaredL2F32) }
func BenchmarkDotF32(b *testing.B)       { benchmarkRows(b, (*Kernel).DotF32) }

// bytesOf returns the memory of s.
func bytesOf(s []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s))
}
