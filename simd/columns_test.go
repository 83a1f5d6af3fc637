package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestWithin compares Within with its definition. The ranges have any width, some
// are empty, and their bounds occur among the values. The number of values and
// their address vary.
func TestWithin(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(51)
		for n := range 400 {
			checkWithin(t, k, r, n, []uint16{0, 1, 1 << 15, math.MaxUint16}, func() uint16 { return uint16(r.Uint32()) })
			checkWithin(t, k, r, n, []uint32{0, 1, 1 << 31, math.MaxUint32}, r.Uint32)
			checkWithin(t, k, r, n, []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}, func() int64 { return int64(r.Uint64()) })
		}
	})
}

func checkWithin[T ~uint16 | ~uint32 | ~int64](t *testing.T, k *Kernel, r *rand.Rand, n int, extremes []T, random func() T) {
	t.Helper()
	repeated := []T{random(), random(), random()}
	value := func() T {
		switch r.IntN(3) {
		case 0:
			return extremes[r.IntN(len(extremes))]
		case 1:
			return repeated[r.IntN(len(repeated))] + T(r.IntN(3)-1)
		default:
			return random()
		}
	}
	values := make([]T, r.IntN(32)+n)[:n:n]
	values = append(values[:0:0], make([]T, r.IntN(32))...)
	skipped := len(values)
	for range n {
		values = append(values, value())
	}
	values = values[skipped:]
	lo, hi := value(), value()
	words := make([]uint64, (n+63)/64+2)
	for i := range words {
		words[i] = r.Uint64() | r.Uint64()
	}
	before := append([]uint64(nil), words...)
	Within(k, words[1:len(words)-1], values, lo, hi)
	for i := range n {
		want := before[1+i/64]>>(i%64)&1 == 1 && lo <= values[i] && values[i] <= hi
		if got := words[1+i/64]>>(i%64)&1 == 1; got != want {
			t.Fatalf("%T: value %d of %d is %v, range %v..%v: bit is %v, want %v", lo, i, n, values[i], lo, hi, got, want)
		}
	}
	if words[0] != before[0] || words[len(words)-1] != before[len(before)-1] {
		t.Fatalf("%T: %d values: wrote outside words", lo, n)
	}
}

func TestWithinRefusesWrongSizes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for _, words := range []int{0, 1, 3} {
			message := fmt.Sprint(panicOf(func() { Within(k, make([]uint64, words), make([]uint16, 65), 0, 1) }))
			if !strings.HasPrefix(message, "simd: ") {
				t.Errorf("%d words for 65 values: panic %q", words, message)
			}
		}
	})
}
