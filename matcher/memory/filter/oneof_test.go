package filter

import (
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
)

// TestOneOf compares both forms of oneOf with the definition, for few and for many
// values. Some values have the same low bits.
func TestOneOf(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 1))
	for _, count := range []int{0, 1, 2, fewSpans, fewSpans + 1, 32, 33, 64, 65, 1000} {
		testOneOf(t, random, count, func() uint32 { return random.Uint32() &^ 0xfff0 })
		testOneOf(t, random, count, func() uint32 { return random.Uint32N(50) })
		testOneOf(t, random, count, func() table.Number { return table.NumberOf(float64(random.IntN(2000) - 1000)) })
		testOneOf(t, random, count, func() table.Number { return table.Number(random.Uint64()) })
	}
}

func testOneOf[T ~uint32 | ~int64](t *testing.T, random *rand.Rand, count int, value func() T) {
	t.Helper()
	values := make([]T, count)
	for i := range values {
		values[i] = value()
	}
	rows := make([]T, 1+random.IntN(3000))
	for i := range rows {
		if rows[i] = value(); count > 0 && random.IntN(3) == 0 {
			rows[i] = values[random.IntN(count)]
		}
	}
	p := oneOf(func(*table.Chunk) []T { return rows }, values)
	checkPredicate(t, random, p, len(rows), func(i int) bool { return slices.Contains(values, rows[i]) })
}

// TestValueSetOfChosenValues checks that values that a client chose do not all hash to
// one slot. The values of this test would do so if a hash were the highest bits of the
// product with the golden ratio.
func TestValueSetOfChosenValues(t *testing.T) {
	const golden = 0x9e3779b97f4a7c15
	inverse := uint64(golden) // modulo 2^64, by Newton's method
	for range 6 {
		inverse *= 2 - golden*inverse
	}
	values := make([]table.Number, 20_000)
	for i := range values {
		values[i] = table.Number(uint64(i+1) * inverse)
	}
	set := newValueSet(values)
	longest, run := 0, 0
	for _, x := range set.slots {
		if run++; x == set.free {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest > 1000 {
		t.Errorf("a lookup may probe %d slots", longest)
	}
}

// TestSmallOneOf compares both forms of SmallOneOf with the definition, for any number of
// values. Some rows have no number.
func TestSmallOneOf(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 2))
	for count := range 256 {
		values := make([]uint8, count)
		for i := range values {
			values[i] = uint8(random.Uint32())
			if count%2 == 0 { // adjacent values
				values[i] = uint8(count + i)
			}
		}
		if count == 5 {
			values = []uint8{0, 1, 255, 254, 0}
		}
		rows := make([]matcher.Small, 1+random.IntN(1000))
		for i := range rows {
			rows[i] = matcher.Small(random.IntN(257))
		}
		p := SmallOneOf(func(*table.Chunk) []matcher.Small { return rows }, values)
		checkPredicate(t, random, p, len(rows), func(i int) bool {
			x, ok := rows[i].Get()
			return ok && slices.Contains(values, x)
		})
	}
}

// checkPredicate compares both forms of p with want for n rows.
func checkPredicate(t *testing.T, random *rand.Rand, p Predicate, n int, want func(i int) bool) {
	t.Helper()
	v := &table.View{Chunk: &table.Chunk{}, Rows: n}
	for _, k := range memorytest.Kernels() {
		if !k.Usable() {
			continue
		}
		words := holedWords(random, n)
		before := slices.Clone(words)
		p.All(k, v, words)
		for i := range n {
			bit := func(words []uint64) bool { return words[i/64]>>(i%64)&1 == 1 }
			if p.One(v, i) != want(i) || bit(words) != (bit(before) && want(i)) {
				t.Fatalf("%s: row %d of %d: %v, %v, want %v", k.Name(), i, n, p.One(v, i), bit(words), want(i))
			}
		}
	}
}
