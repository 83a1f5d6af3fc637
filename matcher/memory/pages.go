package memory

import (
	"context"
	"runtime"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
)

// Page returns a page of the objects that a filter selects, and the total number of these
// objects.
func (m *Memory) Page(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID, p matcher.Page) ([]matcher.Object, int, error) {
	s, err := m.selection(ctx, o, f, account)
	if err != nil {
		return nil, 0, err
	}
	return objectsOfPage(ctx, s, p)
}

// objectsOfPage returns the objects of a page of s, and the number of rows of s.
func objectsOfPage(ctx context.Context, s *filter.Selection, p matcher.Page) ([]matcher.Object, int, error) {
	snap, origin := s.Snapshot(), s.Origin()
	defer runtime.KeepAlive(snap)
	rows, err := rowsOfPage(ctx, s, p)
	if err != nil {
		return nil, 0, err
	}
	bytes := 0
	for _, row := range rows {
		bytes += snap.CopyBytes(origin, row, p.Descriptors)
	}
	if err := matcher.ReserveText(ctx, bytes); err != nil {
		return nil, 0, err
	}
	objects := make([]matcher.Object, len(rows))
	for i, row := range rows {
		objects[i] = snap.Object(origin, row)
		if p.Descriptors {
			snap.WithDescriptors(&objects[i], row)
		}
	}
	return objects, s.Len(), nil
}

// rowsOfPage returns the rows of a page of s.
func rowsOfPage(ctx context.Context, s *filter.Selection, p matcher.Page) ([]uint32, error) {
	if p.Offset >= s.Len() || p.Size == 0 {
		return nil, nil
	}
	end := min(p.Offset+p.Size, s.Len())
	if p.Order == matcher.PageByID && mergeIsFaster(s, end) {
		return rowsByID(ctx, s, p)
	}
	first := firstRanked(s, end, func(e filter.Entry) (int64, bool) {
		switch v, i := s.Snapshot().At(s.Origin(), e.Row); p.Order {
		case matcher.PageByTimeAsc:
			return ^int64(v.Times[i]), true // reverses the order
		case matcher.PageByTimeDesc:
			return int64(v.Times[i]), true
		default:
			return 0, p.After == nil || e.ID.Compare(*p.After) > 0
		}
	})
	var rows []uint32
	for _, r := range first[min(p.Offset, len(first)):] {
		rows = append(rows, r.Row)
	}
	return rows, nil
}

// mergeIsFaster reports whether rowsByID finds the given number of first rows of s faster
// than firstRanked. firstRanked visits all rows of s. rowsByID also visits rows that are
// not selected: live/s.Len() rows for each row that it finds, if selected rows are spread
// evenly.
func mergeIsFaster(s *filter.Selection, rows int) bool {
	return rows*s.Snapshot().Live(s.Origin()) <= s.Len()*s.Len()
}

// rowsByID returns the rows of a page in the order of IDs. It merges the chunks, each of
// which is already sorted by ID.
func rowsByID(ctx context.Context, s *filter.Selection, p matcher.Page) ([]uint32, error) {
	var runs idRuns
	views := s.Views()
	for c := range views {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		v := &views[c]
		if s.Skips(c) {
			continue
		}
		words, all := s.Words(uint32(c))
		if all {
			words = nil
		}
		for _, rows := range v.SortedByID() {
			if p.After != nil {
				at, _ := slices.BinarySearchFunc(rows, *p.After, func(i uint16, after matcher.ID) int {
					if v.IDs[i].Compare(after) <= 0 {
						return -1
					}
					return 1
				})
				rows = rows[at:]
			}
			runs.push(idRun{rows: rows, ids: v.IDs, chunk: uint32(c) << 16, n: v.Rows, words: words})
		}
	}
	rows := make([]uint32, 0, min(p.Size, s.Len()))
	for skip := p.Offset; len(runs) > 0 && len(rows) < p.Size; runs.pop() {
		if skip > 0 {
			skip--
			continue
		}
		rows = append(rows, runs[0].chunk|uint32(runs[0].rows[0]))
	}
	return rows, nil
}

// Lists returns a page of the lists in the order of IDs, and the total number of visible
// lists.
func (m *Memory) Lists(account *matcher.ID, p matcher.Page) ([]matcher.List, int) {
	n := 0
	m.tables.RLock()
	all := make([]matcher.List, 0, m.tables.ListCount())
	for ordinal := range m.tables.AllLists() {
		l := m.tables.ListInfo(ordinal)
		if !matcher.Visible(account, l.Account) {
			continue
		}
		n++
		if p.After == nil || l.ID.Compare(*p.After) > 0 {
			all = append(all, l)
		}
	}
	m.tables.RUnlock()
	all = firstLists(all, p.Offset+p.Size)
	return all[min(p.Offset, len(all)):], n
}

// firstLists returns the n lists with the smallest IDs, in order. It changes the order of
// all. It sorts only these n and about as many others, unless n is a large part of all.
func firstLists(all []matcher.List, n int) []matcher.List {
	byID := func(a, b matcher.List) int { return a.ID.Compare(b.ID) }
	if n <= 0 {
		return nil
	}
	kept := all[:0]
	for i := range all {
		// kept has at most 2n lists, so it never overtakes i.
		if kept = append(kept, all[i]); len(kept) == 2*n {
			slices.SortFunc(kept, byID)
			kept = kept[:n]
		}
	}
	slices.SortFunc(kept, byID)
	return kept[:min(n, len(kept))]
}
