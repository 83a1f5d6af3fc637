package table

import (
	"runtime"
	"sync"

	"nearside/matcher"
)

// rowData is a descriptor that Fill writes.
type rowData struct {
	slab *Slab
	row  int
	data []byte
}

// putDescriptors writes the descriptors of o as row i of c, or leaves them to Fill.
func (u *Update) putDescriptors(c *Chunk, i int, o *matcher.Object) {
	for t, v := range c.Versions {
		switch data := o.Descriptors[t].Data; {
		case v == nil:
		case c.Slabs[t].Coarse != nil: // a coarse copy depends on the rows before it
			c.Slabs[t].putRow(i, data)
		default:
			u.unfilled = append(u.unfilled, rowData{&c.Slabs[t], i, data})
		}
	}
}

// fillMin is the smallest number of rows for which another goroutine is worth its start.
const fillMin = 512

// Fill writes the descriptors of the appended rows, on all cores if there are many rows.
// Most of this work is the first use of memory, which needs no order. It must be called
// before the rows are published.
func (u *Update) Fill() {
	rows := u.unfilled
	u.unfilled = nil
	parts := max(1, min(runtime.GOMAXPROCS(0), len(rows)/fillMin))
	var others sync.WaitGroup
	for p := 1; p < parts; p++ {
		others.Go(func() { fill(rows[p*len(rows)/parts : (p+1)*len(rows)/parts]) })
	}
	fill(rows[:len(rows)/parts])
	others.Wait()
}

func fill(rows []rowData) {
	for _, r := range rows {
		r.slab.putRow(r.row, r.data)
	}
}
