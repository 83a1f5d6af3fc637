package table

import (
	"slices"

	"nearside/matcher"
)

// Update builds the next snapshot. Some methods require the lock of its tables; their
// comments say so.
type Update struct {
	tables  *Tables
	next    *Snapshot
	pending map[matcher.ID]int64 // ordinals of lists that this update makes; -1: a list that it deletes
	owned   map[*uint64]bool     // bitmaps of dead rows and of deleted lists, by first word, that this update has already copied
	lists   map[uint32]*members  // rows of the lists that this update changes, by ordinal

	unfilled []rowData // see Fill

	// Append reuses these buffers.
	record   []byte
	ordinals []uint32
}

// Begin copies those parts of the newest snapshot that an update may change. Only the
// writer replaces t.Newest, so Begin reads it without the lock.
func (t *Tables) Begin() *Update {
	next := *t.Newest
	for o := range next.Views {
		next.Views[o] = slices.Clone(next.Views[o])
	}
	return &Update{tables: t, next: &next, pending: map[matcher.ID]int64{}, owned: map[*uint64]bool{}, lists: map[uint32]*members{}}
}

// Append adds o after the last row of its chunk and returns the new row. The row is
// complete after Fill.
func (u *Update) Append(o *matcher.Object) uint32 {
	u.ordinals = u.ordinals[:0]
	for _, id := range o.Lists {
		if ordinal, ok := u.findList(id); ok {
			u.ordinals = append(u.ordinals, ordinal)
		}
	}
	u.record = appendRecord(u.record[:0], o, u.ordinals)
	account := u.account(o.Account)
	vs := u.tables.versionsOf(o)
	for t, d := range o.Descriptors {
		if !d.IsZero() && vs[t] == nil {
			u.tables.Lock()
			u.tables.Misfits[d.Version]++
			u.tables.Unlock()
		}
	}
	var meta any
	if fields := u.tables.options.MetaFields; o.Event != nil {
		if len(fields) > 0 {
			meta = ParseMeta(o.Event.Meta)
		}
		u.tables.Lexicons.addEvent(o, fields, meta)
	}
	v, row := u.slot(Kind{o.Origin, vs})
	u.putDescriptors(v.Chunk, v.Rows, o)
	v.setRow(v.Rows, o, account, meta)
	u.finishRow(v, u.record)
	u.tables.Bytes.Add(v.RowBytes(v.Rows - 1))
	return row
}

// slot returns the view that receives the next row of k, and that row's number.
func (u *Update) slot(k Kind) (*View, uint32) {
	views := u.next.Views[k.Origin]
	index, ok := u.tables.Open[k]
	if !ok || views[index].Rows == views[index].Capacity {
		if ok {
			u.tables.filled = append(u.tables.filled, fullChunk{k.Origin, index, views[index].Chunk})
		}
		index = uint32(slices.IndexFunc(views, func(v View) bool { return v.Chunk == nil }))
		if int32(index) < 0 {
			index = uint32(len(views))
			views = append(views, View{})
			u.next.Views[k.Origin] = views
		}
		c := u.tables.takeChunk(k)
		u.tables.Arenas[c] = &Arena{}
		views[index] = View{Chunk: c}
		u.tables.Open[k] = index
	}
	v := &views[index]
	return v, index<<16 | uint32(v.Rows)
}

// finishRow adds the record of the row that was written at v.Rows, and increments v.Rows.
func (u *Update) finishRow(v *View, record []byte) {
	a := u.tables.Arenas[v.Chunk]
	v.records[v.Rows] = a.addRecord(record)
	v.blocks = a.blocks
	if v.Events != nil {
		v.Events.Tags[v.Rows] = v.tagBits(record)
	}
	v.Rows++
}

// findList returns the ordinal of the list with this ID at this point of the update.
func (u *Update) findList(id matcher.ID) (uint32, bool) {
	if ordinal, ok := u.pending[id]; ok {
		return uint32(ordinal), ordinal >= 0
	}
	return u.tables.FindList(id) // only the writer changes the index
}

// MakeList returns the ordinal of the list that info describes, and creates the list if it
// does not exist.
func (u *Update) MakeList(info *matcher.List) uint32 {
	u.account(info.Account)
	if ordinal, ok := u.findList(info.ID); ok {
		return ordinal
	}
	ordinal := u.next.Lists.add(info.ID)
	u.pending[info.ID] = int64(ordinal)
	return ordinal
}

