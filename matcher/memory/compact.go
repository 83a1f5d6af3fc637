package memory

import (
	"runtime"

	"nearside/matcher"
)

// A chunk is rewritten when it has at least compactMin tombstones and they are
// more than one in compactShare of its rows.
const (
	compactMin   = 1024
	compactShare = 4
)

// unmapAfter is how much dropped memory may wait for the garbage collector,
// which unmaps chunks when the last snapshot of them is gone: it does not see
// their size by itself.
const unmapAfter = 128 << 20

// compact moves the live rows of the chunks that want it into open chunks and
// drops the old ones. Readers keep what their snapshots show. Only the writer
// calls it.
func (m *Memory) compact(wants func(*view) bool) {
	for o := range m.snap.tables {
		for i := range m.snap.tables[o] {
			if v := &m.snap.tables[o][i]; v.chunk != nil && wants(v) {
				m.rewrite(matcher.Origin(o), uint32(i))
			}
		}
	}
	m.unmap()
}

// reclaim drops dead rows until all rows need at most most bytes, beginning
// with the chunks that have most of them. If that cannot be, it does nothing.
func (m *Memory) reclaim(most int64) {
	if m.bytes.Load() <= most || m.bytes.Load()-m.deadBytes.Load() > most {
		return
	}
	for m.bytes.Load() > most {
		var (
			worst  int64
			origin matcher.Origin
			index  uint32
		)
		for o := range m.snap.tables {
			for i := range m.snap.tables[o] {
				if dead := m.snap.tables[o][i].deadBytes; dead > worst {
					worst, origin, index = dead, matcher.Origin(o), uint32(i)
				}
			}
		}
		if worst == 0 || !m.rewrite(origin, index) {
			break
		}
	}
	m.unmap()
}

// unmap lets the garbage collector find the chunks that were dropped, when
// that is worth it.
func (m *Memory) unmap() {
	if m.dropped >= unmapAfter {
		m.dropped = 0
		runtime.GC()
	}
}

// rewrite replaces one chunk. It does not when there is no memory for the new
// one: that can wait.
func (m *Memory) rewrite(o matcher.Origin, index uint32) bool {
	old := m.snap.tables[o][index]
	k := kind{o, old.versions}
	open, ok := m.open[k]
	if ok && open == index {
		delete(m.open, k)
	}
	if m.reserve(k, old.live()+m.promised[k]) != nil {
		if ok {
			m.open[k] = open
		}
		return false
	}
	u := m.begin()
	moved := make([]uint32, 0, old.live())
	for _, i := range old.order() {
		moved = append(moved, u.move(o, &old, i))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range moved {
		v, i := u.next.at(o, row)
		m.rows[o][v.ids[i]] = row
	}
	if o == matcher.Faces { // rows of lists are faces; other origins number theirs alike
		u.delist(index)
	}
	for _, row := range moved {
		u.enlist(o, row)
	}
	u.next.tables[o][index] = view{}
	delete(m.arenas, old.chunk)
	m.bytes.Add(-old.deadBytes)
	m.deadBytes.Add(-old.deadBytes)
	m.dropped += old.regionBytes()
	m.snap = u.next
	return true
}

// delist takes all rows of a chunk of faces out of the lists.
func (u *update) delist(index uint32) {
	first := uint64(index) << 16
	for _, l := range u.m.lists {
		if l.rows.IntersectsWithInterval(first, first+chunkRowsMax) {
			u.bitmap(l).RemoveRange(first, first+chunkRowsMax)
		}
	}
}

// move copies row i of v behind the rows of the open chunk.
func (u *update) move(o matcher.Origin, from *view, i int) uint32 {
	to, row := u.slot(kind{o, from.versions})
	to.copyRow(to.n, from.chunk, i)
	u.close(to, from.record(i))
	return row
}
