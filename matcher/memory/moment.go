package memory

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
)

// requestMoment implements [matcher.Moment] on one snapshot. The indexes of Memory
// (lists, IDs) show only the newest state. Everything that a request names is therefore
// looked up when its moment is taken, under a single lock.
type requestMoment struct {
	memory *Memory
	snap   *table.Snapshot
	now    matcher.Time // time that decides which objects have expired
	rows   [matcher.Origins]map[matcher.ID]rowPlace
	sets   map[*matcher.Candidates]*momentSet
}

// rowPlace is the row of an object at the moment. found is false if the object did not
// exist.
type rowPlace struct {
	row   uint32
	found bool
}

// momentSet is a candidate set of a moment. Its filter is evaluated once, when it is
// first needed.
type momentSet struct {
	account *matcher.ID
	query   *filter.Query

	mu        sync.Mutex
	selection *Selection // nil: not evaluated yet
}

// Moment captures the present state for a request of account with these references and
// candidate sets.
func (m *Memory) Moment(account *matcher.ID, references []matcher.Reference, sets []*matcher.Candidates) matcher.Moment {
	mo := &requestMoment{memory: m, now: m.now(), sets: make(map[*matcher.Candidates]*momentSet, len(sets))}
	ids := namedIDs(references)
	m.tables.RLock()
	mo.snap = m.tables.Newest
	for o := range ids {
		mo.rows[o] = make(map[matcher.ID]rowPlace, len(ids[o]))
		for _, id := range ids[o] {
			row, ok := m.tables.Rows[o].Find(id)
			mo.rows[o][id] = rowPlace{row, ok}
		}
	}
	for _, c := range sets {
		mo.sets[c] = &momentSet{account: account, query: m.bind(c.Origin, &c.Filter, account, mo.now)}
	}
	m.tables.RUnlock()
	for c, set := range mo.sets {
		set.query.AddColumns(&c.Filter)
	}
	return mo
}

// namedIDs returns the IDs of the objects that references name.
func namedIDs(references []matcher.Reference) (ids [matcher.Origins][]matcher.ID) {
	origins := map[matcher.ReferenceType]matcher.Origin{
		matcher.RefFace: matcher.Faces, matcher.RefEvent: matcher.Events, matcher.RefAttribute: matcher.Attributes,
	}
	for _, r := range references {
		if o, ok := origins[r.Type]; ok {
			if id, err := matcher.ParseID(r.ID); err == nil {
				ids[o] = append(ids[o], id)
			}
		}
	}
	return ids
}

// errNotOfMoment is the error for a filter that the moment was not taken with.
var errNotOfMoment = errors.New("memory: the request's moment was not taken with this candidate set")

// Select implements [matcher.Selector].
func (mo *requestMoment) Select(ctx context.Context, c *matcher.Candidates, account *matcher.ID) (matcher.Selection, error) {
	return mo.selectSet(ctx, c, account)
}

func (mo *requestMoment) selectSet(ctx context.Context, c *matcher.Candidates, account *matcher.ID) (*Selection, error) {
	set := mo.sets[c]
	if set == nil || set.account != account && (set.account == nil || account == nil || *set.account != *account) {
		return nil, errNotOfMoment
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.selection == nil {
		rows, err := set.query.Select(ctx)
		if err != nil {
			return nil, err
		}
		set.selection = &Selection{mo.memory, rows}
	}
	return set.selection, nil
}

// Get implements [matcher.Moment].
func (mo *requestMoment) Get(o matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool) {
	defer runtime.KeepAlive(mo.snap)
	row, ok := mo.rowOf(o, id)
	if !ok {
		return matcher.Object{}, false
	}
	return visibleObject(mo.snap, o, row, account, mo.now, descriptors)
}

// rowOf finds the row of an object. Usually that is a lookup. It scans all rows only if
// the moment was not taken with the ID, there is a newer snapshot, and the object is
// unknown now or has moved since.
func (mo *requestMoment) rowOf(o matcher.Origin, id matcher.ID) (uint32, bool) {
	if p, known := mo.rows[o][id]; known {
		return p.row, p.found
	}
	m := mo.memory
	m.tables.RLock()
	row, ok := m.tables.Rows[o].Find(id)
	current := m.tables.Newest == mo.snap
	m.tables.RUnlock()
	all := filter.AllRows(mo.snap, o)
	if current || ok && all.Has(row, id) {
		return row, ok
	}
	for e := range all.Entries {
		if e.ID == id {
			return e.Row, true
		}
	}
	return 0, false
}

// Page implements [matcher.Moment]. The filter must not name lists or IDs.
func (mo *requestMoment) Page(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID, p matcher.Page) ([]matcher.Object, int, error) {
	if f.ListID != nil || f.Lists != nil || f.IDs != nil {
		return nil, 0, errNotOfMoment
	}
	m := mo.memory
	m.tables.RLock()
	q := m.bind(o, f, account, mo.now) // accounts are never removed, and no other index is used
	m.tables.RUnlock()
	q.UseSnapshot(mo.snap)
	q.AddColumns(f)
	s, err := q.Select(ctx)
	if err != nil {
		return nil, 0, err
	}
	return objectsOfPage(ctx, s, p)
}

// Each implements [matcher.Moment].
func (mo *requestMoment) Each(ctx context.Context, c *matcher.Candidates, t matcher.DescriptorType, account *matcher.ID, f func(*matcher.Object) error) error {
	s, err := mo.selectSet(ctx, c, account)
	if err != nil {
		return err
	}
	return eachObject(ctx, s.rows.WithType(t), f)
}
