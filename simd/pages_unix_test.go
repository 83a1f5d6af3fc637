//go:build unix

package simd

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fenced returns whole pages of at least size bytes, with an inaccessible page
// before and after. A kernel that reads or writes outside ends the test with a
// memory fault.
func fenced(t *testing.T, size int) []byte {
	t.Helper()
	page := unix.Getpagesize()
	size = (size + page - 1) / page * page
	b, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	for _, fence := range [][]byte{b[:page], b[page+size:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return b[page : page+size]
}

// ends returns the first and the last n elements of b.
func ends[T any](b []byte, n int) [2][]T {
	var zero T
	all := unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(zero)))
	return [2][]T{all[:n:n], all[len(all)-n:]}
}

// TestRowMajorStaysInsideArguments checks that kernels neither read nor write
// bytes before or after their arguments.
func TestRowMajorStaysInsideArguments(t *testing.T) {
	const countMax = 5
	dst, query, rows := fenced(t, 4*countMax), fenced(t, 4*lengthMax), fenced(t, 4*lengthMax*countMax)
	r := seeded(6)
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for n := range lengths() {
			for _, count := range []int{1, 2, countMax} {
				for side := range 2 { // 0: starts right after a fence, 1: ends right before a fence
					q8, r8 := ends[uint8](query, n)[side], ends[uint8](rows, n*count)[side]
					got := ends[uint32](dst, count)[side]
					want := make([]uint32, count)
					q8[r.IntN(n)] = uint8(r.Uint32())
					r8[r.IntN(n*count)] = uint8(r.Uint32())
					k.SquaredL2U8(got, q8, r8)
					squaredL2U8Generic(want, q8, r8)
					for i := range want {
						if got[i] != want[i] {
							t.Fatalf("%d rows of %d, side %d: row %d is %d, want %d", count, n, side, i, got[i], want[i])
						}
					}
					out := ends[float32](dst, count)[side]
					q32, r32 := ends[float32](query, n)[side], ends[float32](rows, n*count)[side]
					k.SquaredL2F32(out, q32, r32)
					k.DotF32(out, q32, r32)
				}
			}
		}
	})
}

// TestColumnsStayInsideArguments checks the same for the kernels of columns.
func TestColumnsStayInsideArguments(t *testing.T) {
	const valuesMax, setMax = 400, 9
	words, values, set := fenced(t, valuesMax), fenced(t, 8*valuesMax), fenced(t, 8*setMax)
	eachKernel(t, func(_ *testing.T, k *Kernel) {
		for n := range valuesMax {
			for side := range 2 { // 0: starts right after a fence, 1: ends right before a fence
				bitmap := ends[uint64](words, (n+63)/64)[side]
				Within(k, bitmap, ends[uint16](values, n)[side], 1, 2)
				Within(k, bitmap, ends[uint32](values, n)[side], 1, 2)
				Within(k, bitmap, ends[int64](values, n)[side], 1, 2)
				for count := range setMax {
					OneOf(k, bitmap, ends[uint32](values, n)[side], ends[uint32](set, count)[side])
					OneOf(k, bitmap, ends[int64](values, n)[side], ends[int64](set, count)[side])
				}
			}
		}
	})
}
