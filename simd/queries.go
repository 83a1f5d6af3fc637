package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// GroupMax is the largest number of queries of a group, for any kernel.
const GroupMax = 64

// QueriesU8 holds packed uint8 queries: the form in which one kernel reads them.
// Only Kernel.PackU8 changes it, so between two calls of PackU8 it is safe for
// concurrent use. The zero value has no queries.
//
// It holds every query twice, because a kernel reads fastest in memory order.
// First come the single queries, for scans. Then come the groups, for tiles: for
// each line of a block, the words of all queries of the group are side by side.
// Groups of more than NarrowMax queries have the form that wide.go describes.
type QueriesU8 struct {
	count   int
	width   int // queries of a full group
	lines   int // lines of a block
	words   int // words that a query has for each line
	packed  []uint32
	groups  []groupU8
	norms   []int32       // squared L2 norms
	norm    [1]uint32     // working memory of PackU8
	configs [2]tileConfig // of a full group and of the last group, if they are wide
}

// groupU8 is a group of queries. It is prepared by PackU8, because a call of TileU8 takes
// less than half a microsecond.
type groupU8 struct {
	first, count int
	packed       []uint32 // the words of the group
	part         prefetchPart
}

// prefetchPart is the part of the next tile that a group prefetches at a steady rate: the
// given number of bytes, from offset at of a block on.
type prefetchPart struct{ block, at, bytes int }

// part returns the part of the next tile for a group. Each group has the share of its
// queries, which is about its share of the time. A last group of one query has no share,
// because it runs as scans, which do not prefetch.
func (q *QueriesU8) part(first, count int) prefetchPart {
	if count == 1 {
		return prefetchPart{}
	}
	sharing, lines := q.count, TileBlocks*q.lines
	if sharing%q.width == 1 {
		sharing--
	}
	lo, hi := lines*first/sharing, lines*(first+count)/sharing
	return prefetchPart{lo / q.lines, lo % q.lines * line, (hi - lo) * line}
}

// Groups returns the number of groups.
func (q *QueriesU8) Groups() int { return len(q.groups) }

// Group returns the number of the first query of group g and the number of its
// queries, 1 to GroupMax. Every group except the last has the same number, which
// depends on the kernel. It panics if g is out of range.
func (q *QueriesU8) Group(g int) (first, count int) {
	if uint(g) >= uint(len(q.groups)) {
		panic(fmt.Sprintf("simd: group %d is out of range, there are %d groups", g, len(q.groups)))
	}
	return q.groups[g].first, q.groups[g].count
}

// widths gives the width of the tile that computes a group. The index is the
// number of queries of the group. Unused places of the tile hold zeros: that
// costs less than a narrower tile and a scan for each remaining query.
var widths = [NarrowMax + 1]int{0, 1, 2, 4, 4, 6, 6}

// single returns the words of query i for a scan.
func (q *QueriesU8) single(i int) []uint32 {
	if uint(i) >= uint(q.count) {
		panic(fmt.Sprintf("simd: query %d is out of range, there are %d queries", i, q.count))
	}
	size := q.lines * q.words
	return q.packed[i*size:][:size]
}

// groupsAt returns the place of the groups in packed. A wide tile loads lines of 64
// bytes, which are faster if they are aligned. Large slices begin at such an address.
func (q *QueriesU8) groupsAt() int {
	const words = line / 4
	return (q.count*q.lines*q.words + words - 1) &^ (words - 1)
}

// groupWords returns the number of words of a group of count queries.
func (q *QueriesU8) groupWords(count int) int {
	if count > NarrowMax {
		return wideWords(count, q.lines)
	}
	return widths[count] * q.lines * q.words
}

// reset sets the sizes, makes room for the packed queries and fills it with zeros.
func (q *QueriesU8) reset(count, width, lines, words int) {
	q.count, q.width, q.lines, q.words = count, width, lines, words
	room := 0
	if count > 0 {
		room = q.groupsAt() + (count-1)/width*q.groupWords(width) + q.groupWords((count-1)%width+1)
	}
	q.packed = slices.Grow(q.packed[:0], room)[:room]
	clear(q.packed)
	q.groups = q.groups[:0]
	for first := 0; first < count; first += width {
		n := min(width, count-first)
		words := q.packed[q.groupsAt()+first/width*q.groupWords(width):][:q.groupWords(n)]
		q.groups = append(q.groups, groupU8{first, n, words, q.part(first, n)})
	}
}

// fillGroups copies the words of the single queries into their groups.
func (q *QueriesU8) fillGroups() {
	for _, g := range q.groups {
		first, count, packed := g.first, g.count, g.packed
		if count > NarrowMax {
			q.fillWide(packed, first, count)
			continue
		}
		width := widths[count]
		for i := range count {
			single := q.single(first + i)
			for l := range q.lines {
				copy(packed[(l*width+i)*q.words:][:q.words], single[l*q.words:])
			}
		}
	}
}

// PackU8 fills dst with queries. It reuses the memory of dst. A caller whose
// queries are signed bytes must add 128 to each byte first. PackU8 panics unless
// all queries have the same number of dimensions, 1 to DimMax.
func (k *Kernel) PackU8(dst *QueriesU8, queries [][]uint8) {
	dims := sameDims(queries)
	dst.reset(len(queries), k.groupU8, linesU8(dims), k.wordsU8)
	dst.norms = dst.norms[:0]
	for i, query := range queries {
		k.packU8(dst.single(i), query)
		k.squaredL2U8(dst.norm[:], zeros[:dims], query)
		dst.norms = append(dst.norms, int32(dst.norm[0]))
	}
	dst.fillGroups()
}

// Distance converts a value of query i to a squared L2 distance. The row's
// constant must be that of RowConstU8.
func (q *QueriesU8) Distance(i int, value int32) uint32 { return uint32(value + q.norms[i]) }

// Limit converts a squared L2 distance to a value of query i. It is the inverse
// of Distance; distances above the largest int32 count as the largest int32.
func (q *QueriesU8) Limit(i int, distance uint32) int32 {
	return int32(min(distance, math.MaxInt32)) - q.norms[i]
}

// zeros is the row to which the distance of a query is its norm.
var zeros [DimMax]uint8

// sameDims returns the number of dimensions of the queries, 0 if there are no
// queries. It panics unless all queries have the same number.
func sameDims(queries [][]uint8) int {
	if len(queries) == 0 {
		return 0
	}
	dims := len(queries[0])
	checkDims(dims)
	for i, query := range queries {
		if len(query) != dims {
			panic(fmt.Sprintf("simd: query %d has %d dimensions, query 0 has %d: they must be equal", i, len(query), dims))
		}
	}
	return dims
}

// packBytes writes a query for a kernel that multiplies bytes. Each word holds
// four dimensions, each as a signed byte: its value minus 128. The padding is 0.
func packBytes(dst []uint32, query []uint8) {
	full := len(query) / 4
	for j := range full {
		dst[j] = binary.LittleEndian.Uint32(query[4*j:]) ^ 0x8080_8080
	}
	for j := 4 * full; j < len(query); j++ {
		dst[full] |= uint32(query[j]^0x80) << (j % 4 * 8)
	}
}
