package table

import (
	"fmt"
	"runtime"

	"nearside/matcher"
)

// ListState describes a list of a state that is restored.
type ListState struct {
	ID   matcher.ID
	Live bool // false: the list was deleted
}

// Discard removes all rows, lists and accounts and frees their memory. Nothing else may
// use t while it runs.
func (t *Tables) Discard() {
	t.reset()
	runtime.GC() // unmaps the chunks
}

// Records returns the number of objects and lists, each of which is a record of the
// store.
func (t *Tables) Records() uint64 {
	n := t.ListCount()
	for o := range matcher.Origins {
		n += t.Newest.Live(o)
	}
	return uint64(n)
}

// ExpectRows sizes the indexes of empty tables for the rows that Adopt will add.
func (t *Tables) ExpectRows(rows [matcher.Origins]int) {
	for o, n := range rows {
		t.Rows[o] = make(map[matcher.ID]uint32, n)
	}
}

// RestoreOrdinals creates the accounts and lists of empty tables. The index in each slice
// is the ordinal. The next update sets the other fields of the lists.
func (t *Tables) RestoreOrdinals(accounts []matcher.ID, lists []ListState) {
	t.Newest.Accounts = accounts
	for i, id := range accounts {
		t.Accounts[id] = uint32(i)
	}
	owned := map[*uint64]bool{}
	for _, s := range lists {
		ordinal := t.Newest.Lists.add(s.ID)
		t.lists = t.Newest.Lists
		if s.Live {
			t.listIndex.Add(ordinal)
		} else {
			t.Newest.Lists.remove(ordinal, owned)
		}
	}
	t.adopted = map[uint32]*members{}
}

// Restored is a chunk whose rows were read from a file, with everything that Adopt needs.
type Restored struct {
	origin matcher.Origin
	index  uint32 // of the chunk in the table
	view   View
	arena  *Arena
	lists  map[uint32]*members // live rows in lists, by ordinal
	tally  Tally               // counts the live rows
	bytes  int64               // of all rows, dead rows included
	known  Lexicons            // texts of events
}

// Survey prepares n rows of c, whose sections were read. c is to become the chunk with
// this index in the table of its origin. Survey counts the dead rows and collects the
// rows of lists. dead has one bit per row; nil means that no row is dead. Survey may run
// concurrently for different chunks, but only after RestoreOrdinals. It panics if the
// rows are inconsistent.
func (t *Tables) Survey(c *Chunk, n int, index uint32, dead []uint64, a *Arena) *Restored {
	for i := range n {
		c.setTime(i, c.Times[i]) // also updates the zones
	}
	r := &Restored{origin: c.Layout.Origin, index: index, arena: a, lists: map[uint32]*members{}}
	r.view = View{Chunk: c, Rows: n, blocks: a.blocks}
	if r.origin == matcher.Events {
		r.known = newLexicons(t.options)
	}
	v := &r.view
	if dead != nil {
		v.Dead = make([]uint64, v.Capacity/64)
		copy(v.Dead, dead)
	}
	size := int64(v.Layout.rowOverhead() + v.Versions.descriptorBytes())
	for i := range v.Rows {
		record := v.record(i)
		if v.Events != nil {
			v.Events.Tags[i] = v.tagBits(record)
			r.known.addRow(v, i)
		}
		bytes := size + int64(len(record))
		r.bytes += bytes
		if !v.Alive(i) {
			v.Deaths++
			v.DeadBytes += bytes
			continue
		}
		account := v.Accounts[i]
		_ = t.Newest.Accounts[:account] // panics if the account is unknown
		r.tally.add(account, 1)
		for ordinal := range v.Ordinals(i) {
			l := r.lists[ordinal]
			if l == nil {
				if int(ordinal) >= t.Newest.Lists.Len() {
					panic(fmt.Sprintf("row %d is in list %d, but there are only %d lists", i, ordinal, t.Newest.Lists.Len()))
				}
				l = &members{}
				r.lists[ordinal] = l
			}
			l.rows = append(l.rows, r.index<<16|uint32(i))
			l.tally.add(account, 1)
		}
	}
	return r
}

// Adopt adds the rows of r to t.
func (t *Tables) Adopt(r *Restored) error {
	v, base := &r.view, r.index<<16
	rows := t.Rows[r.origin]
	for i, id := range v.IDs[:v.Rows] {
		if v.Alive(i) {
			rows[id] = base | uint32(i)
		}
	}
	views := t.Newest.Views[r.origin]
	for int(r.index) >= len(views) {
		views = append(views, View{})
	}
	views[r.index] = *v
	t.Newest.Views[r.origin] = views
	if live := t.Newest.Live(r.origin); live != len(rows) {
		return fmt.Errorf("an object is stored twice: %d rows for %d objects", live, len(rows))
	}
	t.Arenas[v.Chunk] = r.arena
	if v.Rows < v.Capacity {
		t.Open[Kind{r.origin, v.Versions}] = r.index
	}
	for ordinal, in := range r.lists {
		if !t.Newest.Lists.Shows(ordinal) {
			continue
		}
		m := t.adopted[ordinal]
		if m == nil {
			t.adopted[ordinal] = in
			continue
		}
		m.addMany(in.rows)
		m.tally.merge(in.tally)
	}
	t.Tallies[r.origin].merge(r.tally)
	t.Lexicons.merge(&r.known)
	t.Bytes.Add(r.bytes)
	t.DeadBytes.Add(v.DeadBytes)
	return nil
}

// FinishAdopting packs the rows of the lists. It is called after the last call of Adopt.
func (t *Tables) FinishAdopting() {
	for ordinal, m := range t.adopted {
		t.packList(t.Newest.Lists.At(ordinal), ordinal, m)
	}
	t.adopted = nil
}
