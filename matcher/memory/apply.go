package memory

import (
	"nearside/matcher"
	"nearside/matcher/store"
)

// rowOverhead is what a row needs beside its descriptors and its record: its
// columns, its ID in the map, its bits in lists.
const rowOverhead = columnBytes + 40

// descriptorBytes is what the descriptors of a row need.
func (vs versions) descriptorBytes() int {
	n := 0
	for _, v := range vs {
		if v != nil {
			n += v.Size()
		}
	}
	return n
}

// rowBytes is what row i needs in memory.
func (v *view) rowBytes(i int) int64 {
	return int64(rowOverhead + v.versions.descriptorBytes() + len(v.record(i)))
}

// versionsOf returns the versions of the descriptors of o, but for those that
// do not fit.
func (m *Memory) versionsOf(o *matcher.Object) versions {
	var vs versions
	for t, d := range o.Descriptors {
		if v := m.options.Registry.Version(d.Version); fits(v, t, d) {
			vs[t] = v
		}
	}
	return vs
}

func fits(v *matcher.Version, t int, d matcher.Descriptor) bool {
	return v != nil && int(v.Type) == t && len(d.Data) == v.Size()
}

// Admit implements [store.Applier]: it refuses what would pass the memory
// limit, after giving back what deleted rows still hold, and what no memory
// can be mapped for.
func (m *Memory) Admit(changes []store.Change) error {
	type group struct {
		origin   matcher.Origin
		versions versions
	}
	need, rows := int64(0), map[group]int{}
	for _, c := range changes {
		if c.Kind != store.PutObject {
			continue
		}
		o := c.Object
		vs := m.versionsOf(o)
		rows[group{o.Origin, vs}]++
		need += int64(rowOverhead + vs.descriptorBytes() + len(o.ExternalID) + len(o.UserData) + len(o.Avatar) + 24 + 3*len(o.Lists))
	}
	if most := m.bytesMax.Load(); most > 0 && need > 0 {
		if m.bytes.Load()+need > most && m.deadBytes.Load() > 0 {
			m.compact(func(v *view) bool { return v.deaths > 0 })
		}
		if used := m.bytes.Load(); used+need > most {
			return matcher.Errorf(matcher.CodeFull, "limits.memory: %d of %d bytes are used and the write needs up to %d more", used, most, need)
		}
	}
	for g, n := range rows {
		if err := m.reserve(g.origin, g.versions, n); err != nil {
			return matcher.Errorf(matcher.CodeFull, "%w", err)
		}
	}
	return nil
}

// reserve keeps chunks ready for n more rows of vs.
func (m *Memory) reserve(o matcher.Origin, vs versions, n int) error {
	have := 0
	if index, ok := m.open[o][vs]; ok {
		v := &m.snap.tables[o][index]
		have = v.capacity - v.n
	}
	for _, c := range m.spare[vs] {
		have += c.capacity
	}
	for have < n {
		c, err := newChunk(vs, m.options.chunkRows)
		if err != nil {
			return err
		}
		m.spare[vs] = append(m.spare[vs], c)
		have += c.capacity
	}
	return nil
}

// takeChunk returns an empty chunk: a reserved one, or a new one while the
// store loads, when there is nothing to refuse yet.
func (m *Memory) takeChunk(vs versions) *chunk {
	if spare := m.spare[vs]; len(spare) > 0 {
		m.spare[vs] = spare[:len(spare)-1]
		return spare[len(spare)-1]
	}
	c, err := newChunk(vs, m.options.chunkRows)
	if err != nil {
		panic(err) // committed rows cannot be dropped
	}
	return c
}

// Apply implements [store.Applier]: it publishes committed changes as one new
// snapshot. Rows are written before the lock is taken, since no reader sees
// them yet; under the lock only indexes change.
func (m *Memory) Apply(changes []store.Change) {
	u := m.begin()
	rows := make([]uint32, len(changes))
	lists := make([]*list, len(changes))
	for i, c := range changes {
		switch c.Kind {
		case store.PutObject:
			rows[i] = u.append(c.Object)
		case store.PutList:
			lists[i] = u.makeList(c.List.ID)
		case store.DeleteList:
			u.pending[c.ID] = nil
		case store.DeleteObject:
		}
	}
	m.mu.Lock()
	for i, c := range changes {
		switch c.Kind {
		case store.PutObject:
			u.publish(c.Object.Origin, c.Object.ID, rows[i])
		case store.DeleteObject:
			u.remove(c.Origin, c.ID)
		case store.PutList:
			lists[i].info = c.List
			m.lists[c.List.ID] = lists[i]
		case store.DeleteList:
			if l := m.lists[c.ID]; l != nil {
				l.deleted.Store(u.next.epoch)
				l.rows = nil
				delete(m.lists, c.ID)
			}
		}
	}
	m.snap = u.next
	m.mu.Unlock()
	m.compact(func(v *view) bool { return v.deaths >= compactMin && v.deaths*compactShare > v.n })
}
