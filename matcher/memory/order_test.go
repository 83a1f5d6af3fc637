package memory

import (
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// mixture returns n faces with lists and times in random order. A face is in few lists.
func mixture(rng *rand.Rand, lists []matcher.ID, n int) []store.Change {
	changes := memorytest.Rows3(0, n)
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

// outOfOrder returns how many rows of faces do not follow the previous row in the order
// of list and time, and the number of rows examined. It skips the open chunk.
func (p *pair) outOfOrder() (wrong, rows int) {
	views := p.tables.Newest.Views[matcher.Faces]
	open := p.tables.Open[table.Kind{Origin: matcher.Faces, Versions: views[len(views)-1].Versions}]
	for c := range views {
		v := &views[c]
		if v.Chunk == nil || uint32(c) == open {
			continue
		}
		for i := 1; i < v.Rows; i++ {
			a, b := v.Home(i-1), v.Home(i)
			if rows++; a > b || a == b && v.Times[i-1] > v.Times[i] {
				wrong++
			}
		}
	}
	return wrong, rows
}

// TestFullChunksAreOrdered checks that the rows of a list are adjacent and ordered by
// time as soon as their chunk is full, and that answers do not change.
func TestFullChunksAreOrdered(t *testing.T) {
	p := newPair(t, Options{chunkRows: 1024}, memorytest.Version3())
	lists := p.makeLists(t, 10)
	p.commit(t, mixture(rand.New(rand.NewPCG(1, 2)), lists, 5000)...)
	invariants(t, p.Memory)
	if wrong, rows := p.outOfOrder(); rows < 4000 || wrong > rows/200 {
		t.Errorf("%d of %d neighbours are out of order", wrong, rows)
	}
	for _, list := range lists {
		p.check(t, p.listSub(list), p.Expect(p.listSub(list)))
	}
}

// TestOrderedChunksStay checks that chunks are not rewritten if their rows arrived in the
// order of lists, or if their lists are too small for ordering to pay off.
func TestOrderedChunksStay(t *testing.T) {
	for name, width := range map[string]int{"long lists": 500, "small lists": 4} {
		var memory counting
		p := newPair(t, Options{chunkRows: 1024, regions: memory.regions()}, memorytest.Version3())
		lists := p.makeLists(t, 200)
		changes := memorytest.Rows3(0, 5000)
		for i := range changes {
			changes[i].Object.Lists = []matcher.ID{lists[i/width%len(lists)]}
		}
		p.commit(t, changes...)
		if n := memory.mapped.Load(); n != 2*5 {
			t.Errorf("%s: %d regions were mapped, want 10", name, n)
		}
	}
}

// TestCompactionOrders checks that chunks rewritten because of dead rows are ordered as
// well.
func TestCompactionOrders(t *testing.T) {
	p := newPair(t, Options{chunkRows: 4096}, memorytest.Version3())
	lists := p.makeLists(t, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	p.commit(t, mixture(rng, lists, 4000)...)
	var deletes []store.Change
	for id := range p.Faces {
		if id[3]%2 == 0 {
			deletes = append(deletes, memorytest.Delete(id))
		}
	}
	p.commit(t, deletes...)
	invariants(t, p.Memory)
	views := p.tables.Newest.Views[matcher.Faces]
	i := slices.IndexFunc(views, func(v table.View) bool { return v.Rows > 0 })
	v := &views[i]
	if v.Deaths != 0 || v.Rows != 2000 || v.Mixed() {
		t.Fatalf("%d rows, %d of them dead, mixed: %v", v.Rows, v.Deaths, v.Mixed())
	}
	for i := 1; i < v.Rows; i++ {
		if v.Home(i-1) == v.Home(i) && v.Times[i-1] > v.Times[i] {
			t.Fatalf("row %d is older than the one before", i)
		}
	}
	p.check(t, p.listSub(lists[1]), p.Expect(p.listSub(lists[1])))
}

// TestShuffledTimesAreOrdered checks that events that arrive in random order are ordered
// by time once their chunk is full, and that events that arrive slightly late are not
// moved.
func TestShuffledTimesAreOrdered(t *testing.T) {
	const n = 5000
	for name, late := range map[string]int64{"shuffled": n, "late": 64} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			p := newPair(t, Options{chunkRows: 1024}, memorytest.Version3())
			changes := memorytest.Rows3(0, n)
			for i := range changes {
				o := changes[i].Object
				o.Origin, o.CreateTime = matcher.Events, matcher.Time(int64(i)+rng.Int64N(late))
			}
			p.commit(t, changes...)
			invariants(t, p.Memory)
			views, wrong := p.tables.Newest.Views[matcher.Events], 0
			for at := range views {
				v := &views[at]
				if v.Chunk == nil {
					continue
				}
				if open, ok := p.tables.Open[table.Kind{Origin: matcher.Events, Versions: v.Versions}]; ok && uint32(at) == open {
					continue
				}
				for i := 1; i < v.Rows; i++ {
					if v.Times[i-1] > v.Times[i] {
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
			subs := []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(changes[0].Object.Descriptors[matcher.FaceDescriptor].Version), changes[7].Object.Descriptors[matcher.FaceDescriptor].Data, set)}
			p.check(t, subs, p.Expect(subs))
		})
	}
}
