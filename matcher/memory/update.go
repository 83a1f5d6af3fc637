package memory

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"nearside/matcher"
)

// update builds the next snapshot. The methods that say so need Memory.mu.
type update struct {
	m       *Memory
	next    *snapshot
	pending map[matcher.ID]*list // lists made by this update; nil: deleted by it
	owned   map[*uint64]bool     // tombstones that are this update's own copy
	cloned  map[*list]bool       // lists whose bitmap is this update's own copy
	record  []byte
	ordinal []uint32
}

// begin copies what an update may change of the current snapshot. Only the
// writer replaces m.snap, so it reads it without the lock.
func (m *Memory) begin() *update {
	next := *m.snap
	next.epoch++
	for o := range next.tables {
		next.tables[o] = slices.Clone(next.tables[o])
	}
	return &update{m: m, next: &next, pending: map[matcher.ID]*list{}, owned: map[*uint64]bool{}, cloned: map[*list]bool{}}
}

// append writes o behind the rows of its chunk and returns its row.
func (u *update) append(o *matcher.Object) uint32 {
	u.ordinal = u.ordinal[:0]
	for _, id := range o.Lists {
		if l := u.list(id); l != nil {
			u.ordinal = append(u.ordinal, l.ordinal)
		}
	}
	u.record = appendDetails(u.record[:0], o, u.ordinal)
	account := uint32(0)
	if !o.Account.IsZero() {
		account = u.account(o.Account) + 1
	}
	vs := u.m.versionsOf(o)
	for t, d := range o.Descriptors {
		if !d.IsZero() && vs[t] == nil {
			u.m.mu.Lock()
			u.m.misfits[d.Version]++
			u.m.mu.Unlock()
		}
	}
	var meta any
	if fields := u.m.options.MetaFields; o.Event != nil {
		if len(fields) > 0 {
			meta = parseMeta(o.Event.Meta)
		}
		u.m.lexicons.add(o, fields, meta)
	}
	v, row := u.slot(kind{o.Origin, vs})
	v.set(v.n, o, account, meta)
	u.close(v, u.record)
	u.m.bytes.Add(v.rowBytes(v.n - 1))
	return row
}

// slot returns the view that takes the next row of k, and that row's number.
func (u *update) slot(k kind) (*view, uint32) {
	table := u.next.tables[k.origin]
	index, ok := u.m.open[k]
	if !ok || table[index].n == table[index].capacity {
		if ok {
			u.m.filled = append(u.m.filled, full{k.origin, index, table[index].chunk})
		}
		index = uint32(slices.IndexFunc(table, func(v view) bool { return v.chunk == nil }))
		if int32(index) < 0 {
			index = uint32(len(table))
			table = append(table, view{})
			u.next.tables[k.origin] = table
		}
		c := u.m.takeChunk(k)
		u.m.arenas[c] = &arena{}
		table[index] = view{chunk: c}
		u.m.open[k] = index
	}
	v := &table[index]
	return v, index<<16 | uint32(v.n)
}

// close adds the details of the row that was written at v.n.
func (u *update) close(v *view, record []byte) {
	a := u.m.arenas[v.chunk]
	v.chunk.details[v.n] = a.add(record)
	v.blocks = a.blocks
	if v.events != nil {
		v.events.tags[v.n] = v.tagBits(record)
	}
	v.n++
}

// list returns the list that id names at this point of the update, or nil.
func (u *update) list(id matcher.ID) *list {
	if l, ok := u.pending[id]; ok {
		return l
	}
	return u.m.lists[id] // only the writer changes the map
}

// makeList returns the list of id, a new one when there is none.
func (u *update) makeList(id matcher.ID) *list {
	if l := u.list(id); l != nil {
		return l
	}
	l := &list{id: id, ordinal: uint32(len(u.next.lists)), rows: roaring.New()}
	u.next.lists = append(u.next.lists, l)
	u.pending[id] = l
	return l
}

// account returns the ordinal of an account, a new one when it is unknown.
func (u *update) account(id matcher.ID) uint32 {
	if n, ok := u.m.accounts[id]; ok {
		return n
	}
	n := uint32(len(u.next.accounts))
	u.next.accounts = append(u.next.accounts, id)
	u.m.mu.Lock()
	u.m.accounts[id] = n
	u.m.mu.Unlock()
	return n
}

// publish makes row the one of id, in place of an older one. It needs the lock.
func (u *update) publish(o matcher.Origin, id matcher.ID, row uint32) {
	u.remove(o, id)
	u.m.rows[o][id] = row
	u.enlist(o, row)
}

// enlist adds row to its lists. It needs the lock.
func (u *update) enlist(o matcher.Origin, row uint32) {
	v, i := u.next.at(o, row)
	d := v.details(i)
	for ordinal := range d.ordinals {
		if l := u.next.lists[ordinal]; l.rows != nil {
			u.bitmap(l).Add(row)
		}
	}
}

// bitmap returns the rows of l as a copy that this update may change: readers
// hold the published one. It needs the lock.
func (u *update) bitmap(l *list) *roaring.Bitmap {
	if !u.cloned[l] {
		l.rows = l.rows.Clone()
		u.cloned[l] = true
	}
	return l.rows
}

// remove puts a tombstone on the row of id, if it has one. It needs the lock.
func (u *update) remove(o matcher.Origin, id matcher.ID) {
	row, ok := u.m.rows[o][id]
	if !ok {
		return
	}
	delete(u.m.rows[o], id)
	v, i := u.next.at(o, row)
	switch {
	case v.dead == nil:
		v.dead = make([]uint64, v.capacity/64)
		u.owned[&v.dead[0]] = true
	case !u.owned[&v.dead[0]]:
		v.dead = slices.Clone(v.dead)
		u.owned[&v.dead[0]] = true
	}
	v.dead[i>>6] |= 1 << (i & 63)
	v.deaths++
	size := v.rowBytes(i)
	v.deadBytes += size
	u.m.deadBytes.Add(size)
}
