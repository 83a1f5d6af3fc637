package memory

import (
	"context"
	"runtime"
	"slices"

	"nearside/matcher"
)

// visible reports whether an object of owner is there for account.
func visible(account *matcher.ID, owner matcher.ID) bool { return account == nil || *account == owner }

// Get returns an object, with its descriptors if they are wanted. It is not
// there for another account.
func (m *Memory) Get(o matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool) {
	m.mu.RLock()
	snap := m.snap
	row, ok := m.rows[o][id]
	m.mu.RUnlock()
	defer runtime.KeepAlive(snap)
	if !ok {
		return matcher.Object{}, false
	}
	obj := snap.object(o, row)
	if !visible(account, obj.Account) || obj.Expired(m.now()) {
		return matcher.Object{}, false
	}
	if descriptors {
		snap.withDescriptors(&obj, row)
	}
	return obj, true
}

// Has implements [store.Applier].
func (m *Memory) Has(o matcher.Origin, id matcher.ID) bool {
	m.mu.RLock()
	_, ok := m.rows[o][id]
	m.mu.RUnlock()
	return ok
}

// entry is a row with its ID, for ordering.
type entry struct {
	id  matcher.ID
	row uint32
}

// eachEntry calls yield with the rows of s in the order of row numbers.
func (s *Selection) eachEntry(yield func(entry) bool) {
	defer runtime.KeepAlive(s.snap)
	table := s.snap.tables[s.origin]
	for c := range table {
		words, all := s.words(uint32(c))
		for i := range table[c].n {
			if !all && (words == nil || words[i>>6]>>(i&63)&1 == 0) {
				continue
			}
			if !yield(entry{table[c].ids[i], uint32(c)<<16 | uint32(i)}) {
				return
			}
		}
	}
}

// Page returns the objects of a filter that stand at offset..offset+size-1 in
// the order of IDs, and how many there are in all.
func (m *Memory) Page(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID, offset, size int, descriptors bool) ([]matcher.Object, int, error) {
	s, err := m.selection(ctx, o, f, account)
	if err != nil {
		return nil, 0, err
	}
	defer runtime.KeepAlive(s.snap)
	if offset >= s.n {
		return nil, s.n, nil
	}
	all := make([]entry, 0, s.n)
	for e := range s.eachEntry {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int { return a.id.Compare(b.id) })
	page := all[offset:][:min(size, len(all)-offset)]
	objects := make([]matcher.Object, len(page))
	for i, e := range page {
		objects[i] = s.snap.object(o, e.row)
		if descriptors {
			s.snap.withDescriptors(&objects[i], e.row)
		}
	}
	return objects, s.n, nil
}

// IDs returns the IDs of a filter's objects.
func (m *Memory) IDs(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) ([]matcher.ID, error) {
	s, err := m.selection(ctx, o, f, account)
	if err != nil {
		return nil, err
	}
	ids := make([]matcher.ID, 0, s.n)
	for e := range s.eachEntry {
		ids = append(ids, e.id)
	}
	return ids, nil
}

// Expired returns the IDs of attributes whose time has come, at most most.
func (m *Memory) Expired(most int) []matcher.ID {
	now := m.now()
	m.mu.RLock()
	snap := m.snap
	m.mu.RUnlock()
	defer runtime.KeepAlive(snap)
	var ids []matcher.ID
	for t := range snap.tables[matcher.Attributes] {
		v := &snap.tables[matcher.Attributes][t]
		for i := range v.n {
			if v.expires[i] <= now && v.alive(i) {
				if ids = append(ids, v.ids[i]); len(ids) == most {
					return ids
				}
			}
		}
	}
	return ids
}

// Each calls f with every object of a filter, descriptors included, as of one
// moment, until f or the context ends it.
func (m *Memory) Each(ctx context.Context, o matcher.Origin, filter *matcher.Filter, account *matcher.ID, f func(*matcher.Object) error) error {
	s, err := m.selection(ctx, o, filter, account)
	if err != nil {
		return err
	}
	for e := range s.eachEntry {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		obj := s.snap.object(o, e.row)
		s.snap.withDescriptors(&obj, e.row)
		if err := f(&obj); err != nil {
			return err
		}
	}
	return nil
}

// List returns a list and how many visible faces it has.
func (m *Memory) List(ctx context.Context, id matcher.ID, account *matcher.ID) (info matcher.List, faces int, ok bool) {
	m.mu.RLock()
	if l := m.lists[id]; l != nil {
		info, ok = *l.info, true
	}
	m.mu.RUnlock()
	if !ok || !visible(account, info.Account) {
		return matcher.List{}, 0, false
	}
	s, err := m.selection(ctx, matcher.Faces, &matcher.Filter{ListID: &id}, account)
	if err != nil {
		return matcher.List{}, 0, false
	}
	return info, s.n, true
}

// Lists returns the lists that stand at offset..offset+size-1 in the order of
// IDs, and how many there are in all.
func (m *Memory) Lists(account *matcher.ID, offset, size int) ([]matcher.List, int) {
	m.mu.RLock()
	all := make([]matcher.List, 0, len(m.lists))
	for _, l := range m.lists {
		if visible(account, l.info.Account) {
			all = append(all, *l.info)
		}
	}
	m.mu.RUnlock()
	slices.SortFunc(all, func(a, b matcher.List) int { return a.ID.Compare(b.ID) })
	n := len(all)
	all = all[min(offset, n):]
	return all[:min(size, len(all))], n
}
