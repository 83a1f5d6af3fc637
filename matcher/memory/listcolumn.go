package memory

import (
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"nearside/matcher"
)

// listsColumn passes = when one of the lists is the given one, and != when
// none is.
var listsColumn = column{
	where: func(_ *Selection, op string, value any) (predicate, error) {
		if _, err := idOf(value); err != nil {
			return nothing, err
		}
		return nothing, fmt.Errorf("%q is not one of = !=, which lists have", op)
	},
	find: (*Selection).inLists,
	value: func(s *snapshot, v *view, i int) any {
		ids := []matcher.ID{}
		d := v.details(i)
		for ordinal := range d.ordinals {
			if l := s.lists[ordinal]; s.shows(l) {
				ids = append(ids, l.id)
			}
		}
		return ids
	},
}

// inLists keeps the faces that are in any of the lists. It reads the bitmaps
// of the lists. They are those of now, but what they say of a row never
// changes as long as its chunk and the list exist: rows of other chunks are
// looked up in their records.
func (s *Selection) inLists(values []any) (*Selection, error) {
	ids, err := idsOf(values)
	if err != nil {
		return nil, err
	}
	m, table := s.memory, s.snap.tables[s.origin]
	m.mu.RLock()
	lists := s.listsOf(ids)
	current := m.snap.tables[s.origin]
	rows, complete := make([]*roaring.Bitmap, 0, len(lists)), true
	for _, l := range lists {
		if l.rows == nil {
			complete = false // it was deleted after the snapshot
			continue
		}
		rows = append(rows, l.rows)
	}
	m.mu.RUnlock()
	in := denseRows(rows, len(current))
	kept := s.empty()
	for c := range table {
		words := s.own(uint32(c))
		switch {
		case words == nil:
			continue
		case complete && c < len(current) && current[c].chunk == table[c].chunk:
			for w := range words {
				words[w] &= in(c, w)
			}
		default:
			clearUnless(&table[c], words, func(v *view, i int) bool { return v.isIn(i, lists) })
		}
		kept.put(c, words)
	}
	return kept, nil
}

// listsOf returns the lists of the snapshot that have one of the ids. It needs
// Memory.mu for reading.
func (s *Selection) listsOf(ids []matcher.ID) []*list {
	var found []*list
	missing := map[matcher.ID]struct{}{}
	for _, id := range ids {
		l := s.memory.lists[id]
		switch {
		case l != nil && int(l.ordinal) < len(s.snap.lists):
			found = append(found, l)
		case s.memory.snap != s.snap:
			missing[id] = struct{}{} // it may have been deleted since
		}
	}
	if len(missing) == 0 {
		return found
	}
	for _, l := range s.snap.lists {
		if _, ok := missing[l.id]; ok && s.snap.shows(l) {
			found = append(found, l)
		}
	}
	return found
}

// isIn reports whether row i is in one of the lists, by its record.
func (v *view) isIn(i int, lists []*list) bool {
	d := v.details(i)
	for ordinal := range d.ordinals {
		if slices.ContainsFunc(lists, func(l *list) bool { return l.ordinal == ordinal }) {
			return true
		}
	}
	return false
}

// denseRows returns a function that gives word w of chunk c of the union of
// bitmaps, which have rows of the given number of chunks.
func denseRows(bitmaps []*roaring.Bitmap, chunks int) func(c, w int) uint64 {
	const perChunk = chunkRowsMax / 64
	union := roaring.FastOr(bitmaps...)
	if len(bitmaps) == 1 {
		union = bitmaps[0] // published bitmaps never change
	}
	if union.GetCardinality()*sparse < uint64(chunks)*chunkRowsMax {
		words := map[uint32]uint64{}
		for it := union.Iterator(); it.HasNext(); {
			row := it.Next()
			words[row>>6] |= 1 << (row & 63)
		}
		return func(c, w int) uint64 { return words[uint32(c*perChunk+w)] }
	}
	dense := make([]uint64, chunks*perChunk)
	union.WriteDenseTo(dense)
	return func(c, w int) uint64 { return dense[c*perChunk+w] }
}
