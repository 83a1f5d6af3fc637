package simd

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

func randomBytes(r *rand.Rand, b []uint8) {
	for i := range b {
		b[i] = uint8(r.Uint32())
	}
}

// checkU8 compares k with the reference, and fails if k writes outside dst.
func checkU8(t *testing.T, k *Kernel, count int, query, rows []uint8) {
	t.Helper()
	const guard = 0xdeadbeef
	want := make([]uint32, count)
	squaredL2U8Generic(want, query, rows)
	got := make([]uint32, count+2)
	got[0], got[count+1] = guard, guard
	k.SquaredL2U8(got[1:count+1], query, rows)
	if got[0] != guard || got[count+1] != guard {
		t.Fatalf("%d rows of %d: wrote outside dst", count, len(query))
	}
	for i, w := range want {
		if got[i+1] != w {
			t.Fatalf("%d rows of %d: row %d is %d, want %d", count, len(query), i, got[i+1], w)
		}
	}
}

func TestSquaredL2U8(t *testing.T) {
	r := seeded(1)
	buf := make([]uint8, 64+lengthMax+64+65*lengthMax)
	randomBytes(r, buf)
	eachKernel(t, func(t *testing.T, k *Kernel) {
		f := func(n, count int) {
			query := buf[r.IntN(64):][:n] // unaligned starts
			rows := buf[64+lengthMax+r.IntN(64):][:count*n]
			checkU8(t, k, count, query, rows)
		}
		for n := range lengths() {
			f(n, rowCounts[n%len(rowCounts)])
			f(n, 2)
		}
		for _, n := range []int{1, 15, 16, 17, 32, 63, 64, 65, 127, 128, 129, 512, 2048} {
			for _, count := range rowCounts {
				f(n, count)
			}
		}
	})
}

func TestSquaredL2U8ExtremeBytes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		f := func(n int) {
			query, rows := make([]uint8, n), make([]uint8, 3*n)
			for i := range rows[:2*n] {
				rows[i] = 255
			}
			dst := make([]uint32, 3)
			k.SquaredL2U8(dst, query, rows) // 0 against 255, 255, 0
			if full := uint32(n) * 255 * 255; dst[0] != full || dst[1] != full || dst[2] != 0 {
				t.Fatalf("length %d: %v, want %d, %[3]d, 0", n, dst, full)
			}
			k.SquaredL2U8(dst, rows[:n], rows) // 255 against 255, 255, 0
			if full := uint32(n) * 255 * 255; dst[0] != 0 || dst[1] != 0 || dst[2] != full {
				t.Fatalf("length %d: %v, want 0, 0, %d", n, dst, full)
			}
		}
		for n := range lengths() {
			f(n)
		}
		f(DimMax - 1)
		f(DimMax)
	})
}

// TestSquaredL2U8AllPairs covers every pair of bytes at every position of a step.
func TestSquaredL2U8AllPairs(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for _, n := range []int{1, 16, 64, 79, 191} {
			query, rows := make([]uint8, n), make([]uint8, 256*n)
			for i := range rows {
				rows[i] = uint8(i / n)
			}
			for q := range 256 {
				for j := range query {
					query[j] = uint8(q)
				}
				checkU8(t, k, 256, query, rows)
			}
		}
	})
}

// TestSquaredL2U8Oracle compares the reference with big integers.
func TestSquaredL2U8Oracle(t *testing.T) {
	r := seeded(2)
	for _, n := range []int{1, 2, 3, 100, 512, DimMax} {
		query, rows := make([]uint8, n), make([]uint8, 5*n)
		randomBytes(r, query)
		randomBytes(r, rows)
		dst := make([]uint32, 5)
		squaredL2U8Generic(dst, query, rows)
		for i := range dst {
			want := new(big.Int)
			for j := range query {
				d := big.NewInt(int64(query[j]) - int64(rows[i*n+j]))
				want.Add(want, d.Mul(d, d))
			}
			if want.Cmp(big.NewInt(int64(dst[i]))) != 0 {
				t.Errorf("length %d: row %d is %d, want %d", n, i, dst[i], want)
			}
		}
	}
}
