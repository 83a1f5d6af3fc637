package table

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/matcher"
)

// TestSortedByID appends rows in steps of growing size. After each step, the parts must
// be in the order of IDs and have every row exactly once, and all but a few rows must be
// merged.
func TestSortedByID(t *testing.T) {
	const rows = 4000
	tables := NewTables(Options{Registry: emptyRegistry(t), ChunkRows: 4096})
	order := rand.New(rand.NewPCG(1, 1)).Perm(rows)
	for first, step := 0, 1; first < rows; first, step = first+step, step*2 {
		u := tables.Begin()
		for _, n := range order[first:min(first+step, rows)] {
			var id matcher.ID
			binary.BigEndian.PutUint32(id[:], uint32(n))
			u.Append(&matcher.Object{ID: id})
		}
		tables.Lock()
		u.Finish()
		tables.Unlock()
		v := &tables.Newest.Views[matcher.Faces][0]
		seen := make([]bool, v.Rows)
		for _, part := range v.SortedByID() {
			if !slices.IsSortedFunc(part, func(a, b uint16) int { return v.IDs[a].Compare(v.IDs[b]) }) {
				t.Fatalf("%d rows: a part of %d rows is not in order", v.Rows, len(part))
			}
			for _, row := range part {
				if seen[row] {
					t.Fatalf("%d rows: row %d is returned twice", v.Rows, row)
				}
				seen[row] = true
			}
		}
		if slices.Contains(seen, false) {
			t.Fatalf("%d rows: a row is missing", v.Rows)
		}
		if n := len(v.byID.rows); n < v.Rows-TailRows {
			t.Errorf("%d of %d rows are merged", n, v.Rows)
		}
	}
}

func emptyRegistry(t *testing.T) *matcher.Registry {
	t.Helper()
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	return registry
}
