package simd

import "testing"

// TestPrefetchParts checks that the groups of every number of queries together prefetch
// each line of the next tile once, in order. A group of one query prefetches nothing.
func TestPrefetchParts(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		for count := 1; count <= 70; count++ {
			for _, dims := range []int{1, 4, 61, 512, 2048} {
				var q QueriesU8
				k.PackU8(&q, randomRows(seeded(31), count, dims))
				end := 0 // the lines before it are prefetched
				for g := range q.groups {
					p := q.groups[g].part
					start := p.block*q.lines + p.at/line
					if _, n := q.Group(g); n == 1 {
						if p.bytes != 0 {
							t.Fatalf("%s, %d queries of %d dimensions: the group of one query prefetches %d bytes", k.Name(), count, dims, p.bytes)
						}
						continue
					}
					if start != end || p.bytes%line != 0 {
						t.Fatalf("%s, %d queries of %d dimensions: group %d starts at line %d, want %d", k.Name(), count, dims, g, start, end)
					}
					end += p.bytes / line
				}
				if all := TileBlocks * q.lines; count > 1 && end != all {
					t.Fatalf("%s, %d queries of %d dimensions: %d of %d lines are prefetched", k.Name(), count, dims, end, all)
				}
			}
		}
	})
}
