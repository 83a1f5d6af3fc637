package memory

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// counting counts mapped and unmapped regions.
type counting struct {
	mapped, unmapped atomic.Int64
}

func (c *counting) regions() table.Regions {
	mapped := table.MappedRegions()
	return table.Regions{Allocate: func(size int, huge bool) ([]byte, error) {
		c.mapped.Add(1)
		return mapped.Allocate(size, huge)
	}, Free: func(mem []byte) {
		mapped.Free(mem)
		c.unmapped.Add(1)
	}}
}

// settle runs the garbage collector until only want regions are mapped. One collection is
// not enough: a pooled scanner may keep a chunk alive through one collection, and the
// cleanup that unmaps a chunk runs some time after the collection.
func (c *counting) settle(t *testing.T, want int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); c.mapped.Load()-c.unmapped.Load() > want; {
		if time.Now().After(end) {
			t.Fatalf("%d regions are mapped, want %d", c.mapped.Load()-c.unmapped.Load(), want)
		}
		runtime.GC()
		runtime.Gosched()
	}
	if n := c.mapped.Load() - c.unmapped.Load(); n < want {
		t.Fatalf("%d regions are mapped, want %d", n, want)
	}
}

// TestChurn checks that replacing a few objects many times leaves few chunks, and that
// the memory of the other chunks is unmapped.
func TestChurn(t *testing.T) {
	const live, commits = 3000, 300
	var memory counting
	p := newPair(t, Options{chunkRows: 4096, regions: memory.regions()}, memorytest.Version3())
	list := matcher.NewID()
	p.commit(t, store.Change{Kind: store.PutList, List: &matcher.List{ID: list}})
	rng := rand.New(rand.NewPCG(1, 1))
	highest := 0 // number of chunks
	for range commits {
		var changes []store.Change
		for range 500 {
			c := memorytest.Rows3(rng.IntN(live), 1)[0]
			if rng.IntN(2) == 0 {
				c.Object.Lists = []matcher.ID{list}
			}
			changes = append(changes, c)
		}
		p.commit(t, changes...)
		highest = max(highest, p.tables.ChunkCount(matcher.Faces))
	}
	invariants(t, p.Memory)
	// The live rows fill one chunk. A chunk is rewritten when a quarter of it is dead.
	if highest > 4 || len(p.tables.Newest.Views[matcher.Faces]) > 4 {
		t.Errorf("up to %d chunks at a time, %d views, for %d rows", highest, len(p.tables.Newest.Views[matcher.Faces]), live)
	}
	if n := memory.mapped.Load(); n < 2*commits*500/4096 {
		t.Fatalf("only %d regions were mapped, too few for this test", n)
	}
	memory.settle(t, 2*int64(p.tables.ChunkCount(matcher.Faces)))
	p.check(t, p.listSub(list), p.Expect(p.listSub(list)))

	var deletes []store.Change
	for id := range p.Faces {
		deletes = append(deletes, memorytest.Delete(id))
	}
	p.commit(t, deletes...)
	p.tables.Compact(func(*table.View) bool { return true })
	if n := p.tables.ChunkCount(matcher.Faces); n != 0 || p.Stats().Bytes != 0 {
		t.Errorf("%d chunks and %d bytes are left, although all objects were deleted", n, p.Stats().Bytes)
	}
	invariants(t, p.Memory)
	memory.settle(t, 0)
}

func (p *pair) listSub(list matcher.ID) []matcher.SubRequest {
	c := &matcher.Candidates{Limit: 50, Filter: matcher.Filter{ListID: &list}}
	return []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(1), []byte{9, 9, 9}, c)}
}

// TestSelectionKeepsItsRows checks that a selection shows the state in which it was made,
// whatever is deleted, replaced and compacted later.
func TestSelectionKeepsItsRows(t *testing.T) {
	var memory counting
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 200)...)
	some := &matcher.Candidates{Limit: 1000, Filter: matcher.Filter{CreateTime: matcher.Range[matcher.Time]{GTE: new(matcher.Time(0))}}}
	selection, err := p.Select(t.Context(), some, nil)
	if err != nil || selection.Len() != 200 {
		t.Fatal(selection, err)
	}
	subs := []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(1), []byte{1, 2, 3}, some)}
	want := p.Expect(subs)
	subs[0].Selection = selection
	for i := range 150 {
		p.commit(t, memorytest.Delete(memorytest.Rows3(i, 1)[0].Object.ID))
	}
	for i := 150; i < 200; i++ {
		p.commit(t, memorytest.Put(memorytest.Rows3(i, 1)[0].Object.ID, 1, []byte{0, 0, 0}))
	}
	p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
	runtime.GC()
	p.commit(t, memorytest.Rows3(500, 500)...)
	p.check(t, subs, want)
	subs[0].Selection, selection = nil, nil
	p.check(t, subs, p.Expect(subs))
	memory.settle(t, 2*int64(p.tables.ChunkCount(matcher.Faces)))
}

// TestCompactLeavesLists checks that faces stay in their lists when rows of another
// origin, with the same row numbers, are rewritten.
func TestCompactLeavesLists(t *testing.T) {
	p := newOriginsPair(t, 5)
	list := matcher.NewID()
	changes := []store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}}
	for n := range byte(100) {
		for o := range matcher.Origins {
			x := p.object(o, p.clock, p.faces[:1], p.body)
			if x.ID = (matcher.ID{n + 1}); o == matcher.Faces {
				x.Lists = []matcher.ID{list}
			}
			changes = append(changes, store.Change{Kind: store.PutObject, Object: x})
		}
	}
	p.Apply(changes)
	for _, o := range []matcher.Origin{matcher.Events, matcher.Attributes, matcher.Faces} {
		p.Apply([]store.Change{{Kind: store.DeleteObject, Origin: o, ID: matcher.ID{1}}})
		p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
		if ids, err := p.IDs(t.Context(), matcher.Faces, &matcher.Filter{ListID: &list}, nil); err != nil || len(ids) != p.tables.Rows[matcher.Faces].Len() {
			t.Fatalf("%s were rewritten, and the list has %d of %d faces (%v)", o, len(ids), p.tables.Rows[matcher.Faces].Len(), err)
		}
	}
	invariants(t, p.Memory)
}
