package filter

import (
	"math/rand/v2"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// TestKeepWithin compares keepWithin with its definition, with runs of zero words at
// random places.
func TestKeepWithin(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 1))
	for _, k := range memorytest.Kernels() {
		if !k.Usable() {
			continue
		}
		for range 200 {
			n := 1 + random.IntN(3000)
			words := holedWords(random, n)
			testKeepWithin[matcher.Small](t, random, k, words, n)
			testKeepWithin[uint32](t, random, k, words, n)
			testKeepWithin[table.Number](t, random, k, words, n)
		}
	}
}

// holedWords returns words for n bits, with runs of zero words.
func holedWords(random *rand.Rand, n int) []uint64 {
	words := make([]uint64, (n+63)/64)
	fill(words, n)
	for w := 0; w < len(words); w += 1 + random.IntN(3*gapWords) {
		clear(words[w:min(len(words), w+random.IntN(3*gapWords))])
	}
	for w := range words {
		words[w] &= random.Uint64() | random.Uint64()
	}
	return words
}

func testKeepWithin[T ~uint16 | ~uint32 | ~int64](t *testing.T, random *rand.Rand, k *simd.Kernel, words []uint64, n int) {
	t.Helper()
	values := make([]T, n)
	for i := range values {
		values[i] = T(random.IntN(100))
	}
	lo, hi := T(random.IntN(60)), T(random.IntN(100))
	got := append([]uint64(nil), words...)
	keepWithin(k, got, values, lo, hi)
	for i, x := range values {
		want := words[i/64]>>(i%64)&1 == 1 && lo <= x && x <= hi
		if got[i/64]>>(i%64)&1 == 1 != want {
			t.Fatalf("%s, %T: bit %d of %d is %v, with %v in %v..%v", k.Name(), x, i, n, !want, x, lo, hi)
		}
	}
}

// TestWithAnyBit compares withAnyBit with its definition, for 1 to 64 values.
func TestWithAnyBit(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 2))
	for range 1000 {
		values := make([]uint64, 1+random.IntN(64))
		for i := range values {
			values[i] = random.Uint64() & random.Uint64() & random.Uint64() & random.Uint64()
		}
		mask, want := random.Uint64()&random.Uint64()&random.Uint64(), uint64(0)
		for i, x := range values {
			if x&mask != 0 {
				want |= 1 << i
			}
		}
		if got := withAnyBit(values, mask); got != want {
			t.Fatalf("%d values: %b, want %b", len(values), got, want)
		}
	}
}
