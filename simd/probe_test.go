package simd

import "testing"

// TestProbes checks the number of products that probes return, and runs the
// stream probe with lengths around its step of 512 bytes.
func TestProbes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for name, probe := range map[string]func(int) int{"ProbeU8": k.ProbeU8, "ProbeF32": k.ProbeF32} {
			if one, ten := probe(1), probe(10); one < probeInstructions || ten != 10*one || probe(0) != 0 {
				t.Errorf("%s: %d products in one round, %d in ten; want at least %d, and ten times as many", name, one, ten, probeInstructions)
			}
		}
		for _, n := range []int{0, 511, 512, 5000} {
			k.ProbeStream(make([]byte, n))
		}
	})
}
