//go:build unix

package simd

import "testing"

// TestPrefetchTouchesNothing: a block that ends where memory ends may be asked
// for.
func TestPrefetchTouchesNothing(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for _, dims := range []int{1, 31, 512} {
			size := BlockBytesU8(dims)
			for _, block := range ends[byte](fenced(t, size), size) {
				k.prefetch(block)
			}
		}
	})
}
