//go:build arm64 && !purego

package simd

import "github.com/klauspost/cpuid/v2"

// nativeKernels returns the kernels for arm64. They share the float32 functions,
// because the higher levels only add instructions for bytes.
func nativeKernels() []*Kernel {
	neon := Kernel{
		name:         "neon",
		level:        levelNEON,
		usable:       cpuid.CPU.Supports(needNEON...),
		needs:        needNEON,
		squaredL2U8:  squaredL2U8NEON,
		squaredL2F32: squaredL2F32NEON,
		dotF32:       dotF32NEON,
		wordsU8:      1,
		packU8:       packBytes,
		scanU8:       scanU8NEON,
		listU8:       listU8NEON,
		listShare:    listShareARM,
		tileU8:       tileFuncs{2: tileU8x2NEON, 4: tileU8x4NEON, 6: tileU8x6NEON},
		groupU8:      NarrowMax,
		within:       withinFuncs{2: within16NEON, 4: within32NEON, 8: within64NEON},
		probes:       probes{probeStreamNEON, probeU8NEON, probeF32NEON, 8, 4},
	}

	dotProd := neon
	dotProd.name = "neon-dotprod"
	dotProd.level = levelDotProd
	dotProd.usable, dotProd.needs = cpuid.CPU.Supports(needDotProd...), needDotProd
	dotProd.squaredL2U8 = squaredL2U8DotProd
	dotProd.scanU8 = scanU8DotProd
	dotProd.listU8 = listU8DotProd
	dotProd.tileU8 = tileFuncs{2: tileU8x2DotProd, 4: tileU8x4DotProd, 6: tileU8x6DotProd}
	dotProd.probes.u8, dotProd.probes.u8Step = probeU8DotProd, 16

	i8mm := dotProd
	i8mm.name = "neon-i8mm"
	i8mm.level = levelI8MM
	i8mm.usable, i8mm.needs = cpuid.CPU.Supports(needI8MM...), needI8MM
	i8mm.scanU8 = scanU8I8MM
	i8mm.listU8 = listU8I8MM
	i8mm.tileU8 = tileFuncs{2: tileU8x2I8MM, 4: tileU8x4I8MM, 6: tileU8x6I8MM}
	i8mm.probes.u8, i8mm.probes.u8Step = probeU8I8MM, 32

	return []*Kernel{&neon, &dotProd, &i8mm}
}

// listShareARM is the ListShare of all kernels for arm64. It has not been measured. It
// is an assumption between the shares measured for the kernels for amd64.
const listShareARM = 0.5
