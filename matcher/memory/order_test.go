package memory

import (
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
)

// mixture makes n faces of lists and times in no order; those of few lists.
func mixture(rng *rand.Rand, lists []matcher.ID, n int) []store.Change {
	changes := rows3(0, n)
	for i := range changes {
		o := changes[i].Object
		o.CreateTime = matcher.Time(rng.Int64N(1_000_000))
		if at := rng.IntN(len(lists) + 1); at < len(lists) {
			o.Lists = []matcher.ID{lists[at]}
		}
		if rng.IntN(50) == 0 {
			o.Lists = slices.Clone(lists)
		}
	}
	return changes
}

func (p *pair) makeLists(t *testing.T, n int) []matcher.ID {
	lists := make([]matcher.ID, n)
	for i := range lists {
		lists[i] = matcher.ID{15: byte(i + 1)}
		p.commit(t, store.Change{Kind: store.PutList, List: &matcher.List{ID: lists[i]}})
	}
	return lists
}

// inOrder returns how many neighbours of the chunks of faces, but for the last,
// are not in the order of list and time, and how many there are.
func (p *pair) inOrder() (wrong, rows int) {
	table := p.snap.tables[matcher.Faces]
	open := p.open[kind{matcher.Faces, table[len(table)-1].versions}]
	for c := range table {
		v := &table[c]
		if v.chunk == nil || uint32(c) == open {
			continue
		}
		for i := 1; i < v.n; i++ {
			a, b := v.home(i-1), v.home(i)
			if rows++; a > b || a == b && v.times[i-1] > v.times[i] {
				wrong++
			}
		}
	}
	return wrong, rows
}

// TestFullChunksAreOrdered: rows of a list lie side by side, by time, once
// their chunk is full, and answers are what they were.
func TestFullChunksAreOrdered(t *testing.T) {
	p := newPair(t, Options{chunkRows: 1024}, bytes3())
	lists := p.makeLists(t, 10)
	p.commit(t, mixture(rand.New(rand.NewPCG(1, 2)), lists, 5000)...)
	invariants(t, p.Memory)
	if wrong, rows := p.inOrder(); rows < 4000 || wrong > rows/200 {
		t.Errorf("%d of %d neighbours are out of order", wrong, rows)
	}
	for _, list := range lists {
		p.check(t, p.listSub(list), p.expect(p.listSub(list)))
	}
}

// TestOrderedChunksStay: chunks whose rows came in the order of lists, or in
// lists too small to be worth it, are not moved.
func TestOrderedChunksStay(t *testing.T) {
	for name, width := range map[string]int{"long lists": 500, "small lists": 4} {
		var memory counting
		p := newPair(t, Options{chunkRows: 1024, regions: memory.regions()}, bytes3())
		lists := p.makeLists(t, 200)
		changes := rows3(0, 5000)
		for i := range changes {
			changes[i].Object.Lists = []matcher.ID{lists[i/width%len(lists)]}
		}
		p.commit(t, changes...)
		if n := memory.mapped.Load(); n != 2*5 {
			t.Errorf("%s: %d regions were mapped, want 10", name, n)
		}
	}
}

// TestCompactionOrders: chunks that are rewritten for their dead rows are
// ordered as well.
func TestCompactionOrders(t *testing.T) {
	p := newPair(t, Options{chunkRows: 4096}, bytes3())
	lists := p.makeLists(t, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	p.commit(t, mixture(rng, lists, 4000)...)
	var deletes []store.Change
	for id := range p.faces {
		if id[3]%2 == 0 {
			deletes = append(deletes, del(id))
		}
	}
	p.commit(t, deletes...)
	invariants(t, p.Memory)
	table := p.snap.tables[matcher.Faces]
	i := slices.IndexFunc(table, func(v view) bool { return v.n > 0 })
	v := &table[i]
	if v.deaths != 0 || v.n != 2000 || v.mixed() {
		t.Fatalf("%d rows, %d of them dead, mixed: %v", v.n, v.deaths, v.mixed())
	}
	for i := 1; i < v.n; i++ {
		if v.home(i-1) == v.home(i) && v.times[i-1] > v.times[i] {
			t.Fatalf("row %d is older than the one before", i)
		}
	}
	p.check(t, p.listSub(lists[1]), p.expect(p.listSub(lists[1])))
}

// TestShuffledTimesAreOrdered: events that come in any order lie by time once
// their chunk is full, and those that come a little late stay where they are.
func TestShuffledTimesAreOrdered(t *testing.T) {
	const n = 5000
	for name, late := range map[string]int64{"shuffled": n, "late": 64} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			p := newPair(t, Options{chunkRows: 1024}, bytes3())
			changes := rows3(0, n)
			for i := range changes {
				o := changes[i].Object
				o.Origin, o.CreateTime = matcher.Events, matcher.Time(int64(i)+rng.Int64N(late))
			}
			p.commit(t, changes...)
			invariants(t, p.Memory)
			table, wrong := p.snap.tables[matcher.Events], 0
			for at := range table {
				v := &table[at]
				if v.chunk == nil {
					continue
				}
				if open, ok := p.open[kind{matcher.Events, v.versions}]; ok && uint32(at) == open {
					continue
				}
				for i := 1; i < v.n; i++ {
					if v.times[i-1] > v.times[i] {
						wrong++
					}
				}
			}
			if ordered := wrong == 0; ordered != (name == "shuffled") {
				t.Errorf("%d neighbours out of order", wrong)
			}
			set := &matcher.Candidates{Origin: matcher.Events, Limit: 9, Filter: matcher.Filter{
				CreateTime: matcher.Range[matcher.Time]{GTE: new(matcher.Time(1000)), LT: new(matcher.Time(1500))},
			}}
			subs := []matcher.SubRequest{reference(p.options.Registry.Version(changes[0].Object.Descriptors[matcher.FaceDescriptor].Version), changes[7].Object.Descriptors[matcher.FaceDescriptor].Data, set)}
			p.check(t, subs, p.expect(subs))
		})
	}
}
