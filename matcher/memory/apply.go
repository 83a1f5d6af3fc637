package memory

import (
	"fmt"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// Admit implements [store.Applier]. It refuses a write that would exceed the memory limit
// even after the memory of deleted rows is reclaimed. It also refuses a write for which
// no memory can be mapped.
func (m *Memory) Admit(changes []store.Change) error {
	need, rows := int64(0), map[table.Kind]int{}
	for _, c := range changes {
		if c.Kind == store.PutObject {
			k, bytes := m.tables.Need(c.Object)
			rows[k]++
			need += bytes
		}
	}
	if limit := m.bytesMax.Load(); limit > 0 && need > 0 {
		held := m.tables.HeldBytes()
		m.tables.Reclaim(limit - need - held)
		if used := m.tables.Bytes.Load() + held; used+need > limit {
			return matcher.Errorf(matcher.CodeFull, "limits.memory: %d of %d bytes are used and the write needs up to %d more", used, limit, need).
				Mask(fmt.Sprintf("limits.memory: the write needs up to %d bytes, more than is left of the limit of %d", need, limit))
		}
	}
	if need > 0 && m.options.Refuse != nil {
		if err := m.options.Refuse(); err != nil {
			return err
		}
	}
	if err := m.tables.Promise(rows, need); err != nil {
		return matcher.Errorf(matcher.CodeFull, "%w", err)
	}
	return nil
}

// Hold implements [store.Applier].
func (m *Memory) Hold() { m.tables.HoldPromise() }

// Withdraw implements [store.Applier].
func (m *Memory) Withdraw() { m.tables.DropPromise() }

// Apply implements [store.Applier]: it publishes committed changes as one new snapshot.
// Rows are written before the lock is taken, because no reader can see them yet. Only
// indexes change under the lock.
func (m *Memory) Apply(changes []store.Change) {
	u := m.tables.Begin()
	rows := make([]uint32, len(changes))
	lists := make([]uint32, len(changes)) // ordinals
	for i, c := range changes {
		switch c.Kind {
		case store.PutObject:
			rows[i] = u.Append(c.Object)
		case store.PutList:
			lists[i] = u.MakeList(c.List)
		case store.DeleteList:
			u.ForgetList(c.ID)
		case store.DeleteObject:
		}
	}
	u.Fill()
	m.tables.KeepPromise()
	m.tables.Lock()
	for i, c := range changes {
		switch c.Kind {
		case store.PutObject:
			u.Publish(c.Object.Origin, c.Object.ID, rows[i], c.Created)
		case store.DeleteObject:
			u.Remove(c.Origin, c.ID)
		case store.PutList:
			u.PublishList(lists[i], c.List)
		case store.DeleteList:
			u.DeleteList(c.ID)
		}
	}
	u.Finish()
	m.tables.Unlock()
	m.tables.Maintain(m.options.Tight)
}
