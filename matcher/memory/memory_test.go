package memory

import (
	"fmt"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// step makes one random commit and applies it to m and o.
func step(w *world, m *Memory, o *memorytest.Oracle, versions []*matcher.Version) {
	var changes []store.Change
	exists := map[matcher.ID]bool{}
	for l := range o.ListIDs {
		exists[l] = true
	}
	for range 1 + w.IntN(20) {
		switch w.IntN(12) {
		case 0:
			l := testkit.Pick(w.Rand, w.lists...)
			exists[l] = true
			changes = append(changes, store.Change{Kind: store.PutList, List: &matcher.List{ID: l}})
		case 1:
			l := testkit.Pick(w.Rand, w.lists...)
			if exists[l] && w.IntN(4) == 0 {
				exists[l] = false
				changes = append(changes, store.Change{Kind: store.DeleteList, ID: l})
			}
		case 2, 3, 4, 5:
			changes = append(changes, store.Change{Kind: store.DeleteObject, ID: testkit.Pick(w.Rand, w.ids...)})
		default:
			var lists []matcher.ID
			for _, l := range w.lists {
				if exists[l] {
					lists = append(lists, l)
				}
			}
			changes = append(changes, store.Change{Kind: store.PutObject, Object: w.face(lists, versions)})
		}
	}
	o.ApplyChanges(changes)
	markCreated(m, changes)
	if err := m.Admit(changes); err != nil {
		panic(err)
	}
	m.Apply(changes)
	if w.IntN(6) == 0 {
		m.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
	}
}

// TestEqualsBruteForce runs random writes and matches of every encoding and length, with
// every kernel and with 1, 2 and 7 workers.
func TestEqualsBruteForce(t *testing.T) {
	for _, k := range memorytest.Kernels() {
		for _, workers := range []int{1, 2, 7} {
			t.Run(fmt.Sprintf("%s/%d", k.Name(), workers), func(t *testing.T) {
				if !k.Usable() {
					t.Skip("this CPU cannot run the kernel")
				}
				w := newWorld(uint64(workers))
				for i := range len(w.versions) {
					if testkit.RaceEnabled && i%5 > 0 {
						continue
					}
					versions := w.versions[i : i+1]
					if i%3 == 0 {
						versions = []*matcher.Version{w.versions[i], w.versions[(i*5+1)%len(w.versions)]}
					}
					m := newMemory(t, w, k, workers)
					o := memorytest.NewOracle(w.registry)
					for range 20 {
						step(w, m, o, versions)
						matchBoth(t, w, m, o, versions)
					}
					if got := m.Stats().Rows[matcher.Faces]; got != len(o.Faces) {
						t.Fatalf("%d rows, want %d", got, len(o.Faces))
					}
					invariants(t, m)
				}
			})
		}
	}
}
