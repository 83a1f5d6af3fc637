package table

import (
	"cmp"
	"math"
	"slices"

	"nearside/matcher"
)

// A full chunk with rows of several lists is rewritten in order if two limits are
// exceeded: more than 1/mixedRows of its rows follow a row of another list, and there are
// more than mixedLists such changes per list. An ordered chunk has one change per list.
//
// A full chunk whose rows all have the same list, or none, is rewritten if its times are
// mixed. To measure that, its rows are split into parts of 64. The chunk is rewritten if
// the time spans of the parts add up to more than mixedTimes times the time span of the
// chunk. In an ordered chunk, they add up to no more than that span.
const (
	mixedRows  = 64
	mixedLists = 4
	mixedTimes = 8
)

// fullChunk is a chunk that received its last row.
type fullChunk struct {
	origin matcher.Origin
	index  uint32
	*Chunk
}

// orderFilled rewrites those newly full chunks that mix lists or times, each into a chunk
// of its own. Filters by list, and by time within a list, then select rows that are side
// by side. Only the writer calls it.
func (t *Tables) orderFilled() {
	filled := t.filled
	t.filled = nil
	for _, f := range filled {
		v := &t.Newest.Views[f.origin][f.index]
		if v.Chunk != f.Chunk || !v.Mixed() {
			continue
		}
		k := Kind{f.origin, v.Versions}
		open, ok := t.Open[k] // the chunk that received the first row that did not fit
		delete(t.Open, k)
		t.rewrite(f.origin, f.index, v.Capacity) // the rest of the new chunk stays empty
		if delete(t.Open, k); ok {
			t.Open[k] = open
		}
	}
	t.unmap()
}

// noList is the list ordinal of a row that is in no list.
const noList = math.MaxUint32

// Home returns the list that row i is ordered by: the oldest of its lists, or noList.
func (v *View) Home(i int) uint32 {
	home := uint32(noList)
	for ordinal := range v.Ordinals(i) {
		home = min(home, ordinal)
	}
	return home
}

// Mixed reports whether ordering would bring rows of one list, or of similar times,
// together.
func (v *View) Mixed() bool {
	changes, last, lists := 0, uint32(noList), map[uint32]struct{}{}
	for i := range v.Rows {
		home := v.Home(i)
		lists[home] = struct{}{}
		if i > 0 && home != last {
			changes++
		}
		last = home
	}
	if len(lists) == 1 {
		return v.shuffled()
	}
	return changes*mixedRows > v.Rows && changes > mixedLists*len(lists)
}

// shuffled reports whether neighbouring rows have very different times. Rows that arrive
// slightly late do not count as shuffled.
func (v *View) shuffled() bool {
	times := v.Times[:v.Rows]
	if len(times) == 0 {
		return false
	}
	sum := 0.0
	for part := range slices.Chunk(times, 64) {
		sum += float64(slices.Max(part) - slices.Min(part))
	}
	return sum > mixedTimes*float64(slices.Max(times)-slices.Min(times))
}

// orderedRows returns the live rows of v, ordered by list, then time, then ID.
func (v *View) orderedRows() []int {
	type key struct {
		home uint32
		row  int
	}
	keys := make([]key, 0, v.Live())
	for i := range v.Rows {
		if v.Alive(i) {
			keys = append(keys, key{v.Home(i), i})
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.home, b.home), cmp.Compare(v.Times[a.row], v.Times[b.row]), v.IDs[a.row].Compare(v.IDs[b.row]))
	})
	rows := make([]int, len(keys))
	for n, k := range keys {
		rows[n] = k.row
	}
	return rows
}
