package memory

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
	"nearside/simd"
)

// TestChunkBorders fills more than two chunks of full size with short rows, and deletes
// and replaces some. It matches with filters that select few rows, many rows, runs of
// rows, and rows at the chunk borders.
func TestChunkBorders(t *testing.T) {
	lengths := []int{1, 7, 32}
	if testkit.RaceEnabled {
		lengths = lengths[:1]
	}
	for _, length := range lengths {
		t.Run(strconv.Itoa(length), func(t *testing.T) { testChunkBorders(t, length) })
	}
}

func testChunkBorders(t *testing.T, length int) {
	const rows = 2*table.ChunkRowsMax + 4321
	rng := rand.New(rand.NewPCG(uint64(length), 1))
	p := newPair(t, Options{},
		matcher.Version{Number: 1, Length: length, Scale: 16, Similarity: matcher.Calibration{Midpoint: 40 * float64(length), Steepness: 0.1 / float64(length)}})
	data := func() []byte {
		b := make([]byte, length)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	face := func(row int) store.Change {
		c := memorytest.Put(matcher.ID{0: byte(row >> 16), 1: byte(row >> 8), 2: byte(row), 3: byte(rng.Uint32())}, 1, data())
		c.Object.CreateTime = matcher.Time(row)
		c.Object.Age = matcher.SmallOf(uint8(row % 100))
		c.Object.Gender = matcher.SmallOf(uint8(row / 1000 % 2)) // in runs
		return c
	}
	some, border := matcher.NewID(), matcher.NewID()
	p.commit(t, store.Change{Kind: store.PutList, List: &matcher.List{ID: some}}, store.Change{Kind: store.PutList, List: &matcher.List{ID: border}})
	var all []store.Change
	for row := range rows {
		c := face(row)
		if row%131 == 0 { // too few for ordering
			c.Object.Lists = append(c.Object.Lists, some)
		}
		if at := row % table.ChunkRowsMax; at < 3 || at > table.ChunkRowsMax-3 {
			c.Object.Lists = append(c.Object.Lists, border)
		}
		slices.SortFunc(c.Object.Lists, matcher.ID.Compare)
		all = append(all, c)
	}
	p.commit(t, all...)
	var later []store.Change
	for row, c := range all { // too few in any chunk for compaction
		switch {
		case row%100 == 0 || row == table.ChunkRowsMax-1 || row == table.ChunkRowsMax:
			later = append(later, memorytest.Delete(c.Object.ID))
		case row%1000 == 1:
			again := *c.Object
			again.Descriptors[matcher.FaceDescriptor].Data = data()
			later = append(later, store.Change{Kind: store.PutObject, Object: &again})
		}
	}
	p.commit(t, later...)
	if n := len(p.tables.Newest.Views[matcher.Faces]); n != 3 {
		t.Fatalf("%d chunks, want 3", n)
	}
	sets := []*matcher.Candidates{
		{Limit: 20},
		{Limit: 9, Threshold: 0.9},
		{Limit: 10, Filter: matcher.Filter{ListID: &some}},
		{Limit: 30, Filter: matcher.Filter{ListID: &border}},
		{Limit: 10, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(40))}))},
		{Limit: 10, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(2))})), Threshold: 0.5, Order: matcher.ByTimeAsc},
		{Limit: 10, Filter: matcher.Where(matcher.AnyOf("gender", uint8(1))), Order: matcher.ByTimeDesc, Threshold: 0.7},
		{Limit: 10, Filter: matcher.Filter{CreateTime: matcher.Range[matcher.Time]{GTE: new(matcher.Time(table.ChunkRowsMax - 70)), LT: new(matcher.Time(table.ChunkRowsMax + 70))}}},
		{Limit: 10, Filter: matcher.Filter{IDs: []matcher.ID{all[table.ChunkRowsMax-2].Object.ID, all[table.ChunkRowsMax].Object.ID, all[2*table.ChunkRowsMax].Object.ID}}},
	}
	var subs []matcher.SubRequest
	for range 2 {
		query := data()
		for _, c := range sets {
			subs = append(subs, memorytest.Reference(p.options.Registry.Version(1), query, c))
		}
	}
	want := p.Expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
}

// TestHighRows matches rows whose numbers need all 32 bits. The chunks before them are
// empty.
func TestHighRows(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, matcher.Version{Number: 1, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 300000, Steepness: 1e-5}})
	empty, err := p.tables.NewChunk(table.Kind{Origin: matcher.Faces})
	if err != nil {
		t.Fatal(err)
	}
	snap := *p.tables.Newest
	snap.Views[matcher.Faces] = slices.Repeat([]table.View{{Chunk: empty}}, table.ChunksMax-4)
	p.tables.Newest = &snap

	rng := rand.New(rand.NewPCG(1, 1))
	list := matcher.NewID()
	changes := []store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}}
	var ids []matcher.ID
	for i := range 4*64 - 1 {
		data := make([]byte, 8)
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		c := memorytest.Put(matcher.ID{0: byte(i), 1: 1}, 1, data)
		if i%50 == 3 { // so few that rows are tested one by one; bits for all rows would need 512 MiB
			c.Object.Lists = []matcher.ID{list}
		}
		changes = append(changes, c)
		ids = append(ids, c.Object.ID)
	}
	p.commit(t, changes...)
	p.commit(t, memorytest.Delete(ids[3]), memorytest.Delete(ids[64]), memorytest.Delete(ids[254]))
	if row, _ := p.tables.Rows[matcher.Faces].Find(ids[253]); row != table.ChunksMax<<16-1<<16+61 {
		t.Fatalf("the last row is %d", row)
	}
	if err := p.Admit([]store.Change{changes[1], changes[2]}); matcher.CodeOf(err) != matcher.CodeFull { // there is room for only one
		t.Fatalf("rows beyond 32 bits: %v", err)
	}
	query := make([]byte, 8)
	var subs []matcher.SubRequest
	for _, c := range []*matcher.Candidates{
		{Limit: 10},
		{Limit: 10, Filter: matcher.Filter{ListID: &list}},
		{Limit: 10, Filter: matcher.Filter{IDs: ids[250:]}},
		{Limit: 10, Filter: matcher.Filter{IDs: []matcher.ID{ids[253]}}},
	} {
		subs = append(subs, memorytest.Reference(p.options.Registry.Version(1), query, c))
	}
	p.check(t, subs, p.Expect(subs))
	p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
	p.check(t, subs, p.Expect(subs))
}

// TestManyReferences matches more references than can share a pass, and more rows than a
// strip has.
func TestManyReferences(t *testing.T) {
	w := newWorld(5)
	v := w.versions[3]
	m, err := New(Options{Registry: w.registry, Kernel: simd.Kernels()[0], Workers: 2, Cost: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	p := &pair{m, *memorytest.NewOracle(w.registry)}
	var changes []store.Change
	for range 3000 {
		changes = append(changes, memorytest.Put(w.newID(), v.Number, w.descriptor(v).Data))
	}
	p.commit(t, changes...)
	set := &matcher.Candidates{Limit: 3}
	var subs []matcher.SubRequest
	for range 2*m.scheduler.WaveMax() + 1 {
		subs = append(subs, memorytest.Reference(v, w.descriptor(v).Data, set))
	}
	want := p.Expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
}
