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
	value := columnValues(r, extremes, random)
	values := unaligned(r, n, value)
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

// columnValues returns a function that returns random values. Many of them are extremes,
// equal, or differ by one.
func columnValues[T ~uint16 | ~uint32 | ~int64](r *rand.Rand, extremes []T, random func() T) func() T {
	repeated := []T{random(), random(), random()}
	return func() T {
		switch r.IntN(3) {
		case 0:
			return extremes[r.IntN(len(extremes))]
		case 1:
			return repeated[r.IntN(len(repeated))] + T(r.IntN(3)-1)
		default:
			return random()
		}
	}
}

// unaligned returns n values at a random address.
func unaligned[T any](r *rand.Rand, n int, value func() T) []T {
	skipped := r.IntN(32)
	values := make([]T, skipped+n)[skipped:]
	for i := range values {
		values[i] = value()
	}
	return values
}

// TestOneOf compares OneOf with its definition, for sets of different sizes. Every third
// value is in the set. Some differ from a value of the set in one bit.
func TestOneOf(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(52)
		for n := range 400 {
			for _, count := range []int{0, 1, 2, 3, 8, 1 + r.IntN(100)} {
				checkOneOf(t, k, r, n, count, []uint32{0, 1, 1 << 31, math.MaxUint32}, r.Uint32)
				checkOneOf(t, k, r, n, count, []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}, func() int64 { return int64(r.Uint64()) })
			}
		}
	})
}

func checkOneOf[T ~uint32 | ~int64](t *testing.T, k *Kernel, r *rand.Rand, n, count int, extremes []T, random func() T) {
	t.Helper()
	value := columnValues(r, extremes, random)
	set, in := unaligned(r, count, value), map[T]bool{}
	for _, x := range set {
		in[x] = true
	}
	values := unaligned(r, n, func() T {
		if count == 0 || r.IntN(3) == 0 {
			return value()
		}
		return set[r.IntN(count)] ^ T(r.IntN(2))<<r.IntN(64)
	})
	words := make([]uint64, (n+63)/64+2)
	for i := range words {
		words[i] = r.Uint64() | r.Uint64()
	}
	before := append([]uint64(nil), words...)
	OneOf(k, words[1:len(words)-1], values, set)
	for i := range n {
		want := before[1+i/64]>>(i%64)&1 == 1 && in[values[i]]
		if got := words[1+i/64]>>(i%64)&1 == 1; got != want {
			t.Fatalf("%T: value %d of %d is %v, set %v: bit is %v, want %v", values[i], i, n, values[i], set, got, want)
		}
	}
	if words[0] != before[0] || words[len(words)-1] != before[len(before)-1] {
		t.Fatalf("%d values: wrote outside words", n)
	}
}

func TestColumnsRefuseWrongSizes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for _, words := range []int{0, 1, 3} {
			for name, call := range map[string]func(){
				"Within": func() { Within(k, make([]uint64, words), make([]uint16, 65), 0, 1) },
				"OneOf":  func() { OneOf(k, make([]uint64, words), make([]uint32, 65), []uint32{1}) },
			} {
				if message := fmt.Sprint(panicOf(call)); !strings.HasPrefix(message, "simd: ") {
					t.Errorf("%s with %d words for 65 values: panic %q", name, words, message)
				}
			}
		}
	})
}
