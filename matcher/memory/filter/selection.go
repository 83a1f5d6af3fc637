package filter

import (
	"math/bits"
	"runtime"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// Selection is a set of live rows of one origin, as of one snapshot, which it keeps in
// memory. It is immutable once built; only PutWords and AddRow change it before that.
//
// Rows are addressed by chunk. The words of a chunk have one bit per row, starting at the
// lowest bit of the first word. There are as many words as the rows of the chunk's view
// need. A small selection has row numbers instead, and its words are made when they are
// asked for.
type Selection struct {
	snap   *table.Snapshot
	origin matcher.Origin
	all    bool
	few    []uint32   // the rows in ascending order; nil: all or chunks has the rows
	chunks [][]uint64 // one bit per row, by chunk; nil: no row of the chunk
	n      int
}

// AllRows returns the set of all live rows of an origin.
func AllRows(snap *table.Snapshot, o matcher.Origin) *Selection {
	return &Selection{snap: snap, origin: o, all: true, n: snap.Live(o)}
}

// Len returns the number of rows.
func (s *Selection) Len() int { return s.n }

// Origin returns the origin of the rows.
func (s *Selection) Origin() matcher.Origin { return s.origin }

// Snapshot returns the snapshot that the rows belong to.
func (s *Selection) Snapshot() *table.Snapshot { return s.snap }

// Views returns the views of all chunks of the origin, by chunk index.
func (s *Selection) Views() []table.View { return s.snap.Views[s.origin] }

// Few returns the rows in ascending order if s is a small selection with row numbers.
// They must not be changed.
func (s *Selection) Few() (rows []uint32, ok bool) { return s.few, s.few != nil }

// fewIn returns the rows of a small selection that are in a chunk.
func (s *Selection) fewIn(chunk uint32) []uint32 {
	lo, _ := slices.BinarySearch(s.few, chunk<<16)
	hi := lo
	for hi < len(s.few) && s.few[hi]>>16 == chunk {
		hi++
	}
	return s.few[lo:hi]
}

// withFew returns the rows of a small selection that pass test, as a small selection.
func (s *Selection) withFew(test func(v *table.View, i int) bool) *Selection {
	kept := &Selection{snap: s.snap, origin: s.origin, few: make([]uint32, 0, len(s.few))}
	for _, row := range s.few {
		if test(s.snap.At(s.origin, row)) {
			kept.few = append(kept.few, row)
		}
	}
	kept.n = len(kept.few)
	return kept
}

// Versions returns how many rows have a descriptor of type t, by version number. All rows
// of a chunk have the same versions, so it counts bits and does not read rows.
func (s *Selection) Versions(t matcher.DescriptorType) map[uint32]int {
	defer runtime.KeepAlive(s.snap)
	counts := map[uint32]int{}
	views := s.Views()
	for _, row := range s.few {
		if v := views[row>>16].Versions[t]; v != nil {
			counts[v.Number]++
		}
	}
	if s.few != nil {
		return counts
	}
	for c := range views {
		v := &views[c]
		if v.Rows == 0 || v.Versions[t] == nil {
			continue
		}
		n := v.Live()
		if !s.all {
			n = popcount(s.chunks[c])
		}
		if n > 0 {
			counts[v.Versions[t].Number] += n
		}
	}
	return counts
}

// WithType returns the rows of s that have a descriptor of type t.
func (s *Selection) WithType(t matcher.DescriptorType) *Selection {
	if s.few != nil {
		return s.withFew(func(v *table.View, _ int) bool { return v.Versions[t] != nil })
	}
	views := s.Views()
	withType := s.Empty()
	for c := range views {
		v := &views[c]
		if v.Rows == 0 || v.Versions[t] == nil {
			continue
		}
		words, all := s.Words(uint32(c))
		if all {
			words = make([]uint64, (v.Rows+63)/64)
			fill(words, v.Rows)
		}
		withType.chunks[c] = words
		withType.n += popcount(words)
	}
	return withType
}

// Bytes returns the memory that the selection itself needs, without the rows.
func (s *Selection) Bytes() int {
	n := 128 + 24*len(s.chunks) + 4*cap(s.few)
	for _, chunk := range s.chunks {
		n += 8 * cap(chunk)
	}
	return n
}

// Skips reports whether the selection has no rows in a chunk.
func (s *Selection) Skips(chunk int) bool {
	if s.few != nil {
		return len(s.fewIn(uint32(chunk))) == 0
	}
	return s.Views()[chunk].Rows == 0 || !s.all && s.chunks[chunk] == nil
}

// Words returns the selected rows of a chunk, one bit per row. If all is true, all rows
// of the chunk are selected and words is nil.
func (s *Selection) Words(chunk uint32) (words []uint64, all bool) {
	v := &s.snap.Views[s.origin][chunk]
	if s.few != nil {
		rows := s.fewIn(chunk)
		if len(rows) == 0 {
			return nil, false
		}
		words = make([]uint64, (v.Rows+63)/64)
		for _, row := range rows {
			words[row&0xffff>>6] |= 1 << (row & 63)
		}
		return words, false
	}
	if !s.all {
		return s.chunks[chunk], false
	}
	if v.Dead == nil {
		return nil, true
	}
	words = make([]uint64, (v.Rows+63)/64)
	fill(words, v.Rows)
	for w := range words {
		words[w] &^= v.Dead[w]
	}
	return words, false
}

// CopyWords returns a copy of the words of a chunk. It may return nil if no row is
// selected.
func (s *Selection) CopyWords(chunk uint32) []uint64 {
	words, all := s.Words(chunk)
	switch n := s.Views()[chunk].Rows; {
	case all && n > 0:
		words = make([]uint64, (n+63)/64)
		fill(words, n)
	case s.all || s.few != nil: // Words has just allocated words, or the chunk has no rows
	default:
		words = slices.Clone(words)
	}
	return words
}

// Empty returns an empty selection of the same snapshot, to be filled by PutWords and
// AddRow.
func (s *Selection) Empty() *Selection {
	return &Selection{snap: s.snap, origin: s.origin, chunks: make([][]uint64, len(s.Views()))}
}

// PutWords sets the words of a chunk that has no words yet. s then owns them.
func (s *Selection) PutWords(chunk int, words []uint64) {
	if n := popcount(words); n > 0 {
		s.chunks[chunk], s.n = words, s.n+n
	}
}

// AddRow adds a row. s must still be under construction, and must own its words.
func (s *Selection) AddRow(row uint32) {
	words := &s.chunks[row>>16]
	if *words == nil {
		*words = make([]uint64, (s.Views()[row>>16].Rows+63)/64)
	}
	if word, bit := &(*words)[row&0xffff>>6], uint64(1)<<(row&63); *word&bit == 0 {
		*word |= bit
		s.n++
	}
}

// Apply returns the rows of s that pass p.
func (s *Selection) Apply(k *simd.Kernel, p Predicate) *Selection {
	defer runtime.KeepAlive(s.snap)
	if s.few != nil {
		return s.withFew(p.One)
	}
	kept := s.Empty()
	views := s.Views()
	for c := range views {
		words := s.CopyWords(uint32(c))
		if words == nil {
			continue
		}
		v := &views[c]
		if popcount(words)*sparse < v.Rows {
			ClearUnless(v, words, p.One)
		} else {
			p.All(k, v, words)
		}
		kept.PutWords(c, words)
	}
	return kept
}

// Join combines two selections of the same snapshot word by word with op.
func (s *Selection) Join(other *Selection, op func(a, b uint64) uint64) *Selection {
	result := s.Empty()
	for c := range result.chunks {
		a, b := s.CopyWords(uint32(c)), other.CopyWords(uint32(c))
		if a == nil && b == nil {
			continue
		}
		if a == nil {
			a = make([]uint64, len(b))
		}
		for w := range a {
			right := uint64(0)
			if b != nil {
				right = b[w]
			}
			a[w] = op(a[w], right)
		}
		result.PutWords(c, a)
	}
	return result
}

// Has reports whether s selects row and that row has this ID.
func (s *Selection) Has(row uint32, id matcher.ID) bool {
	views := s.Views()
	c, i := int(row>>16), int(row&0xffff)
	if c >= len(views) || i >= views[c].Rows || views[c].IDs[i] != id {
		return false
	}
	if s.few != nil {
		_, ok := slices.BinarySearch(s.few, row)
		return ok
	}
	words, all := s.Words(uint32(c))
	return all || words != nil && words[i>>6]>>(i&63)&1 == 1
}

// Entry is a row and its ID, for sorting.
type Entry struct {
	ID  matcher.ID
	Row uint32
}

// Entries calls yield with each row of s, ordered by row number.
func (s *Selection) Entries(yield func(Entry) bool) {
	defer runtime.KeepAlive(s.snap)
	views := s.Views()
	for _, row := range s.few {
		if !yield(Entry{views[row>>16].IDs[row&0xffff], row}) {
			return
		}
	}
	if s.few != nil {
		return
	}
	for c := range views {
		words, all := s.Words(uint32(c))
		for i := range views[c].Rows {
			if !all && (words == nil || words[i>>6]>>(i&63)&1 == 0) {
				continue
			}
			if !yield(Entry{views[c].IDs[i], uint32(c)<<16 | uint32(i)}) {
				return
			}
		}
	}
}

func popcount(words []uint64) int {
	n := 0
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

func anySet(words []uint64) bool {
	return slices.ContainsFunc(words, func(w uint64) bool { return w != 0 })
}

// fill sets the first n bits of words, which has exactly as many words as n bits need.
func fill(words []uint64, n int) {
	for w := range words {
		words[w] = ^uint64(0)
	}
	if n&63 != 0 {
		words[len(words)-1] = 1<<(n&63) - 1
	}
}
