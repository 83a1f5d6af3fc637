package simd

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// rowsU8 holds uint8 rows, once as plain rows and once as blocks with constants.
type rowsU8 struct {
	dims   int
	rows   [][]uint8
	blocks []byte
	consts []int32
}

// blocksOf writes rows into blocks in buf, 16 rows to a block. The old content of
// buf must not affect the results.
func blocksOf(buf []byte, rows [][]uint8, constOf func(row []uint8) int32) *rowsU8 {
	dims := len(rows[0])
	size := BlockBytesU8(dims)
	s := &rowsU8{dims, rows, buf[:len(rows)/BlockRows*size], make([]int32, len(rows))}
	for i, row := range rows {
		PutRowU8(s.blocks[i/BlockRows*size:][:size], i%BlockRows, row)
		s.consts[i] = constOf(row)
	}
	return s
}

func (s *rowsU8) block(b int) ([]byte, []int32) {
	size := BlockBytesU8(s.dims)
	return s.blocks[b*size:][:size:size], s.consts[b*BlockRows:][:BlockRows]
}

// value is the oracle: it computes the value of row i from the plain row, by the
// definition in ScanU8. The race detector would make it ten times slower.
//
//go:norace
func (s *rowsU8) value(query []uint8, i int) int32 {
	var dot int64
	for j, q := range query {
		dot += (int64(q) - 128) * int64(s.rows[i][j])
	}
	return int32(int64(s.consts[i]) - 2*dot)
}

func randomRows(r *rand.Rand, count, dims int) [][]uint8 {
	rows := make([][]uint8, count)
	for i := range rows {
		rows[i] = make([]uint8, dims)
		randomBytes(r, rows[i])
	}
	return rows
}

// limitOf returns an extreme, one of values, a number just below one of values, or
// a random number.
func limitOf(r *rand.Rand, values []int32) int32 {
	switch r.IntN(6) {
	case 0:
		return math.MinInt32
	case 1:
		return math.MaxInt32
	case 2:
		return values[r.IntN(len(values))] - 1
	case 3:
		return int32(r.Uint32())
	default:
		return values[r.IntN(len(values))]
	}
}

// checkScanU8 compares a scan with query i with the oracle, and fails if the scan
// writes outside its arguments.
func checkScanU8(t *testing.T, k *Kernel, r *rand.Rand, s *rowsU8, q *QueriesU8, i int, query []uint8) {
	t.Helper()
	count := len(s.rows) / BlockRows
	values, masks := make([]int32, len(s.rows)+2), make([]uint16, count+2)
	values[0], values[len(s.rows)+1], masks[0], masks[count+1] = 77, 77, 77, 77
	want := make([]int32, len(s.rows))
	for row := range want {
		want[row] = s.value(query, row)
	}
	limit := limitOf(r, append(want, 0))
	for form, k := range scanForms(k) {
		k.ScanU8(q, i, s.blocks, s.consts, limit, values[1:len(s.rows)+1], masks[1:count+1])
		if values[0] != 77 || values[len(s.rows)+1] != 77 || masks[0] != 77 || masks[count+1] != 77 {
			t.Fatalf("%d dimensions, form %d: wrote outside", s.dims, form)
		}
		for row, w := range want {
			hit := masks[1+row/BlockRows]>>(row%BlockRows)&1 == 1
			if got := values[1+row]; got != w || hit != (w <= limit) {
				t.Fatalf("%d dimensions, form %d, query %d, row %d: %d, hit %v, want %d, limit %d", s.dims, form, i, row, got, hit, w, limit)
			}
			values[1+row] = 77
		}
	}
}

