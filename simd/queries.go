package simd

import (
	"fmt"
	"math"
	"slices"
)

// GroupMax is the largest number of queries that a tile takes at once.
const GroupMax = 6

// QueriesU8 is a number of uint8 queries, in the form in which one kernel reads
// them. It is filled by Kernel.PackU8 and not changed by anything else, so that
// it may be read by many at once. The zero value has no queries.
type QueriesU8 struct {
	queries[uint32]
	norms []int32
}

// QueriesF32 is QueriesU8 for float32, filled by Kernel.PackF32.
type QueriesF32 struct{ queries[float32] }

// queries holds every query twice, since a kernel wants what it reads next to
// lie next: each alone for scans, then by groups for tiles, where a line's words
// of all queries of the group are side by side.
type queries[W uint32 | float32] struct {
	count  int
	lines  int // of a block
	words  int // of a query for each line
	packed []W
}

// Count returns the number of queries.
func (q *queries[W]) Count() int { return q.count }

// Groups returns the number of groups.
func (q *queries[W]) Groups() int { return (q.count + GroupMax - 1) / GroupMax }

// Group returns the first query of group g and the number of its queries, 1 to
// GroupMax. All groups but the last are full.
func (q *queries[W]) Group(g int) (first, count int) {
	if uint(g) >= uint(q.Groups()) {
		panic(fmt.Sprintf("simd: group %d of %d", g, q.Groups()))
	}
	return g * GroupMax, min(GroupMax, q.count-g*GroupMax)
}

// widths are, by the number of queries of a group, those that its tile has
// room for. The places that are too many hold zeros: that costs less than a
// tile and the rest one by one.
var widths = [GroupMax + 1]int{0, 1, 2, 4, 4, 6, 6}

// single returns query i alone.
func (q *queries[W]) single(i int) []W {
	if uint(i) >= uint(q.count) {
		panic(fmt.Sprintf("simd: query %d of %d", i, q.count))
	}
	size := q.lines * q.words
	return q.packed[i*size:][:size]
}

// group returns the queries of group g, line by line, and the width of its tile.
func (q *queries[W]) group(g int) (packed []W, width int) {
	first, count := q.Group(g)
	width = widths[count]
	size := q.lines * q.words
	return q.packed[(q.count+first)*size:][:width*size], width
}

// reset makes room for queries; what is there is zeros afterwards.
func (q *queries[W]) reset(count, lines, words int) {
	q.count, q.lines, q.words = count, lines, words
	room := 0
	if count > 0 {
		room = count + (count-1)/GroupMax*GroupMax + widths[(count-1)%GroupMax+1]
	}
	q.packed = slices.Grow(q.packed[:0], room*lines*words)[:room*lines*words]
	clear(q.packed)
}

// gather fills the groups from the single queries.
func (q *queries[W]) gather() {
	for g := range q.Groups() {
		first, count := q.Group(g)
		packed, width := q.group(g)
		for i := range count {
			single := q.single(first + i)
			for l := range q.lines {
				copy(packed[(l*width+i)*q.words:][:q.words], single[l*q.words:])
			}
		}
	}
}

// PackU8 fills dst with queries of 1 to DimMax dimensions, all of the same
// number, in groups of six and a smaller last one. It uses dst's memory again.
// A caller whose queries are signed bytes adds 128 to each.
func (k *Kernel) PackU8(dst *QueriesU8, queries [][]uint8) {
	dims := sameDims(queries)
	dst.reset(len(queries), linesU8(dims), k.wordsU8)
	dst.norms = dst.norms[:0]
	for i, query := range queries {
		k.packU8(dst.single(i), query)
		norm := int32(0)
		for _, x := range query {
			norm += int32(x) * int32(x)
		}
		dst.norms = append(dst.norms, norm)
	}
	dst.gather()
}

// Distance returns the squared L2 distance that a value of query i stands for,
// when the row's constant was that of RowConstU8.
func (q *QueriesU8) Distance(i int, value int32) uint32 { return uint32(value + q.norms[i]) }

// Limit returns the value of query i that stands for a squared L2 distance.
func (q *QueriesU8) Limit(i int, distance uint32) int32 {
	return int32(min(distance, math.MaxInt32)) - q.norms[i]
}

// PackF32 is PackU8 for float32.
func (k *Kernel) PackF32(dst *QueriesF32, queries [][]float32) {
	dims := sameDims(queries)
	dst.reset(len(queries), dims, 1)
	for i, query := range queries {
		copy(dst.single(i), query)
	}
	dst.gather()
}

// sameDims returns the number of dimensions of all rows.
func sameDims[T any](rows [][]T) int {
	if len(rows) == 0 {
		return 0
	}
	dims := len(rows[0])
	checkDims(dims)
	for i, row := range rows {
		if len(row) != dims {
			panic(fmt.Sprintf("simd: query %d has %d dimensions, query 0 has %d", i, len(row), dims))
		}
	}
	return dims
}

// packBytes writes a query as a kernel takes it that multiplies bytes: a word
// for every four dimensions, each less 128 as a signed byte, 0 behind the last.
func packBytes(dst []uint32, query []uint8) {
	for j, x := range query {
		dst[j/4] |= uint32(x^0x80) << (j % 4 * 8)
	}
}

// packPairs writes a query as a kernel takes it that multiplies words of 16
// bits: for every four dimensions a pair of the first and third, then one of the
// second and fourth, each less 128, 0 behind the last.
func packPairs(dst []uint32, query []uint8) {
	for j, x := range query {
		word := uint32(uint16(int16(x) - 128))
		dst[j/4*2+j%2] |= word << (j % 4 / 2 * 16)
	}
}
