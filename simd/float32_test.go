package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

// metric is one of the float32 functions: the kernel's method, and a term of the
// sum that it computes.
type metric struct {
	name    string
	compute func(k *Kernel, dst, query, rows []float32)
	term    func(q, r float64) float64
}

var metrics = []metric{
	{"SquaredL2F32", (*Kernel).SquaredL2F32, func(q, r float64) float64 { return (q - r) * (q - r) }},
	{"DotF32", (*Kernel).DotF32, func(q, r float64) float64 { return q * r }},
}

// exactSum returns the sum of the terms and the sum of their absolute values,
// computed in float64. The error of this computation is 2^-29 of the tested bound.
// The race detector would make it several times slower.
//
//go:norace
func (m metric) exactSum(query, row []float32) (sum, size float64) {
	for j, q := range query {
		term := m.term(float64(q), float64(row[j]))
		sum += term
		size += math.Abs(term)
	}
	return sum, size
}

// check fails if a result of k is outside the error bound of the package comment.
// It skips results that may overflow, for which there is no bound.
func (m metric) check(t *testing.T, k *Kernel, count int, query, rows []float32) {
	t.Helper()
	n := len(query)
	guard := float32(-12345)
	dst := make([]float32, count+2)
	dst[0], dst[count+1] = guard, guard
	m.compute(k, dst[1:count+1], query, rows)
	if dst[0] != guard || dst[count+1] != guard {
		t.Fatalf("%s, %d rows of %d: wrote outside dst", m.name, count, n)
	}
	for i, got := range dst[1 : count+1] {
		sum, size := m.exactSum(query, rows[i*n:][:n])
		bound := ErrorBound(n)*size + UnderflowBound
		if size+bound > math.MaxFloat32 {
			continue // may overflow
		}
		if diff := math.Abs(float64(got) - sum); !(diff <= bound) {
			t.Fatalf("%s, %d rows of %d: row %d is %g, want %g, off by %g, bound %g", m.name, count, n, i, got, sum, diff, bound)
		}
	}
}

// values generate the elements of test vectors of n dimensions; i counts through
// the elements of the query and then the rows.
var values = map[string]func(r *rand.Rand, i, n int) float32{
	"uniform":  func(r *rand.Rand, _, _ int) float32 { return r.Float32()*2 - 1 },
	"positive": func(r *rand.Rand, _, _ int) float32 { return r.Float32() }, // rounding errors of the same sign add up
	"bytes":    func(r *rand.Rand, _, _ int) float32 { return float32(r.IntN(256)) },
	"huge": func(r *rand.Rand, _, n int) float32 {
		return (r.Float32()*2 - 1) * float32(1.8e19/2/math.Sqrt(float64(n)))
	},
	"tiny":     func(r *rand.Rand, _, _ int) float32 { return (r.Float32()*2 - 1) * 1e-20 },     // squares are subnormal
	"smallest": func(r *rand.Rand, _, _ int) float32 { return float32(r.IntN(9)-4) * 0x1p-149 }, // squares underflow to 0
	"border":   func(r *rand.Rand, _, _ int) float32 { return (r.Float32()*2 - 1) * 0x1p-63 },   // sums near the smallest normal number
	"spread": func(r *rand.Rand, _, _ int) float32 {
		return (r.Float32()*2 - 1) * float32(math.Exp2(float64(r.IntN(100)-50)))
	},
	"spikes": func(r *rand.Rand, i, _ int) float32 { // large terms of a dot product cancel, noise remains
		return float32(1-i%2*2)*1e6 + r.Float32()
	},
	"equal": func(*rand.Rand, int, int) float32 { return 1.0 / 3 },
}

func TestFloat32(t *testing.T) {
	buf := make([]float32, 64+lengthMax+64+65*lengthMax)
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T, k *Kernel) {
				r := seeded(3)
				f := func(n, count int) {
					used := buf[r.IntN(16):][:n+count*n] // unaligned starts
					for i := range used {
						used[i] = value(r, i, n)
					}
					for _, m := range metrics {
						m.check(t, k, count, used[:n], used[n:])
					}
				}
				for n := range lengths() {
					f(n, 1+n%2)
				}
				for _, n := range []int{1, 15, 16, 17, 31, 32, 33, 128, 512, 2048} {
					for _, count := range rowCounts {
						f(n, count)
					}
				}
				f(DimMax/4, 2)
			})
		})
	}
}

// TestDotF32Cancellation uses products that cancel in pairs, so that the dot
// product is small compared with its terms.
func TestDotF32Cancellation(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(4)
		for n := range lengths() {
			query, row := make([]float32, n), make([]float32, n)
			for j := 0; j+1 < n; j += 2 {
				query[j], row[j] = r.Float32()*1e10, r.Float32()
				query[j+1], row[j+1] = -query[j], row[j]
			}
			r.Shuffle(n, func(a, b int) {
				query[a], query[b] = query[b], query[a]
				row[a], row[b] = row[b], row[a]
			})
			metrics[1].check(t, k, 1, query, row)
		}
	})
}

func TestFloat32LongestRows(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(5)
		query, rows := make([]float32, DimMax), make([]float32, 3*DimMax)
		for i := range query {
			query[i] = r.Float32()
		}
		for i := range rows {
			rows[i] = r.Float32()
		}
		for _, m := range metrics {
			m.check(t, k, 3, query, rows)
		}
	})
}

// TestFloat32CountsEachElementOnce uses rows whose result is wrong by far more
// than the error bound if one element is skipped or counted twice. With random
// rows the bound could hide the loss of a small element.
func TestFloat32CountsEachElementOnce(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for n := 1; n <= 300; n++ {
			query, rows := make([]float32, n), make([]float32, n*n)
			for j := range query {
				query[j] = 1
				rows[j*n+j] = 3 // row j is 3 at j, else 0
			}
			dst := make([]float32, n)
			k.DotF32(dst, query, rows)
			for i, d := range dst {
				if d != 3 {
					t.Fatalf("dot, length %d, element %d: %g, want 3", n, i, d)
				}
			}
			k.SquaredL2F32(dst, query, rows)
			for i, d := range dst {
				if want := float64(n - 1 + 4); math.Abs(float64(d)-want) > ErrorBound(n)*want {
					t.Fatalf("l2, length %d, element %d: %g, want %g", n, i, d, want)
				}
			}
		}
	})
}

func TestErrorBound(t *testing.T) {
	for n := 1; n < DimMax; n++ {
		if a, b := ErrorBound(n), ErrorBound(n+1); !(a > 0x1p-24*float64(n+2) && a < b) {
			t.Fatalf("ErrorBound(%d) = %g, ErrorBound(%d) = %g: want more than n+2 roundings, and growth with n", n, a, n+1, b)
		}
	}
	if b := ErrorBound(DimMax); b > 0.001 {
		t.Errorf("ErrorBound(%d) = %g, want at most 0.001", DimMax, b)
	}
}