// checkListU8 compares ListU8 with the oracle for query i and count random blocks,
// some of which repeat. The list then has another ahead blocks, which ListU8 may
// prefetch.
func checkListU8(t *testing.T, k *Kernel, r *rand.Rand, s *rowsU8, q *QueriesU8, i int, query []uint8, count, ahead int) {
	t.Helper()
	list, want := make([]uint32, count+ahead), make([]int32, 0, count*BlockRows)
	for place := range list {
		list[place] = uint32(r.IntN(len(s.rows) / BlockRows))
	}
	for _, b := range list[:count] {
		for row := range BlockRows {
			want = append(want, s.value(query, int(b)*BlockRows+row))
		}
	}
	values, masks := make([]int32, len(want)+2), make([]uint16, count+2)
	values[0], values[len(want)+1], masks[0], masks[count+1] = 77, 77, 77, 77
	limit := limitOf(r, append(want, 0))
	k.ListU8(q, i, s.blocks, s.consts, list, limit, values[1:len(want)+1], masks[1:count+1])
	if values[0] != 77 || values[len(want)+1] != 77 || masks[0] != 77 || masks[count+1] != 77 {
		t.Fatalf("%d dimensions: wrote outside", s.dims)
	}
	for row, w := range want {
		hit := masks[1+row/BlockRows]>>(row%BlockRows)&1 == 1
		if got := values[1+row]; got != w || hit != (w <= limit) {
			t.Fatalf("%d dimensions, list %v + %d, row %d: %d, hit %v, want %d, limit %d", s.dims, list[:count], ahead, row, got, hit, w, limit)
		}
	}
}

// checkTileU8 compares TileU8 with the oracle for every group and a tile of the
// blocks with the numbers in order.
func checkTileU8(t *testing.T, k *Kernel, r *rand.Rand, s *rowsU8, q *QueriesU8, queries [][]uint8, order []int) {
	t.Helper()
	var tile, next TileU8
	for _, b := range order {
		tile.AddBlock(s.block(b))
		next.AddBlock(s.block(r.IntN(len(s.rows) / BlockRows)))
	}
	ahead := []*TileU8{nil, &next, {}}[r.IntN(3)]
	for g := range q.Groups() {
		first, count := q.Group(g)
		var limits [GroupMax]int32
		for i := range limits {
			limits[i] = math.MaxInt32 // the limits of missing queries must not matter
		}
		want := make([][]int32, count)
		for i := range want {
			for _, b := range order {
				for row := range BlockRows {
					want[i] = append(want[i], s.value(queries[first+i], b*BlockRows+row))
				}
			}
			limits[i] = limitOf(r, want[i])
		}
		hits := HitsU8{Masks: [GroupMax]uint64{1, ^uint64(0), 3, 4, ^uint64(0), 5, GroupMax - 1: 6}}
		k.TileU8(q, g, &tile, &limits, &hits, ahead)
		for i := range want {
			for row, w := range want[i] {
				hit := hits.Masks[i]>>row&1 == 1
				if got := hits.Values[i][row]; got != w && hits.Known(i) || hit != (w <= limits[i]) {
					t.Fatalf("%d dimensions, group %d of %d, query %d, row %d: %d, hit %v, want %d, limit %d",
						s.dims, g, count, i, row, got, hit, w, limits[i])
				}
			}
			if over := bits.Len64(hits.Masks[i]); over > len(want[i]) {
				t.Fatalf("hit in row %d, want only rows below %d", over-1, len(want[i]))
			}
		}
		if n := hits.part.Len(); n > 0 {
			t.Fatalf("the hits still refer to %d blocks", n)
		}
	}
}

func TestInterleavedU8(t *testing.T) {
	buf := make([]byte, 64+5*BlockBytesU8(lengthMax))
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(11)
		var q QueriesU8 // PackU8 reuses its memory
		for n := range lengths() {
			count, blocks := 1+n%(k.groupU8+2), 1+n%5
			if n > 200 && n%32 > 2 && n%61 != 0 { // smaller, because the oracle is slow
				count, blocks = 1+n%2, 1
				if k.groupU8 > NarrowMax {
					count += NarrowMax + n%5*13
				}
			}
			randomBytes(r, buf[:64+blocks*BlockBytesU8(n)])
			s := blocksOf(buf[r.IntN(64):], randomRows(r, blocks*BlockRows, n), RowConstU8)
			queries := randomRows(r, count, n)
			k.PackU8(&q, queries)
			i := r.IntN(count)
			checkScanU8(t, k, r, s, &q, i, queries[i])
			checkListU8(t, k, r, s, &q, i, queries[i], 4*(n%2)+r.IntN(4), r.IntN(6))
			order := r.Perm(blocks)
			checkTileU8(t, k, r, s, &q, queries, order[:min(len(order), TileBlocks)])
		}
	})
}

