package memory

import (
	"fmt"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// descriptorBytes is what the descriptors of a row need, copies included.
func (vs versions) descriptorBytes() int {
	n := 0
	for _, v := range vs {
		if v != nil {
			n += slabBytes(v, simd.BlockRows) / simd.BlockRows
		}
	}
	return n
}

// rowBytes is what row i needs in memory.
func (v *view) rowBytes(i int) int64 {
	return int64(v.layout.rowOverhead() + v.versions.descriptorBytes() + len(v.record(i)))
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
	need, rows := int64(0), map[kind]int{}
	for _, c := range changes {
		if c.Kind != store.PutObject {
			continue
		}
		o := c.Object
		vs := m.versionsOf(o)
		rows[kind{o.Origin, vs}]++
		need += int64(m.layouts[o.Origin].rowOverhead() + vs.descriptorBytes() + detailsBytes(o))
	}
	if most := m.bytesMax.Load(); most > 0 && need > 0 {
		m.reclaim(most - need)
		if used := m.bytes.Load(); used+need > most {
			return matcher.Errorf(matcher.CodeFull, "limits.memory: %d of %d bytes are used and the write needs up to %d more", used, most, need)
		}
	}
	for k, n := range rows {
		if err := m.reserve(k, n); err != nil {
			return matcher.Errorf(matcher.CodeFull, "%w", err)
		}
	}
	m.promised = rows
	return nil
}

// reserve keeps chunks ready for n more rows of k.
func (m *Memory) reserve(k kind, n int) error {
	have := 0
	if index, ok := m.open[k]; ok {
		v := &m.snap.tables[k.origin][index]
		have = v.capacity - v.n
	}
	for _, c := range m.spare[k] {
		have += c.capacity
	}
	for have < n {
		if m.chunks(k.origin) >= chunksMax {
			return fmt.Errorf("memory: the %s fill %d chunks already, which is all there can be", k.origin, chunksMax)
		}
		c, err := m.newChunk(k)
		if err != nil {
			return err
		}
		m.spare[k] = append(m.spare[k], c)
		have += c.capacity
	}
	return nil
}

// chunks counts the chunks of an origin, the spare ones included.
func (m *Memory) chunks(o matcher.Origin) int {
	n := 0
	for i := range m.snap.tables[o] {
		if m.snap.tables[o][i].chunk != nil {
			n++
		}
	}
	for k, spare := range m.spare {
		if k.origin == o {
			n += len(spare)
		}
	}
	return n
}

func (m *Memory) newChunk(k kind) (*chunk, error) {
	return newChunk(m.layouts[k.origin], k.versions, m.options.chunkRows, m.options.regions)
}

// takeChunk returns an empty chunk: a reserved one, or a new one while the
// store loads, when there is nothing to refuse yet.
func (m *Memory) takeChunk(k kind) *chunk {
	if spare := m.spare[k]; len(spare) > 0 {
		last := len(spare) - 1
		c := spare[last]
		spare[last] = nil // or the chunk could not be unmapped
		m.spare[k] = spare[:last]
		return c
	}
	c, err := m.newChunk(k)
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
	clear(m.promised)
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
	m.order()
}
