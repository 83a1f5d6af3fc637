package table

import (
	"slices"
	"sync"
)

// TailRows is the maximum number of rows that are sorted again for each page, in a chunk
// that still accepts rows. More rows than that are merged into the chunk's order.
const TailRows = 256

// idOrder is the order by ID of the rows of a chunk. It is built when the first page is
// read from the chunk.
type idOrder struct {
	mu   sync.Mutex
	rows []uint16 // the first rows of the chunk; never changed, only replaced
}

// SortedByID returns the rows of v in one or two parts, each sorted by ID. The parts may
// include rows that were appended after v was made. The caller must not change them.
func (v *View) SortedByID() [][]uint16 {
	o := &v.byID
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rows) >= v.Rows {
		return [][]uint16{o.rows}
	}
	byID := func(a, b uint16) int { return v.IDs[a].Compare(v.IDs[b]) }
	tail := make([]uint16, v.Rows-len(o.rows))
	for i := range tail {
		tail[i] = uint16(len(o.rows) + i)
	}
	slices.SortFunc(tail, byID)
	if len(tail) <= TailRows && v.Rows < v.Capacity {
		return [][]uint16{o.rows, tail}
	}
	merged := make([]uint16, 0, v.Rows)
	rest := o.rows
	for _, i := range tail {
		for len(rest) > 0 && byID(rest[0], i) < 0 {
			merged, rest = append(merged, rest[0]), rest[1:]
		}
		merged = append(merged, i)
	}
	merged = append(merged, rest...)
	o.rows = merged
	return [][]uint16{o.rows}
}
