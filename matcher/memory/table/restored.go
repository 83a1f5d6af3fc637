package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

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
	t.adopted.lists = map[uint32]*members{}
}

// Restored is a chunk whose rows were read from a file, with everything that Adopt needs.
type Restored struct {
	origin matcher.Origin
	index  uint32 // of the chunk in the table
	view   View
	arena  *Arena
	sorted *shardedRows        // live rows
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
	c.setZones(n)
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
	lists := listCollector{restored: r, count: t.Newest.Lists.Len()}
	size := int64(v.Layout.rowOverhead() + v.Versions.descriptorBytes())
	for i := range v.Rows {
		alive, account := v.Alive(i), v.Accounts[i]
		if alive {
			_ = t.Newest.Accounts[:account] // panics if the account is unknown
			r.tally.add(account, 1)
		}
		var record int
		if v.Events != nil {
			b := v.record(i)
			v.Events.Tags[i] = v.tagBits(b)
			r.known.addRow(v, i)
			record = len(b)
		} else {
			record = lists.addRow(i, account, alive)
		}
		bytes := size + int64(record)
		r.bytes += bytes
		if !alive {
			v.Deaths++
			v.DeadBytes += bytes
		}
	}
	for _, l := range r.lists {
		if len(l.rows) > packedMax {
			l.enlarge() // here, because this runs on all cores
		}
	}
	r.sorted = t.Rows[r.origin].shardRows(v, index<<16)
	return r
}

// listCollector collects the rows of the lists of a restored chunk.
type listCollector struct {
	restored *Restored
	count    int    // number of lists, deleted ones included
	ordinal  uint32 // of last
	last     *members
}

// addRow adds a row to its lists if the row is alive. It returns the size of the row's
// record in bytes.
func (c *listCollector) addRow(i int, account uint32, alive bool) (record int) {
	r := c.restored
	b := r.view.RecordFrom(i)
	rest := b
	for range r.view.Layout.textCount() {
		_, rest = cutText(rest)
	}
	n, width := binary.Uvarint(rest)
	for rest = rest[width:]; n > 0; n-- {
		ordinal, width := binary.Uvarint(rest)
		rest = rest[width:]
		if alive {
			l := c.list(uint32(ordinal), i)
			l.rows = append(l.rows, r.index<<16|uint32(i))
			l.tally.add(account, 1)
		}
	}
	return len(b) - len(rest)
}

// list returns the rows of a list. It panics if the list does not exist.
func (c *listCollector) list(ordinal uint32, row int) *members {
	if c.last != nil && c.ordinal == ordinal {
		return c.last // in most chunks, neighbouring rows are in the same list
	}
	l := c.restored.lists[ordinal]
	if l == nil {
		if int(ordinal) >= c.count {
			panic(fmt.Sprintf("row %d is in list %d, but there are only %d lists", row, ordinal, c.count))
		}
		l = &members{}
		c.restored.lists[ordinal] = l
	}
	c.ordinal, c.last = ordinal, l
	return l
}

// Adopt adds the rows of r to t. Find does not find them until FinishAdopting has returned.
func (t *Tables) Adopt(r *Restored) {
	v := &r.view
	views := t.Newest.Views[r.origin]
	for int(r.index) >= len(views) {
		views = append(views, View{})
	}
	views[r.index] = *v
	t.Newest.Views[r.origin] = views
	t.Arenas[v.Chunk] = r.arena
	if v.Rows < v.Capacity {
		t.Open[Kind{r.origin, v.Versions}] = r.index
	}
	for ordinal, in := range r.lists {
		if !t.Newest.Lists.Shows(ordinal) {
			continue
		}
		if m := t.adopted.lists[ordinal]; m != nil {
			m.merge(in)
		} else {
			t.adopted.lists[ordinal] = in
		}
	}
	t.adopted.rows[r.origin] = append(t.adopted.rows[r.origin], r.sorted)
	t.Tallies[r.origin].merge(r.tally)
	t.Lexicons.merge(&r.known)
	t.Bytes.Add(r.bytes)
	t.DeadBytes.Add(v.DeadBytes)
}

// adopted is what FinishAdopting needs of the rows that Adopt added.
type adopted struct {
	lists map[uint32]*members // rows of lists, by ordinal
	rows  [matcher.Origins][]*shardedRows
}

// FinishAdopting packs the rows of the lists, and lets Find find all rows. It is called
// after the last call of Adopt. It returns an error if an object has two live rows, or if
// ctx ends.
func (t *Tables) FinishAdopting(ctx context.Context) error {
	t.rowViews = t.Newest.Views
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := int(next.Add(1)) - 1; n < int(matcher.Origins)*rowMapShards && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				o := n / rowMapShards
				t.Rows[o].fill(n%rowMapShards, t.adopted.rows[o])
			}
		})
	}
	for ordinal, m := range t.adopted.lists {
		t.packList(t.Newest.Lists.At(ordinal), ordinal, m)
	}
	workers.Wait()
	t.adopted = adopted{}
	for o := range matcher.Origins {
		if live, n := t.Newest.Live(o), t.Rows[o].Len(); live != n && ctx.Err() == nil {
			return fmt.Errorf("an object is stored twice: %d rows for %d %s", live, n, o)
		}
	}
	return ctx.Err()
}
