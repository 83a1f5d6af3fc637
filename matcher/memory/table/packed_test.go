package table

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMembers adds rows in several orders, one by one and many at a time, and compares the
// rows of the packed list with them.
func TestMembers(t *testing.T) {
	const chunks = 4
	for _, perChunk := range []int{1, 30, packedMax / chunks, packedMax, ChunkRowsMax} {
		var want []uint32
		parts := make([][]uint32, chunks)
		for c := range parts {
			for i := range perChunk {
				parts[c] = append(parts[c], uint32(c<<16+i))
			}
			want = append(want, parts[c]...)
		}
		ways := map[string]func(m *members){
			"many, out of order": func(m *members) {
				for _, c := range []int{1, 0, 3, 2} {
					m.addMany(parts[c])
				}
			},
			"alternating": func(m *members) {
				for i := range perChunk {
					for _, c := range []int{2, 0, 3, 1} {
						m.add(parts[c][i])
					}
				}
			},
			"twice": func(m *members) {
				for range 2 {
					for _, row := range want[rand.IntN(len(want)):] {
						m.add(row)
					}
					for _, row := range want {
						m.add(row)
					}
				}
			},
		}
		for name, add := range ways {
			tables, m := NewTables(Options{}), &members{}
			list := tables.Newest.Lists.add([16]byte{1})
			add(m)
			tables.packList(tables.Newest.Lists.At(list), list, m)
			var got []uint32
			for it := tables.ListRows(list).Iterate(); it.Next(); {
				got = append(got, it.Rows...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d rows per chunk, %s: %d rows, want %d", perChunk, name, len(got), len(want))
			}
		}
	}
}
