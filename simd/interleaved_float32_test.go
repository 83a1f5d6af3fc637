package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

// rowsF32 are blocks of float32 rows with constants, beside the rows as they were.
type rowsF32 struct {
	rows   [][]float32
	blocks []byte
	consts []float32
}

func blocksOfF32(buf []byte, rows [][]float32, terms func(row []float32) (addend, factor float32)) *rowsF32 {
	size := BlockBytesF32(len(rows[0]))
	count := len(rows) / BlockRows
	s := &rowsF32{rows, buf[:count*size], make([]float32, count*TermsF32)}
	for i, row := range rows {
		addend, factor := terms(row)
		PutRowF32(s.blocks[i/BlockRows*size:][:size], i%BlockRows, row)
		PutTermsF32(s.consts[i/BlockRows*TermsF32:][:TermsF32], i%BlockRows, addend, factor)
	}
	return s
}

func (s *rowsF32) block(b int) ([]byte, []float32) {
	size := BlockBytesF32(len(s.rows[0]))
	return s.blocks[b*size:][:size:size], s.consts[b*TermsF32:][:TermsF32]
}

// exact returns the value of row i and the bound of a kernel's error.
func (s *rowsF32) exact(query []float32, i int) (value, bound float64) {
	sum, size := metrics[1].exact(query, s.rows[i])
	terms := s.consts[i/BlockRows*TermsF32:][:TermsF32]
	addend, factor := float64(terms[i%BlockRows]), float64(terms[i%BlockRows+BlockRows])
	all := math.Abs(addend) + math.Abs(factor)*size
	bound = ErrorBound(len(query))*all + (1+math.Abs(factor))*UnderflowBound
	if max(all+bound, size) > math.MaxFloat32 {
		bound = math.Inf(1)
	}
	return addend + factor*sum, bound
}

// check compares one value and its bit.
func (s *rowsF32) check(t *testing.T, query []float32, row int, got, limit float32, hit bool) {
	t.Helper()
	want, bound := s.exact(query, row)
	if diff := math.Abs(float64(got) - want); !(diff <= bound) && !math.IsInf(bound, 1) {
		t.Fatalf("%d dimensions, row %d: %g, want %g, off by %g, bound %g", len(query), row, got, want, diff, bound)
	}
	finite := !math.IsNaN(float64(got)) && !math.IsInf(float64(got), 0)
	if hit != (!finite || got <= limit) {
		t.Fatalf("%d dimensions, row %d: %g within %g: %v", len(query), row, got, limit, hit)
	}
}

// checkInterleavedF32 scans with query i, and runs every group over the blocks
// that order names.
func checkInterleavedF32(t *testing.T, k *Kernel, r *rand.Rand, s *rowsF32, q *QueriesF32, queries [][]float32, order []int) {
	t.Helper()
	limitOf := func(query []float32) float32 {
		value, _ := s.exact(query, r.IntN(len(s.rows)))
		inf := math.Inf(1)
		return float32([]float64{value, value, 0, inf, -inf, math.MaxFloat32}[r.IntN(6)])
	}
	count := len(s.rows) / BlockRows
	values, masks := make([]float32, len(s.rows)), make([]uint16, count+1)
	masks[count] = 77
	i := r.IntN(len(queries))
	limit := limitOf(queries[i])
	k.ScanF32(q, i, s.blocks, s.consts, limit, values, masks[:count])
	for row, got := range values {
		s.check(t, queries[i], row, got, limit, masks[row/BlockRows]>>(row%BlockRows)&1 == 1)
	}
	if masks[count] != 77 {
		t.Fatal("wrote outside")
	}

	var tile TileF32
	for _, b := range order {
		tile.Add(s.block(b))
	}
	next := []*TileF32{nil, &tile}[r.IntN(2)]
	for g := range q.Groups() {
		first, count := q.Group(g)
		limits, hits := new([GroupMax]float32), new(HitsF32)
		for i := range limits {
			limits[i] = float32(math.Inf(1))
		}
		for i := range count {
			limits[i] = limitOf(queries[first+i])
		}
		k.TileF32(q, g, &tile, limits, hits, next)
		for i := range GroupMax {
			for row := range TileRows {
				hit := hits.Masks[i]>>row&1 == 1
				if b := row / BlockRows; i < count && b < len(order) {
					s.check(t, queries[first+i], order[b]*BlockRows+row%BlockRows, hits.Values[i][row], limits[i], hit)
				} else if hit {
					t.Fatalf("%d queries, %d blocks: query %d hits row %d", count, len(order), i, row)
				}
			}
		}
	}
}

func rowsOf(r *rand.Rand, count, dims int, value func(r *rand.Rand, i, n int) float32) [][]float32 {
	rows := make([][]float32, count)
	for i := range rows {
		rows[i] = make([]float32, dims)
		for j := range rows[i] {
			rows[i][j] = value(r, i*dims+j, dims)
		}
	}
	return rows
}

