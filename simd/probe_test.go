package simd

import "testing"

// The probes say how much they did.
func TestProbes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for name, probe := range map[string]func(int) int{"ProbeU8": k.ProbeU8, "ProbeF32": k.ProbeF32} {
			if one, ten := probe(1), probe(10); one < probeInstructions || ten != 10*one || probe(0) != 0 {
				t.Errorf("%s: %d products in a round, %d in ten", name, one, ten)
			}
		}
		for _, n := range []int{0, 511, 512, 5000} {
			k.ProbeStream(make([]byte, n))
		}
	})
}
