package memory

import (
	"fmt"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// listsColumn is the column of a face's lists. = keeps the faces that are in the given
// list, and != keeps the others.
var listsColumn = column{
	where: func(_ *Selection, op string, value any) (filter.Predicate, error) {
		if _, err := idOf(value); err != nil {
			return filter.Nothing, err
		}
		return filter.Nothing, fmt.Errorf("must be compared with = or !=, got %q", op)
	},
	find: (*Selection).inLists,
	value: func(s *table.Snapshot, v *table.View, i int) any {
		ids := []matcher.ID{}
		for ordinal := range v.Ordinals(i) {
			if s.Lists.Shows(ordinal) {
				ids = append(ids, s.Lists.At(ordinal).ID)
			}
		}
		return ids
	},
}

// inLists keeps the faces that are in any of the lists. It reads the bitmaps of the
// lists, which show the newest state. A bitmap's entry for a row does not change,
// however, as long as the row's chunk and the list exist. Rows of chunks that no longer
// exist are looked up in their records.
func (s *Selection) inLists(values []any) (*Selection, error) {
	ids, err := idsOf(values)
	if err != nil {
		return nil, err
	}
	t, rows, views := s.memory.tables, s.rows, s.rows.Views()
	t.RLock()
	lists := s.listsOf(ids)
	current := t.Newest.Views[rows.Origin()]
	bitmaps, complete := make([]*table.Bitmap, 0, len(lists)), true
	for _, ordinal := range lists {
		if !t.Newest.Lists.Shows(ordinal) {
			complete = false // the list was deleted after the snapshot
			continue
		}
		bitmaps = append(bitmaps, t.ListRows(ordinal))
	}
	t.RUnlock()
	in := table.Union(bitmaps).Words(len(current))
	kept := rows.Empty()
	for c := range views {
		words := rows.CopyWords(uint32(c))
		switch {
		case words == nil:
			continue
		case complete && c < len(current) && current[c].Chunk == views[c].Chunk:
			for w := range words {
				words[w] &= in(c, w)
			}
		default:
			filter.ClearUnless(&views[c], words, func(v *table.View, i int) bool { return v.IsIn(i, lists) })
		}
		kept.PutWords(c, words)
	}
	return s.with(kept), nil
}

// listsOf returns the ordinals of the lists of the snapshot that have one of the IDs. The
// caller must hold the lock of the tables, at least for reading.
func (s *Selection) listsOf(ids []matcher.ID) []uint32 {
	snap := s.rows.Snapshot()
	var found []uint32
	missing := map[matcher.ID]struct{}{}
	for _, id := range ids {
		ordinal, ok := s.memory.tables.FindList(id)
		switch {
		case ok && int(ordinal) < snap.Lists.Len():
			found = append(found, ordinal)
		case s.memory.tables.Newest != snap:
			missing[id] = struct{}{} // the list may have been deleted since
		}
	}
	if len(missing) == 0 {
		return found
	}
	for ordinal := range uint32(snap.Lists.Len()) {
		if _, ok := missing[snap.Lists.At(ordinal).ID]; ok && snap.Lists.Shows(ordinal) {
			found = append(found, ordinal)
		}
	}
	return found
}