// TestInterleavedU8Shapes covers every number of queries and of blocks, constants
// in the whole allowed range, and a tile that holds one block twice.
func TestInterleavedU8Shapes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(12)
		constOf := func([]uint8) int32 { return int32(r.IntN(1<<31+1) - 1<<30) }
		var q QueriesU8
		for _, n := range []int{1, 4, 31, 32, 33, 128, 512} {
			s := blocksOf(make([]byte, 9*BlockBytesU8(n)), randomRows(r, 9*BlockRows, n), constOf)
			for count := 1; count <= 2*k.groupU8+1; count++ {
				queries := randomRows(r, count, n)
				k.PackU8(&q, queries)
				for i, query := range queries[max(0, count-2*NarrowMax-1):] {
					i += max(0, count-2*NarrowMax-1)
					checkScanU8(t, k, r, s, &q, i, query)
					checkListU8(t, k, r, s, &q, i, query, min(count, 2*NarrowMax), i%NarrowMax)
				}
				for _, order := range [][]int{{8}, {3, 3}, {7, 1, 0}, {0, 1, 2, 3}, {8, 2, 5, 2}} {
					checkTileU8(t, k, r, s, &q, queries, order)
				}
			}
		}
	})
}

// TestTileU8ManyQueries covers up to 256 queries.
func TestTileU8ManyQueries(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(16)
		var q QueriesU8
		for count := 1; count <= 256; count++ {
			n := []int{64, 61, 68, 5}[count%4]
			s := blocksOf(make([]byte, 4*BlockBytesU8(n)), randomRows(r, 4*BlockRows, n), RowConstU8)
			queries := randomRows(r, count, n)
			k.PackU8(&q, queries)
			if got := (count + k.GroupU8() - 1) / k.GroupU8(); q.Groups() != got {
				t.Fatalf("%d queries: %d groups, want %d", count, q.Groups(), got)
			}
			checkTileU8(t, k, r, s, &q, queries, r.Perm(4)[:1+count%4])
		}
	})
}

func TestInterleavedU8Extremes(t *testing.T) {
	fill := func(n int, v uint8) []uint8 {
		row := make([]uint8, n)
		for i := range row {
			row[i] = v
		}
		return row
	}
	consts := map[string]func(row []uint8) int32{
		"l2":      RowConstU8,
		"highest": func([]uint8) int32 { return 1 << 30 },
		"lowest":  func([]uint8) int32 { return -1 << 30 },
	}
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(13)
		var q QueriesU8
		for _, n := range []int{1, 2, 3, 64, 2048, DimMax - 1, DimMax} {
			var rows, queries [][]uint8
			for _, v := range []uint8{0, 255, 128, 127, 1, 254} {
				rows, queries = append(rows, fill(n, v)), append(queries, fill(n, v))
			}
			for len(rows) < BlockRows {
				row := randomRows(r, 1, n)[0]
				for i := range row {
					row[i] = uint8(int8(row[i]) >> 7) // 0 or 255
				}
				rows = append(rows, row)
			}
			k.PackU8(&q, queries)
			for _, constOf := range consts {
				s := blocksOf(make([]byte, BlockBytesU8(n)), rows, constOf)
				for i, query := range queries {
					checkScanU8(t, k, r, s, &q, i, query)
					checkListU8(t, k, r, s, &q, i, query, 4, 0)
				}
				checkTileU8(t, k, r, s, &q, queries, []int{0})
				var wide QueriesU8 // enough queries for a wide tile
				many := append(slices.Clip(queries), queries...)
				k.PackU8(&wide, many)
				checkTileU8(t, k, r, s, &wide, many, []int{0})
			}
			for i, query := range queries {
				for j, row := range rows {
					s := rowsU8{n, rows, nil, []int32{RowConstU8(row)}}
					s.rows = [][]uint8{row}
					want := make([]uint32, 1)
					squaredL2U8Generic(want, query, row)
					value := s.value(query, 0)
					if got := q.Distance(i, value); got != want[0] {
						t.Fatalf("%d dimensions, query %d, row %d: distance %d, want %d", n, i, j, got, want[0])
					}
					for _, limit := range []uint32{0, want[0] - 1, want[0], want[0] + 1, math.MaxInt32, 1 << 31, math.MaxUint32} {
						if got := value <= q.Limit(i, limit); got != (want[0] <= limit) {
							t.Fatalf("%d dimensions, query %d, row %d: distance %d within %d: %v", n, i, j, want[0], limit, got)
						}
					}
				}
			}
		}
	})
}

