//go:build amd64 && !purego

package simd

import (
	"github.com/klauspost/cpuid/v2"
	"github.com/viterin/vek/vek32"
)

func nativeKernels() []*Kernel {
	return []*Kernel{
		{
			name:         "avx2",
			level:        levelAVX2,
			usable:       cpuid.CPU.Supports(needAVX2...),
			squaredL2U8:  squaredL2U8AVX2,
			squaredL2F32: squaredL2F32Vek,
			dotF32:       dotF32Vek,
		},
		{
			name:         "avx512-vnni",
			level:        levelAVX512,
			usable:       cpuid.CPU.Supports(needAVX512...),
			squaredL2U8:  squaredL2U8VNNI,
			squaredL2F32: squaredL2F32AVX512,
			dotF32:       dotF32AVX512,
		},
	}
}

// squaredL2F32Vek squares vek's distance; ErrorBound allows for its square root.
func squaredL2F32Vek(dst, query, rows []float32) {
	for i := range dst {
		d := vek32.Distance(query, rows[i*len(query):][:len(query)])
		dst[i] = d * d
	}
}

func dotF32Vek(dst, query, rows []float32) {
	for i := range dst {
		dst[i] = vek32.Dot(query, rows[i*len(query):][:len(query)])
	}
}