// terms are those of L2, and some of any size.
var terms = []func(r *rand.Rand) func(row []float32) (float32, float32){
	func(*rand.Rand) func(row []float32) (float32, float32) {
		return func(row []float32) (addend, factor float32) {
			for _, x := range row {
				addend += x * x
			}
			return addend, -2
		}
	},
	func(*rand.Rand) func([]float32) (float32, float32) {
		return func([]float32) (addend, factor float32) { return 0, 1 }
	},
	func(r *rand.Rand) func([]float32) (float32, float32) {
		return func([]float32) (addend, factor float32) {
			return float32(r.NormFloat64()), float32(math.Exp2(float64(r.IntN(60) - 30)))
		}
	},
}

func TestInterleavedF32(t *testing.T) {
	buf := make([]byte, 64+2*BlockBytesF32(lengthMax))
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T, k *Kernel) {
				r := seeded(31)
				var q QueriesF32
				for n := 1; n <= lengthMax; n++ {
					if n > 70 && n%61 != r.IntN(61) && name != "uniform" {
						continue
					}
					count := 1 + n%2
					if n < 70 {
						count = 1 + n%(2*GroupMax)
					}
					blocks := 1
					if n%16 < 3 {
						blocks = 2
					}
					s := blocksOfF32(buf[r.IntN(64):], rowsOf(r, blocks*BlockRows, n, value), terms[n%len(terms)](r))
					queries := rowsOf(r, count, n, value)
					k.PackF32(&q, queries)
					checkInterleavedF32(t, k, r, s, &q, queries, r.Perm(blocks))
				}
			})
		})
	}
}

func TestInterleavedF32Shapes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(32)
		var q QueriesF32
		for _, n := range []int{1, 7, 8, 9, 128} {
			s := blocksOfF32(make([]byte, 9*BlockBytesF32(n)), rowsOf(r, 9*BlockRows, n, values["uniform"]), terms[0](r))
			for count := 1; count <= 2*GroupMax+1; count++ {
				queries := rowsOf(r, count, n, values["uniform"])
				k.PackF32(&q, queries)
				for _, order := range [][]int{{8}, {3, 3}, {7, 1, 0}, {0, 1, 2, 3}, {8, 2, 5, 2}} {
					checkInterleavedF32(t, k, r, s, &q, queries, order)
				}
			}
		}
		long := blocksOfF32(make([]byte, BlockBytesF32(DimMax)), rowsOf(r, BlockRows, DimMax, values["uniform"]), terms[0](r))
		queries := rowsOf(r, GroupMax, DimMax, values["uniform"])
		k.PackF32(&q, queries)
		checkInterleavedF32(t, k, r, long, &q, queries, []int{0})
	})
}

// A bound would not see a small element left out.
func TestInterleavedF32CountsEachElementOnce(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		var q QueriesF32
		for n := 1; n <= 80; n++ {
			count := (n + BlockRows - 1) / BlockRows
			rows := make([][]float32, count*BlockRows)
			for i := range rows {
				rows[i] = make([]float32, n)
				rows[i][i%n] = 3
			}
			s := blocksOfF32(make([]byte, count*BlockBytesF32(n)), rows, func([]float32) (addend, factor float32) { return 5, -2 })
			queries := make([][]float32, GroupMax)
			for i := range queries {
				queries[i] = make([]float32, n)
				for j := range queries[i] {
					queries[i][j] = float32(1 + i + j)
				}
			}
			for width := 1; width <= GroupMax; width++ {
				k.PackF32(&q, queries[:width])
				for b := range count {
					var tile TileF32
					tile.Add(s.block(b))
					hits := new(HitsF32)
					k.TileF32(&q, 0, &tile, new([GroupMax]float32), hits, nil)
					for i := range width {
						for row := range BlockRows {
							want := 5 - 2*3*float32(1+i+(b*BlockRows+row)%n)
							if got := hits.Values[i][row]; got != want {
								t.Fatalf("%d dimensions, query %d of %d, row %d: %g, want %g", n, i, width, row, got, want)
							}
						}
					}
				}
			}
		}
	})
}

// What is not finite is a hit whatever the limit.
func TestInterleavedF32NotFinite(t *testing.T) {
	huge, inf := float32(math.MaxFloat32), float32(math.Inf(1))
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(33)
		rows := rowsOf(r, BlockRows, 4, values["uniform"])
		rows[1] = []float32{huge, huge, 0, 0}
		rows[2] = []float32{-huge, -huge, 0, 0}
		rows[3] = []float32{huge, huge, -huge, -huge}
		s := blocksOfF32(make([]byte, BlockBytesF32(4)), rows, func([]float32) (addend, factor float32) { return 0, 1 })
		for count := 1; count <= GroupMax; count++ {
			queries := rowsOf(r, count, 4, func(*rand.Rand, int, int) float32 { return 4 })
			var q QueriesF32
			k.PackF32(&q, queries)
			for range 20 {
				checkInterleavedF32(t, k, r, s, &q, queries, []int{0})
			}
			values, masks := make([]float32, BlockRows), make([]uint16, 1)
			k.ScanF32(&q, 0, s.blocks, s.consts, -inf, values, masks)
			if masks[0] != 0b1110 {
				t.Fatalf("%d queries: rows %b are not finite, the values are %v", count, masks[0], values)
			}
		}
	})
}
