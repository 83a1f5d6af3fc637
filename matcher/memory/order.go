package memory

import (
	"cmp"
	"math"
	"slices"

	"nearside/matcher"
)

// A full chunk is put in order when neighbours of different lists are more
// than one in mixedRows of its rows, and more than mixedLists for each list:
// once ordered there is one for each. A chunk of one list, or of none, is when
// what its parts of 64 rows span of time adds up to more than mixedTimes of
// what it spans itself: once ordered that is no more than one.
const (
	mixedRows  = 64
	mixedLists = 4
	mixedTimes = 8
)

// full is a chunk that took its last row.
type full struct {
	origin matcher.Origin
	index  uint32
	*chunk
}

// order rewrites the chunks that became full and mix lists or times, each as a chunk of
// its own, so that filters by list, and by time within one, select rows that
// are side by side. Only the writer calls it.
func (m *Memory) order() {
	filled := m.filled
	m.filled = nil
	for _, f := range filled {
		v := &m.snap.tables[f.origin][f.index]
		if v.chunk != f.chunk || !v.mixed() {
			continue
		}
		k := kind{f.origin, v.versions}
		open, ok := m.open[k] // it took the row that did not fit
		delete(m.open, k)
		m.rewrite(f.origin, f.index) // without memory for it, it stays as it is
		if delete(m.open, k); ok {
			m.open[k] = open
		}
	}
	m.unmap()
}

// noList stands for the list of a row that is in none.
const noList = math.MaxUint32

// home returns the list that row i is kept with: the first that was made of
// those it is in.
func (v *view) home(i int) uint32 {
	d, home := v.details(i), uint32(noList)
	for ordinal := range d.ordinals {
		home = min(home, ordinal)
	}
	return home
}

// mixed reports whether ordering would bring rows of one list, or of one time,
// together.
func (v *view) mixed() bool {
	changes, last, lists := 0, uint32(noList), map[uint32]struct{}{}
	for i := range v.n {
		home := v.home(i)
		lists[home] = struct{}{}
		if i > 0 && home != last {
			changes++
		}
		last = home
	}
	if len(lists) == 1 {
		return v.shuffled()
	}
	return changes*mixedRows > v.n && changes > mixedLists*len(lists)
}

// shuffled reports whether rows that are side by side are of all times. Rows
// that come a little late are not.
func (v *view) shuffled() bool {
	times := v.times[:v.n]
	if len(times) == 0 {
		return false
	}
	sum := 0.0
	for part := range slices.Chunk(times, 64) {
		sum += float64(slices.Max(part) - slices.Min(part))
	}
	return sum > mixedTimes*float64(slices.Max(times)-slices.Min(times))
}

// order returns the live rows of v by list, then time, then ID.
func (v *view) order() []int {
	type key struct {
		home uint32
		row  int
	}
	keys := make([]key, 0, v.live())
	for i := range v.n {
		if v.alive(i) {
			keys = append(keys, key{v.home(i), i})
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.home, b.home), cmp.Compare(v.times[a.row], v.times[b.row]), v.ids[a.row].Compare(v.ids[b.row]))
	})
	rows := make([]int, len(keys))
	for n, k := range keys {
		rows[n] = k.row
	}
	return rows
}