func TestInterleavedU8AllPairs(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(14)
		const n = 7 // uses all four positions of a word, and has padding
		rows := make([][]uint8, 256)
		for i := range rows {
			rows[i] = slices.Repeat([]uint8{uint8(i)}, n)
		}
		s := blocksOf(make([]byte, 16*BlockBytesU8(n)), rows, RowConstU8)
		var q QueriesU8
		k.PackU8(&q, rows)
		for i := range rows {
			checkScanU8(t, k, r, s, &q, i, rows[i])
		}
		for b := 0; b < 16; b += TileBlocks {
			checkTileU8(t, k, r, s, &q, rows, []int{b, b + 1, b + 2, b + 3})
		}
	})
}

func TestInterleavedRefusesWrongSizes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		refused := func(name string, call func()) {
			t.Helper()
			if message := fmt.Sprint(panicOf(call)); !strings.HasPrefix(message, "simd: ") {
				t.Errorf("%s: panic %q", name, message)
			}
		}
		var q, other, none QueriesU8
		k.PackU8(&q, randomRows(seeded(15), 2, 10))
		k.PackU8(&none, nil)
		other = q
		other.words++
		foreign := q
		foreign.width = k.groupU8 ^ NarrowMax ^ GroupMax
		scan := func(q *QueriesU8, query, blocks, bytes, consts, values int) func() {
			return func() {
				k.ScanU8(q, query, make([]byte, bytes), make([]int32, consts), 0, make([]int32, values), make([]uint16, blocks))
			}
		}
		scan(&q, 0, 2, 2*192, 32, 32)()
		scan(&q, 1, 0, 0, 0, 0)()
		refused("scan, query number too large", scan(&q, 2, 2, 2*192, 32, 32))
		refused("scan, query number -1", scan(&q, -1, 2, 2*192, 32, 32))
		refused("scan, no queries", scan(&none, 0, 0, 0, 0, 0))
		refused("scan, different packed form", scan(&other, 0, 2, 2*192, 32, 32))
		refused("scan, different groups", scan(&foreign, 0, 2, 2*192, 32, 32))
		refused("scan, number of bytes", scan(&q, 0, 2, 2*192-1, 32, 32))
		refused("scan, number of constants", scan(&q, 0, 2, 2*192, 31, 32))
		refused("scan, number of values", scan(&q, 0, 2, 2*192, 32, 33))
		refused("scan, number of blocks", scan(&q, 0, 1, 2*192, 32, 32))
		list := func(q *QueriesU8, query, bytes, consts, values, masks int, list ...uint32) func() {
			return func() {
				k.ListU8(q, query, make([]byte, bytes), make([]int32, consts), list, 0, make([]int32, values), make([]uint16, masks))
			}
		}
		list(&q, 0, 2*192, 32, 64, 4, 1, 0, 1, 1, 0)()
		list(&q, 1, 0, 0, 0, 0)()
		refused("list, query number too large", list(&q, 2, 2*192, 32, 64, 4, 1, 0, 1, 1))
		refused("list, different packed form", list(&other, 0, 2*192, 32, 64, 4, 1, 0, 1, 1))
		refused("list, number of bytes", list(&q, 0, 2*192-1, 32, 64, 4, 1, 0, 1, 1))
		refused("list, number of constants", list(&q, 0, 2*192, 33, 64, 4, 1, 0, 1, 1))
		refused("list, number of values", list(&q, 0, 2*192, 32, 63, 4, 1, 0, 1, 1))
		refused("list, shorter than masks", list(&q, 0, 2*192, 32, 64, 4, 1, 0, 1))
		refused("list, block number too large", list(&q, 0, 2*192, 32, 64, 4, 1, 0, 1, 2))
		refused("list, prefetched block number too large", list(&q, 0, 2*192, 32, 64, 4, 1, 0, 1, 1, 2))
		tile := func(q *QueriesU8, g, blocks, bytes, consts int) func() {
			return func() {
				var tile TileU8
				for range blocks {
					tile.AddBlock(make([]byte, bytes), make([]int32, consts))
				}
				k.TileU8(q, g, &tile, new([GroupMax]int32), new(HitsU8), nil)
			}
		}
		tile(&q, 0, 1, 192, 16)()
		refused("tile, no block", tile(&q, 0, 0, 192, 16))
		refused("tile, five blocks", tile(&q, 0, 5, 192, 16))
		refused("tile, bytes of a block", tile(&q, 0, 1, 193, 16))
		refused("tile, constants of a block", tile(&q, 0, 1, 192, 15))
		refused("tile, group number too large", tile(&q, 1, 1, 192, 16))
		refused("tile, different packed form", tile(&other, 0, 1, 192, 16))
		refused("queries of different lengths", func() { k.PackU8(&q, [][]uint8{{1}, {1, 2}}) })
		refused("empty query", func() { k.PackU8(&q, [][]uint8{{}}) })
	})
}

