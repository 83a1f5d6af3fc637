package simd

import (
	"fmt"
	"slices"
	"strings"
)

// level orders the kernels; Select takes the last usable one at or below a level.
type level int

const (
	levelGeneric level = iota
	levelAVX2
	levelAVX512
)

// levels are the words for the levels, in their order.
var levels = []string{"generic", "avx2", "avx512"}

// kernels are set once and read-only afterwards.
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
	share:        1,
	tileU8:       tileFuncs[uint32, int32]{2: tileU8Generic, 4: tileU8Generic, 6: tileU8Generic},
	scanF32:      scanF32Generic,
	tileF32:      tileFuncs[float32, float32]{2: tileF32Generic, 4: tileF32Generic, 6: tileF32Generic},
	probes:       probes{probeStreamGeneric, probeU8Generic, probeF32Generic, 1, 1},
}}, nativeKernels()...)

// Kernels returns all kernels of this build, slowest first, those that this CPU
// cannot run among them.
func Kernels() []*Kernel { return slices.Clone(kernels) }

// Select returns the best usable kernel at or below a level: "generic", "avx2",
// "avx512", or "auto" for the highest. A level above the CPU, or one of another
// architecture, is no error; it gives what the CPU has.
func Select(word string) (*Kernel, error) {
	highest := level(slices.Index(levels, word))
	if word == "auto" {
		highest = levelAVX512
	}
	if highest < 0 {
		return nil, fmt.Errorf("simd: unknown level %q, choose auto, %s", word, strings.Join(levels, ", "))
	}
	return best(kernels, highest), nil
}

// best returns the last usable kernel at or below highest. The first of list is generic.
func best(list []*Kernel, highest level) *Kernel {
	chosen := list[0]
	for _, k := range list {
		if k.usable && k.level <= highest {
			chosen = k
		}
	}
	return chosen
}
