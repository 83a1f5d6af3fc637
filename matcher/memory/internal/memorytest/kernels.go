package memorytest

import (
	"slices"

	"nearside/internal/testkit"
	"nearside/simd"
)

// Kernels returns the kernels to test with. Under the race detector, it returns only the
// fastest one that this CPU can run: kernels share nothing between goroutines, and the
// generic kernel would take most of the time.
func Kernels() []*simd.Kernel {
	all := simd.Kernels() // slowest first
	if testkit.RaceEnabled {
		usable := slices.DeleteFunc(all, func(k *simd.Kernel) bool { return !k.Usable() })
		return usable[len(usable)-1:]
	}
	return all
}
