package table

import (
	"runtime"

	"nearside/matcher"
)

// A chunk is rewritten when it has at least compactMin dead rows and they are more than
// 1/compactShare of its rows.
const (
	compactMin   = 1024
	compactShare = 4
	// giveBackShare replaces compactShare, for all rows together, while the process is
	// short of memory.
	giveBackShare = 16
)

// breatheRows is the number of rows that are copied between two calls of Tables.breathe.
const breatheRows = 256

// unmapAfter is how many bytes of dropped chunks may pile up before a garbage collection
// is forced. The collector unmaps a chunk when its last snapshot is gone, but it does not
// count the mapped memory, so it would not run by itself.
const unmapAfter = 128 << 20

// Maintain rewrites chunks to free the memory of dead rows, or to bring related rows
// together. Only the writer calls it, after a commit. tight reports whether the process
// is short of memory; nil means never.
func (t *Tables) Maintain(tight func() bool) {
	t.Compact(func(v *View) bool { return v.Deaths >= compactMin && v.Deaths*compactShare > v.Rows })
	t.giveBack(tight)
	t.orderFilled()
}

// Compact moves the live rows of the chunks for which wants returns true into open
// chunks, and drops the old chunks. Existing snapshots stay valid. Only the writer calls
// it.
func (t *Tables) Compact(wants func(*View) bool) {
	for o := range t.Newest.Views {
		for i := range t.Newest.Views[o] {
			if v := &t.Newest.Views[o][i]; v.Chunk != nil && wants(v) {
				t.rewrite(matcher.Origin(o), uint32(i), v.Live())
			}
		}
	}
	t.unmap()
}

// Reclaim drops dead rows until all rows together need at most limit bytes. It starts
// with the chunk that has the most dead bytes. If dropping all dead rows would not
// suffice, it does nothing.
func (t *Tables) Reclaim(limit int64) {
	if t.Bytes.Load() <= limit || t.Bytes.Load()-t.DeadBytes.Load() > limit {
		return
	}
	for t.Bytes.Load() > limit {
		var (
			worst  int64
			origin matcher.Origin
			index  uint32
		)
		for o := range t.Newest.Views {
			for i := range t.Newest.Views[o] {
				if dead := t.Newest.Views[o][i].DeadBytes; dead > worst {
					worst, origin, index = dead, matcher.Origin(o), uint32(i)
				}
			}
		}
		if worst == 0 || !t.rewrite(origin, index, t.Newest.Views[origin][index].Live()) {
			break
		}
	}
	t.unmap()
}

// giveBack returns the memory of deleted rows to the system while the process is short of
// memory, once deleted rows are at least 1/giveBackShare of all bytes.
func (t *Tables) giveBack(tight func() bool) {
	if tight == nil || t.DeadBytes.Load()*giveBackShare < t.Bytes.Load() && t.dropped == 0 || !tight() {
		return
	}
	if t.DeadBytes.Load()*giveBackShare >= t.Bytes.Load() {
		t.Compact(func(v *View) bool { return v.Deaths > 0 })
	}
	if t.dropped > 0 {
		t.dropped = 0
		runtime.GC()
	}
}

// unmap runs the garbage collector, which unmaps dropped chunks, once they add up to
// unmapAfter bytes.
func (t *Tables) unmap() {
	if t.dropped >= unmapAfter {
		t.dropped = 0
		runtime.GC()
	}
}

// rewrite replaces one chunk. Its live rows use up the room of that many rows. If there is
// no memory for them in addition to the promises, rewrite keeps the old chunk and returns
// false; a later call can try again.
func (t *Tables) rewrite(o matcher.Origin, index uint32, room int) bool {
	old := t.Newest.Views[o][index]
	k := Kind{o, old.Versions}
	open, ok := t.Open[k]
	if ok && open == index {
		delete(t.Open, k)
	}
	if t.reserve(k, room+t.promised.rows[k]+t.heldRows(k)) != nil {
		if ok {
			t.Open[k] = open
		}
		return false
	}
	u := t.Begin()
	var listed map[uint32]struct{}
	if o == matcher.Faces { // lists hold rows of faces only, and row numbers of other origins would collide with them
		listed = old.listed()
	}
	moved := make([]uint32, 0, old.Live())
	for n, i := range old.orderedRows() {
		moved = append(moved, u.appendCopy(o, &old, i))
		if t.breathe != nil && n%breatheRows == 0 {
			t.breathe()
		}
	}
	t.Lock()
	defer t.Unlock()
	for _, row := range moved {
		v, i := u.next.At(o, row)
		u.setRow(o, v.IDs[i], row)
	}
	for ordinal := range listed {
		if u.next.Lists.Shows(ordinal) {
			u.list(ordinal).removeChunk(index)
		}
	}
	for _, row := range moved {
		u.enlist(o, row)
	}
	u.next.Views[o][index] = View{}
	delete(t.Arenas, old.Chunk)
	t.Bytes.Add(-old.DeadBytes)
	t.DeadBytes.Add(-old.DeadBytes)
	t.dropped += old.regionBytes()
	u.Finish()
	return true
}

// listed returns the ordinals of the lists that have a row of v, dead rows included.
func (v *View) listed() map[uint32]struct{} {
	lists := map[uint32]struct{}{}
	for i := range v.Rows {
		for ordinal := range v.Ordinals(i) {
			lists[ordinal] = struct{}{}
		}
	}
	return lists
}

// appendCopy appends a copy of row i of from to the open chunk. It returns the new row.
func (u *Update) appendCopy(o matcher.Origin, from *View, i int) uint32 {
	to, row := u.slot(Kind{o, from.Versions})
	to.copyRow(to.Rows, from.Chunk, i)
	u.finishRow(to, from.record(i))
	return row
}