// TestInterleavedAllocatesNothing requires that a caller that reuses its arguments
// allocates nothing.
func TestInterleavedAllocatesNothing(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		const n = 32
		r := seeded(17)
		s := blocksOf(make([]byte, 4*BlockBytesU8(n)), randomRows(r, 4*BlockRows, n), RowConstU8)
		queries := randomRows(r, 40, n)
		var q QueriesU8
		k.PackU8(&q, queries)
		tile, limits, hits := new(TileU8), new([GroupMax]int32), new(HitsU8)
		values, masks, list := make([]int32, 4*BlockRows), make([]uint16, 4), []uint32{3, 1, 2, 0}
		if got := testing.AllocsPerRun(10, func() {
			k.PackU8(&q, queries[:7])
			k.PackU8(&q, queries)
			k.ScanU8(&q, 8, s.blocks, s.consts, 0, values, masks)
			k.ListU8(&q, 8, s.blocks, s.consts, list, 0, values, masks)
			tile.Reset()
			for b := range 4 {
				tile.AddBlock(s.block(b))
			}
			for g := range q.Groups() {
				k.TileU8(&q, g, tile, limits, hits, tile)
			}
		}); got != 0 {
			t.Errorf("%v allocations, want 0", got)
		}
	})
}

// TestTileU8OneHit covers groups in which only the nearest row of one query is within its
// limit, because a kernel may examine values only if a tile has hits.
func TestTileU8OneHit(t *testing.T) {
	const n = 61
	eachKernel(t, func(t *testing.T, k *Kernel) {
		r := seeded(17)
		s := blocksOf(make([]byte, TileBlocks*BlockBytesU8(n)), randomRows(r, TileRows, n), RowConstU8)
		var tile TileU8
		for b := range TileBlocks {
			tile.AddBlock(s.block(b))
		}
		for count := 1; count <= 2*NarrowMax; count++ {
			var q QueriesU8
			queries := randomRows(r, count, n)
			k.PackU8(&q, queries)
			for i, query := range queries {
				nearest := 0
				for row := range TileRows {
					if s.value(query, row) < s.value(query, nearest) {
						nearest = row
					}
				}
				for below := range int32(2) {
					checkOneHit(t, k, &q, &tile, i, nearest, s.value(query, nearest), below)
				}
			}
		}
	})
}

// checkOneHit checks that row is the only hit of query i if its limit is value, and no hit
// if the limit is below that.
func checkOneHit(t *testing.T, k *Kernel, q *QueriesU8, tile *TileU8, i, row int, value, below int32) {
	t.Helper()
	for g := range q.Groups() {
		first, count := q.Group(g)
		var limits [GroupMax]int32
		for at := range limits {
			limits[at] = math.MinInt32
		}
		if i >= first && i < first+count {
			limits[i-first] = value - below
		}
		var hits HitsU8
		k.TileU8(q, g, tile, &limits, &hits, nil)
		for at, mask := range hits.Masks[:count] {
			want := uint64(0)
			if first+at == i && below == 0 {
				want = 1 << row
			}
			if mask != want || want != 0 && hits.Values[at][row] != value {
				t.Fatalf("query %d of %d, limit %d: query %d has mask %x and value %d, want mask %x and value %d",
					i, q.count, value-below, first+at, mask, hits.Values[at][row], want, value)
			}
		}
	}
}