// account returns the value of an account in the column of accounts: its ordinal + 1, or
// 0 for no account. It assigns a new ordinal if the account is unknown.
func (u *Update) account(id matcher.ID) uint32 {
	if id.IsZero() {
		return 0
	}
	if n, ok := u.tables.Accounts[id]; ok {
		return n + 1
	}
	n := uint32(len(u.next.Accounts))
	u.next.Accounts = append(u.next.Accounts, id)
	u.tables.Lock()
	u.tables.Accounts[id] = n
	u.tables.Unlock()
	return n + 1
}

// Publish makes row the row of id and deletes its older row, if any. If created is set,
// there is no older row. The caller must hold the lock.
func (u *Update) Publish(o matcher.Origin, id matcher.ID, row uint32, created bool) {
	if !created {
		u.Remove(o, id)
	}
	u.setRow(o, id, row)
	u.enlist(o, row)
	v, i := u.next.At(o, row)
	u.tallyRow(o, v, i, 1)
}

// setRow makes row, which may be new in this update, the row of id. The caller must hold the
// lock.
func (u *Update) setRow(o matcher.Origin, id matcher.ID, row uint32) {
	u.tables.rowViews[o] = u.next.Views[o]
	u.tables.Rows[o].Set(id, row)
}

// enlist adds row to its lists. The caller must hold the lock.
func (u *Update) enlist(o matcher.Origin, row uint32) {
	v, i := u.next.At(o, row)
	for ordinal := range v.Ordinals(i) {
		if u.next.Lists.Shows(ordinal) {
			u.list(ordinal).add(row)
		}
	}
}

// list returns the rows of a list in a form that this update may change. The caller must
// hold the lock.
func (u *Update) list(ordinal uint32) *members {
	m := u.lists[ordinal]
	if m == nil {
		m = u.tables.unpackList(u.next.Lists.At(ordinal), ordinal)
		u.lists[ordinal] = m
	}
	return m
}

// Remove marks the row of id as dead, if there is one. The caller must hold the lock.
func (u *Update) Remove(o matcher.Origin, id matcher.ID) {
	row, ok := u.tables.Rows[o].Find(id)
	if !ok {
		return
	}
	u.tables.Rows[o].Remove(id)
	v, i := u.next.At(o, row)
	u.tallyRow(o, v, i, -1)
	switch {
	case v.Dead == nil:
		v.Dead = make([]uint64, v.Capacity/64)
		u.owned[&v.Dead[0]] = true
	case !u.owned[&v.Dead[0]]:
		v.Dead = slices.Clone(v.Dead)
		u.owned[&v.Dead[0]] = true
	}
	v.Dead[i>>6] |= 1 << (i & 63)
	v.Deaths++
	size := v.RowBytes(i)
	v.DeadBytes += size
	u.tables.DeadBytes.Add(size)
}

// Finish makes the next snapshot the newest one. The caller must hold the lock.
func (u *Update) Finish() {
	for ordinal, m := range u.lists {
		u.tables.packList(u.next.Lists.At(ordinal), ordinal, m)
	}
	u.tables.Newest, u.tables.rowViews = u.next, u.next.Views
}

// ForgetList hides the list from the rows that this update appends from now on.
func (u *Update) ForgetList(id matcher.ID) { u.pending[id] = -1 }

// PublishList makes the list with an ordinal the list with the ID of info, and sets its
// fields. The caller must hold the lock.
func (u *Update) PublishList(ordinal uint32, info *matcher.List) {
	l := u.next.Lists.At(ordinal)
	l.createTime, l.account = info.CreateTime, 0
	if !info.Account.IsZero() {
		l.account = u.tables.Accounts[info.Account] + 1
	}
	u.next.Lists.setText(ordinal, info.UserData)
	if _, ok := u.tables.FindList(info.ID); !ok {
		u.tables.lists = u.next.Lists
		u.tables.listIndex.Add(ordinal)
	}
}

// DeleteList deletes the list with this ID, if it exists. Older snapshots still show it.
// The caller must hold the lock.
func (u *Update) DeleteList(id matcher.ID) {
	ordinal, ok := u.tables.FindList(id)
	if !ok {
		return
	}
	u.tables.listIndex.Remove(id)
	delete(u.tables.large, ordinal)
	delete(u.lists, ordinal)
	u.next.Lists.At(ordinal).setPacked(nil)
	u.next.Lists.setText(ordinal, "")
	u.next.Lists.remove(ordinal, u.owned)
}
