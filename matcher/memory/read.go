package memory

import (
	"context"
	"runtime"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// Get returns an object, with its descriptors if requested. An object of another account
// is not found.
func (m *Memory) Get(o matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool) {
	snap, row, ok := m.tables.Find(o, id)
	defer runtime.KeepAlive(snap)
	if !ok {
		return matcher.Object{}, false
	}
	return visibleObject(snap, o, row, account, m.now(), descriptors)
}

// CopyBytes returns how many bytes of texts and descriptors Get would copy. It returns 0
// if the object does not exist or belongs to another account, because even its size must
// not be revealed.
func (m *Memory) CopyBytes(o matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) int {
	snap, row, ok := m.tables.Find(o, id)
	defer runtime.KeepAlive(snap)
	if !ok || !matcher.Visible(account, snap.Account(o, row)) {
		return 0
	}
	return snap.CopyBytes(o, row, descriptors)
}

// visibleObject returns the object of a row of s. It returns false if the object belongs
// to another account or has expired at now.
func visibleObject(s *table.Snapshot, o matcher.Origin, row uint32, account *matcher.ID, now matcher.Time, descriptors bool) (matcher.Object, bool) {
	obj := s.Object(o, row)
	if !matcher.Visible(account, obj.Account) || obj.Expired(now) {
		return matcher.Object{}, false
	}
	if descriptors {
		s.WithDescriptors(&obj, row)
	}
	return obj, true
}

// Has implements [store.Applier].
func (m *Memory) Has(o matcher.Origin, id matcher.ID) bool {
	m.tables.RLock()
	_, ok := m.tables.Rows[o].Find(id)
	m.tables.RUnlock()
	return ok
}

// IDs returns the IDs of the objects that a filter selects.
func (m *Memory) IDs(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) ([]matcher.ID, error) {
	s, err := m.selection(ctx, o, f, account)
	if err != nil {
		return nil, err
	}
	ids := make([]matcher.ID, 0, s.Len())
	for e := range s.Entries {
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// Finder returns a function that evaluates a filter at the time of each call. With among,
// it returns those of the given IDs that the filter selects; with nil, it returns all IDs
// that the filter selects.
func (m *Memory) Finder(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) func(among []matcher.ID) ([]matcher.ID, error) {
	return func(among []matcher.ID) ([]matcher.ID, error) {
		part := *f
		if among != nil {
			part.IDs = among
		}
		return m.IDs(ctx, o, &part, account)
	}
}

// Expired returns the IDs of attributes that have expired, at most limit IDs.
func (m *Memory) Expired(limit int) []matcher.ID {
	now := m.now()
	m.tables.RLock()
	snap := m.tables.Newest
	m.tables.RUnlock()
	defer runtime.KeepAlive(snap)
	var ids []matcher.ID
	for c := range snap.Views[matcher.Attributes] {
		v := &snap.Views[matcher.Attributes][c]
		for i := range v.Rows {
			if v.Expires[i] <= now && v.Alive(i) {
				if ids = append(ids, v.IDs[i]); len(ids) == limit {
					return ids
				}
			}
		}
	}
	return ids
}

// Each calls f with every object that a filter selects, including descriptors, as of one
// moment. It stops when f returns an error or ctx ends.
func (m *Memory) Each(ctx context.Context, o matcher.Origin, filter *matcher.Filter, account *matcher.ID, f func(*matcher.Object) error) error {
	s, err := m.selection(ctx, o, filter, account)
	if err != nil {
		return err
	}
	return eachObject(ctx, s, f)
}

// Export is like Each, but also passes the accounts of all lists: a map from list ID to
// account ID, as of the same moment. The zero ID means no account. The map is empty
// unless o is Faces and account is nil.
func (m *Memory) Export(ctx context.Context, o matcher.Origin, filter *matcher.Filter, account *matcher.ID, f func(*matcher.Object, map[matcher.ID]matcher.ID) error) error {
	m.tables.RLock()
	q := m.bind(o, filter, account, m.now())
	var accounts []matcher.ID // by list ordinal
	if o == matcher.Faces && account == nil {
		accounts = make([]matcher.ID, m.tables.Newest.Lists.Len())
		for ordinal := range accounts {
			accounts[ordinal] = m.tables.ListAccount(uint32(ordinal))
		}
	}
	m.tables.RUnlock()
	q.AddColumns(filter)
	s, err := q.Select(ctx)
	if err != nil {
		return err
	}
	lists := make(map[matcher.ID]matcher.ID, len(accounts))
	all := &s.Snapshot().Lists
	for i := range accounts {
		if ordinal := uint32(i); all.Shows(ordinal) {
			lists[all.At(ordinal).ID] = accounts[i]
		}
	}
	return eachObject(ctx, s, func(obj *matcher.Object) error { return f(obj, lists) })
}

// eachObject calls f with each object of s, including descriptors.
func eachObject(ctx context.Context, s *filter.Selection, f func(*matcher.Object) error) error {
	snap, origin := s.Snapshot(), s.Origin()
	for e := range s.Entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		obj := snap.Object(origin, e.Row)
		snap.WithDescriptors(&obj, e.Row)
		if err := f(&obj); err != nil {
			return err
		}
	}
	return nil
}

// List returns a list and the number of its faces that account may see.
func (m *Memory) List(ctx context.Context, id matcher.ID, account *matcher.ID) (info matcher.List, faces int, ok bool) {
	m.tables.RLock()
	ordinal, ok := m.tables.FindList(id)
	if ok {
		info = m.tables.ListInfo(ordinal)
	}
	m.tables.RUnlock()
	if !ok || !matcher.Visible(account, info.Account) {
		return matcher.List{}, 0, false
	}
	s, err := m.selection(ctx, matcher.Faces, &matcher.Filter{ListID: &id}, account)
	if err != nil {
		return matcher.List{}, 0, false
	}
	return info, s.Len(), true
}
