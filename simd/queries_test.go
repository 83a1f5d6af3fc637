package simd

import "testing"

// TestPrefetchParts checks that the groups of every number of queries together prefetch
// each line of the next tile, in order, and that no group prefetches more than one line
// of the next group's part.
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
					lines := (p.rate*q.lines + prefetchUnit - 1) / prefetchUnit // a kernel prefetches a line as soon as a part of it is due
					if start > end || start < end-1 {
						t.Fatalf("%s, %d queries of %d dimensions: group %d starts at line %d, want %d", k.Name(), count, dims, g, start, end)
					}
					end = start + lines
				}
				if all := TileBlocks * q.lines; end < all || end > all+1 {
					t.Fatalf("%s, %d queries of %d dimensions: %d of %d lines are prefetched", k.Name(), count, dims, end, all)
				}
			}
		}
	})
}
