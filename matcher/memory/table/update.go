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
	pending map[matcher.ID]*List // lists that this update makes; nil: a list that it deletes
	owned   map[*uint64]bool     // bitmaps of dead rows, by first word, that this update has already copied
	cloned  map[*List]bool       // lists whose bitmap this update has already copied

	unfilled []rowData // see Fill

	// Append reuses these buffers.
	record   []byte
	ordinals []uint32
}

// Begin copies those parts of the newest snapshot that an update may change. Only the
// writer replaces t.Newest, so Begin reads it without the lock.
func (t *Tables) Begin() *Update {
	next := *t.Newest
	next.epoch++
	for o := range next.Views {
		next.Views[o] = slices.Clone(next.Views[o])
	}
	return &Update{tables: t, next: &next, pending: map[matcher.ID]*List{}, owned: map[*uint64]bool{}, cloned: map[*List]bool{}}
}

// Append adds o after the last row of its chunk and returns the new row. The row is
// complete after Fill.
func (u *Update) Append(o *matcher.Object) uint32 {
	u.ordinals = u.ordinals[:0]
	for _, id := range o.Lists {
		if l := u.list(id); l != nil {
			u.ordinals = append(u.ordinals, l.Ordinal)
		}
	}
	u.record = appendRecord(u.record[:0], o, u.ordinals)
	account := uint32(0)
	if !o.Account.IsZero() {
		account = u.account(o.Account) + 1
	}
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

// list returns the list with this ID at this point of the update, or nil.
func (u *Update) list(id matcher.ID) *List {
	if l, ok := u.pending[id]; ok {
		return l
	}
	return u.tables.Lists[id] // only the writer changes the map
}

// MakeList returns the list with this ID, and creates it if it does not exist.
func (u *Update) MakeList(id matcher.ID) *List {
	if l := u.list(id); l != nil {
		return l
	}
	l := &List{ID: id, Ordinal: uint32(len(u.next.Lists)), Rows: newBitmap()}
	u.next.Lists = append(u.next.Lists, l)
	u.pending[id] = l
	return l
}

// account returns the ordinal of an account, and assigns a new one if the account is
// unknown.
func (u *Update) account(id matcher.ID) uint32 {
	if n, ok := u.tables.Accounts[id]; ok {
		return n
	}
	n := uint32(len(u.next.Accounts))
	u.next.Accounts = append(u.next.Accounts, id)
	u.tables.Lock()
	u.tables.Accounts[id] = n
	u.tables.Unlock()
	return n
}

// Publish makes row the row of id and deletes its older row, if any. The caller must hold
// the lock.
func (u *Update) Publish(o matcher.Origin, id matcher.ID, row uint32) {
	u.Remove(o, id)
	u.tables.Rows[o][id] = row
	u.enlist(o, row)
	v, i := u.next.At(o, row)
	u.tallyRow(o, v, i, 1)
}

// enlist adds row to the bitmaps of its lists. The caller must hold the lock.
func (u *Update) enlist(o matcher.Origin, row uint32) {
	v, i := u.next.At(o, row)
	for ordinal := range v.Ordinals(i) {
		if l := u.next.Lists[ordinal]; l.Rows != nil {
			u.bitmap(l).add(row)
		}
	}
}

// bitmap returns the rows of l as a copy that this update may change, because readers use
// the published bitmap. The caller must hold the lock.
func (u *Update) bitmap(l *List) *Bitmap {
	if !u.cloned[l] {
		l.Rows = l.Rows.clone()
		u.cloned[l] = true
	}
	return l.Rows
}

// Remove marks the row of id as dead, if there is one. The caller must hold the lock.
func (u *Update) Remove(o matcher.Origin, id matcher.ID) {
	row, ok := u.tables.Rows[o][id]
	if !ok {
		return
	}
	delete(u.tables.Rows[o], id)
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
func (u *Update) Finish() { u.tables.Newest = u.next }

// ForgetList hides the list from the rows that this update appends from now on.
func (u *Update) ForgetList(id matcher.ID) { u.pending[id] = nil }

// PublishList makes l the list with the ID of info, and sets its fields. The caller must
// hold the lock.
func (u *Update) PublishList(l *List, info *matcher.List) {
	l.Info = info
	u.tables.Lists[info.ID] = l
}

// DeleteList deletes the list with this ID, if it exists. Older snapshots still show it.
// The caller must hold the lock.
func (u *Update) DeleteList(id matcher.ID) {
	if l := u.tables.Lists[id]; l != nil {
		l.deleted.Store(u.next.epoch)
		l.Rows, l.Tally = nil, nil
		delete(u.tables.Lists, id)
	}
}
