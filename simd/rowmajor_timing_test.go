package simd

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"
)

const (
	cachedBytes = 256 << 10 // fits in L2; also what one call gets
	storedBytes = 512 << 20 // fits in no cache
)

// stored is a set of distinct rows; its bytes also serve as uint8 rows, since
// no kernel's speed depends on the values.
var stored = sync.OnceValue(func() []float32 {
	b := slab(storedBytes)
	s := unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
	r := seeded(7)
	for i := range s {
		s[i] = r.Float32()
	}
	return s
})

// benchmark runs compute over a set, block by block, on each usable kernel.
// Compare the memory rows with a stream probe of the same minute: rates of
// shared machines drift.
func benchmark[T uint8 | float32, D any](b *testing.B, compute func(k *Kernel, dst []D, query, rows []T)) {
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

func BenchmarkSquaredL2U8(b *testing.B)  { benchmark(b, (*Kernel).SquaredL2U8) }
func BenchmarkSquaredL2F32(b *testing.B) { benchmark(b, (*Kernel).SquaredL2F32) }
func BenchmarkDotF32(b *testing.B)       { benchmark(b, (*Kernel).DotF32) }

// bytesOf returns the memory of s.
func bytesOf(s []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s))
}
