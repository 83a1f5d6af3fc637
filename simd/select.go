package simd

import (
	"fmt"
	"slices"
	"strings"
)

// level orders the kernels. Select returns the last usable kernel at or below a
// level.
type level int

const (
	levelGeneric level = iota
	levelAVX2
	levelAVXVNNI
	levelAVX512
	levelAMX
	levelNEON
	levelDotProd
	levelI8MM
)

// levels are the names of the levels, those of an architecture lowest first.
var levels = []string{"generic", "avx2", "avxvnni", "avx512", "amx", "neon", "neon-dotprod", "neon-i8mm"}

// kernels lists the kernels of this build, slowest first. It is set once and
// read-only afterwards.
var kernels = append([]*Kernel{{
	name:         "generic",
	level:        levelGeneric,
	usable:       true,
	squaredL2U8:  squaredL2U8Generic,
	squaredL2F32: squaredL2F32Generic,
	dotF32:       dotF32Generic,
	wordsU8:      1,
	packU8:       packBytes,
	scanU8:       scanU8Generic,
	listShare:    1,
	tileU8:       tileFuncs{2: tileU8Generic, 4: tileU8Generic, 6: tileU8Generic},
	groupU8:      NarrowMax,
	probes:       probes{probeStreamGeneric, probeU8Generic, probeF32Generic, 1, 1},
}}, nativeKernels()...)

// Kernels returns all kernels of this build, slowest first, including the kernels
// that this CPU cannot run.
func Kernels() []*Kernel { return slices.Clone(kernels) }

// Select returns the best usable kernel at or below the named level: "generic", on
// amd64 "avx2", "avxvnni", "avx512" or "amx", on arm64 "neon", "neon-dotprod" or
// "neon-i8mm", or "auto" for the highest level. If this process cannot run that level,
// Select returns the best kernel that it can run, not an error. The same holds for a
// level of another architecture.
func Select(name string) (*Kernel, error) {
	highest := level(slices.Index(levels, name))
	switch {
	case name == "auto":
		highest = level(len(levels))
	case highest < 0:
		return nil, fmt.Errorf("simd: unknown level %q, must be auto, %s", name, strings.Join(levels, ", "))
	case !slices.ContainsFunc(kernels, func(k *Kernel) bool { return k.level == highest }):
		highest = level(len(levels)) // another architecture's level is no limit here
	}
	return bestKernel(kernels, highest), nil
}

// bestKernel returns the last usable kernel at or below the level highest. The
// first kernel of list must be generic.
func bestKernel(list []*Kernel, highest level) *Kernel {
	chosen := list[0]
	for _, k := range list {
		if k.level <= highest && k.Usable() {
			chosen = k
		}
	}
	return chosen
}
