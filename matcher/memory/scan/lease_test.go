package scan

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
	"nearside/simd"
)

// snapshotSet is a candidate set of some snapshot, and the faces of that snapshot.
type snapshotSet struct {
	set       *matcher.Candidates
	selection *filter.Selection
	faces     map[matcher.ID]*matcher.Object
}

// TestLease checks that jobs that share a strip each get their own answer. They need
// different rows of the strip, few or many, from older or newer snapshots. Some of these
// rows are in the same block.
func TestLease(t *testing.T) {
	for _, k := range memorytest.Kernels() {
		t.Run(k.Name(), func(t *testing.T) {
			if !k.Usable() {
				t.Skip("this CPU cannot run the kernel")
			}
			similarity := matcher.Calibration{Midpoint: 3, Steepness: 1}
			for _, v := range []matcher.Version{
				{Number: 1, Length: 21, Scale: 128, Similarity: similarity},
				{Number: 1, Length: 5, Encoding: matcher.Float32, Similarity: similarity},
				{Number: 1, Length: 5, Encoding: matcher.Float32, Exact: matcher.Plain, Similarity: similarity},
				{Number: 1, Length: 5, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: similarity},
			} {
				testLease(t, k, v)
			}
		})
	}
}

func testLease(t *testing.T, k *simd.Kernel, version matcher.Version) {
	rng := rand.New(rand.NewPCG(1, uint64(version.Metric)))
	p := newPair(t, pairOptions{kernel: k, chunkRows: 1024}, version)
	v := p.Registry.Version(1)
	data := func() []byte {
		b := make([]byte, v.Size())
		for i := range b {
			b[i] = byte(rng.Uint32()) & 0x3f // small enough to be finite as floats
		}
		return b
	}
	var sets []snapshotSet
	for n := range 12 {
		var changes []store.Change
		for range 1 + rng.IntN(70) {
			c := memorytest.Put(matcher.ID{byte(rng.Uint32()), byte(n)}, 1, data())
			c.Object.Age = matcher.SmallOf(uint8(rng.IntN(100)))
			changes = append(changes, c)
		}
		if n > 0 {
			for id := range p.Faces {
				if rng.IntN(20) == 0 {
					changes = append(changes, memorytest.Delete(id))
				}
			}
		}
		p.commit(t, changes...)
		if n%4 == 3 { // so that another chunk gets the index of the first one at some point
			p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
		}
		for _, age := range []uint8{255, 60, 3} {
			set := &matcher.Candidates{Limit: 7, Order: matcher.Order(rng.IntN(3)), Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: &age}))}
			if age == 255 {
				set.Filter = matcher.Filter{}
			}
			sets = append(sets, snapshotSet{set, p.selection(t, &set.Filter), maps.Clone(p.Faces)})
		}
	}
	w := newScanner(k)
	rounds := 500
	if testkit.RaceEnabled {
		rounds = 50
	}
	shared := 0
	for range rounds {
		var l lease
		var chosen []snapshotSet
		var subs [][]matcher.SubRequest
		for range 1 + rng.IntN(5) {
			m := sets[rng.IntN(len(sets))]
			j := NewJob(m.selection, v)
			if len(j.strips) == 0 {
				continue
			}
			var mine []matcher.SubRequest
			for range 1 + rng.IntN(4) {
				mine = append(mine, memorytest.Reference(v, data(), m.set))
				j.Searches = append(j.Searches, NewSearch(m.selection.Snapshot(), &mine[len(mine)-1], Farthest(&mine[len(mine)-1])))
			}
			place := &j.strips[0]
			if len(l.tasks) > 0 {
				place = j.matchingStrip(l.tasks[0].job, l.tasks[0].strip)
			}
			if place == nil { // the rows of its snapshot are in another chunk
				continue
			}
			l.tasks = append(l.tasks, task{j, place})
			chosen, subs = append(chosen, m), append(subs, mine)
		}
		if len(l.tasks) == 0 {
			continue
		}
		shared = max(shared, len(l.tasks))
		if err := w.compareLease(&l); err != nil {
			t.Fatal(err)
		}
		for i, m := range chosen {
			o := memorytest.Oracle{Registry: p.Registry, Faces: m.faces}
			for n, search := range l.tasks[i].job.Searches {
				want, _, _ := o.Answer(&subs[i][n])
				if got := memorytest.AnswersOf(search.matches()); !slices.Equal(got, want) {
					t.Fatalf("%v: job %d of %d, reference %d:\n got %v\nwant %v", v.Encoding, i, len(chosen), n, got, want)
				}
			}
		}
	}
	if shared < 3 {
		t.Errorf("at most %d jobs shared a strip", shared)
	}
}
