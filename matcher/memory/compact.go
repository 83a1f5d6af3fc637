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
	if m.dropped >= unmapAfter {
		m.dropped = 0
		runtime.GC()
	}
}

// rewrite replaces one chunk.
func (m *Memory) rewrite(o matcher.Origin, index uint32) {
	u := m.begin()
	old := u.next.tables[o][index]
	if open, ok := m.open[o][old.versions]; ok && open == index {
		delete(m.open[o], old.versions)
	}
	moved := make([]uint32, 0, old.live())
	for i := range old.n {
		if old.alive(i) {
			moved = append(moved, u.move(o, &old, i))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range moved {
		v, i := u.next.at(o, row)
		m.rows[o][v.ids[i]] = row
	}
	first := uint64(index) << 16
	for _, l := range m.lists {
		if l.rows.IntersectsWithInterval(first, first+chunkRowsMax) {
			u.bitmap(l).RemoveRange(first, first+chunkRowsMax)
		}
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
}

// move copies row i of v behind the rows of the open chunk.
func (u *update) move(o matcher.Origin, from *view, i int) uint32 {
	to, row := u.slot(o, from.versions)
	to.copyRow(to.n, from.chunk, i)
	u.close(to, from.record(i))
	return row
}
