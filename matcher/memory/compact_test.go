package memory

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
)

// counting counts regions.
type counting struct {
	mapped, unmapped atomic.Int64
}

func (c *counting) regions() regions {
	return regions{func(size int, huge bool) ([]byte, error) {
		c.mapped.Add(1)
		return newRegion(size, huge)
	}, func(mem []byte) {
		freeRegion(mem)
		c.unmapped.Add(1)
	}}
}

// settle collects garbage until only want regions are mapped. One collection
// is not enough: a pooled scanner may hold a chunk through one more, and what
// unmaps a chunk runs some time after the collection that found it.
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

// TestChurn: however often few objects are replaced, there are few chunks, and
// the memory of the others is unmapped.
func TestChurn(t *testing.T) {
	const live, commits = 3000, 300
	var memory counting
	p := newPair(t, Options{chunkRows: 4096, regions: memory.regions()}, bytes3())
	list := matcher.NewID()
	p.commit(t, store.Change{Kind: store.PutList, List: &matcher.List{ID: list}})
	rng := rand.New(rand.NewPCG(1, 1))
	most := 0
	for range commits {
		var changes []store.Change
		for range 500 {
			c := rows3(rng.IntN(live), 1)[0]
			if rng.IntN(2) == 0 {
				c.Object.Lists = []matcher.ID{list}
			}
			changes = append(changes, c)
		}
		p.commit(t, changes...)
		most = max(most, p.chunks(matcher.Faces))
	}
	invariants(t, p.Memory)
	// Live rows fill one chunk; a chunk is rewritten when a quarter is dead.
	if most > 4 || len(p.snap.tables[matcher.Faces]) > 4 {
		t.Errorf("%d chunks at a time, %d places, for %d rows", most, len(p.snap.tables[matcher.Faces]), live)
	}
	if n := memory.mapped.Load(); n < 2*commits*500/4096 {
		t.Fatalf("only %d regions were mapped: this is no churn", n)
	}
	memory.settle(t, 2*int64(p.chunks(matcher.Faces)))
	p.check(t, p.listSub(list), p.expect(p.listSub(list)))

	var deletes []store.Change
	for id := range p.faces {
		deletes = append(deletes, del(id))
	}
	p.commit(t, deletes...)
	p.compact(func(*view) bool { return true })
	if n := p.chunks(matcher.Faces); n != 0 || p.Stats().Bytes != 0 {
		t.Errorf("%d chunks are left of nothing, %d bytes", n, p.Stats().Bytes)
	}
	invariants(t, p.Memory)
	memory.settle(t, 0)
}

func (p *pair) listSub(list matcher.ID) []matcher.SubRequest {
	c := &matcher.Candidates{Limit: 50, Filter: matcher.Filter{ListID: &list}}
	return []matcher.SubRequest{reference(p.options.Registry.Version(1), []byte{9, 9, 9}, c)}
}

// TestSelectionKeepsItsRows: a selection shows what was there when it was
// made, whatever is deleted, replaced and compacted later.
func TestSelectionKeepsItsRows(t *testing.T) {
	var memory counting
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, bytes3())
	p.commit(t, rows3(0, 200)...)
	some := &matcher.Candidates{Limit: 1000, Filter: matcher.Filter{CreateTime: matcher.Range[matcher.Time]{GTE: new(matcher.Time(0))}}}
	selection, err := p.Select(t.Context(), some, nil)
	if err != nil || selection.Len() != 200 {
		t.Fatal(selection, err)
	}
	subs := []matcher.SubRequest{reference(p.options.Registry.Version(1), []byte{1, 2, 3}, some)}
	want := p.expect(subs)
	subs[0].Selection = selection
	for i := range 150 {
		p.commit(t, del(rows3(i, 1)[0].Object.ID))
	}
	for i := 150; i < 200; i++ {
		p.commit(t, put(rows3(i, 1)[0].Object.ID, 1, []byte{0, 0, 0}))
	}
	p.compact(func(v *view) bool { return v.deaths > 0 })
	runtime.GC()
	p.commit(t, rows3(500, 500)...)
	p.check(t, subs, want)
	subs[0].Selection, selection = nil, nil
	p.check(t, subs, p.expect(subs))
	memory.settle(t, 2*int64(p.chunks(matcher.Faces)))
}

// TestCompactLeavesLists: rows of other origins have the numbers of faces, and
// when they are rewritten, faces stay in their lists.
func TestCompactLeavesLists(t *testing.T) {
	p := newOriginsPair(t, 5)
	list := matcher.NewID()
	changes := []store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}}
	for n := range byte(100) {
		for o := range matcher.Origins {
			x := p.of(o, p.clock, p.faces[:1], p.body)
			if x.ID = (matcher.ID{n + 1}); o == matcher.Faces {
				x.Lists = []matcher.ID{list}
			}
			changes = append(changes, store.Change{Kind: store.PutObject, Object: x})
		}
	}
	p.Apply(changes)
	for _, o := range []matcher.Origin{matcher.Events, matcher.Attributes, matcher.Faces} {
		p.Apply([]store.Change{{Kind: store.DeleteObject, Origin: o, ID: matcher.ID{1}}})
		p.compact(func(v *view) bool { return v.deaths > 0 })
		if ids, err := p.IDs(t.Context(), matcher.Faces, &matcher.Filter{ListID: &list}, nil); err != nil || len(ids) != len(p.rows[matcher.Faces]) {
			t.Fatalf("%s were rewritten, and the list has %d of %d faces (%v)", o, len(ids), len(p.rows[matcher.Faces]), err)
		}
	}
	invariants(t, p.Memory)
}
