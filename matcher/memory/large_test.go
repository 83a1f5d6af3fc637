package memory

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// TestChunkBorders fills more than two chunks of full size with short rows,
// deletes and replaces some, and matches with filters whose rows are few, many,
// in runs and at the borders.
func TestChunkBorders(t *testing.T) {
	lengths := []int{1, 7, 32}
	if underRace {
		lengths = lengths[:1]
	}
	for _, length := range lengths {
		t.Run(strconv.Itoa(length), func(t *testing.T) { testChunkBorders(t, length) })
	}
}

func testChunkBorders(t *testing.T, length int) {
	const rows = 2*chunkRowsMax + 4321
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
		c := put(matcher.ID{0: byte(row >> 16), 1: byte(row >> 8), 2: byte(row), 3: byte(rng.Uint32())}, 1, data())
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
		if row%131 == 0 { // too few to be brought together
			c.Object.Lists = append(c.Object.Lists, some)
		}
		if at := row % chunkRowsMax; at < 3 || at > chunkRowsMax-3 {
			c.Object.Lists = append(c.Object.Lists, border)
		}
		slices.SortFunc(c.Object.Lists, matcher.ID.Compare)
		all = append(all, c)
	}
	p.commit(t, all...)
	var later []store.Change
	for row, c := range all { // too few in any chunk for compaction
		switch {
		case row%100 == 0 || row == chunkRowsMax-1 || row == chunkRowsMax:
			later = append(later, del(c.Object.ID))
		case row%1000 == 1:
			again := *c.Object
			again.Descriptors[matcher.FaceDescriptor].Data = data()
			later = append(later, store.Change{Kind: store.PutObject, Object: &again})
		}
	}
	p.commit(t, later...)
	if n := len(p.snap.tables[matcher.Faces]); n != 3 {
		t.Fatalf("%d chunks, want 3", n)
	}
	sets := []*matcher.Candidates{
		{Limit: 20},
		{Limit: 9, Threshold: 0.9},
		{Limit: 10, Filter: matcher.Filter{ListID: &some}},
		{Limit: 30, Filter: matcher.Filter{ListID: &border}},
		{Limit: 10, Filter: matcher.Filter{Age: matcher.Range[uint8]{LT: new(uint8(40))}}},
		{Limit: 10, Filter: matcher.Filter{Age: matcher.Range[uint8]{LT: new(uint8(2))}}, Threshold: 0.5, Order: matcher.ByTimeAsc},
		{Limit: 10, Filter: matcher.Filter{Gender: new(uint8(1))}, Order: matcher.ByTimeDesc, Threshold: 0.7},
		{Limit: 10, Filter: matcher.Filter{CreateTime: matcher.Range[matcher.Time]{GTE: new(matcher.Time(chunkRowsMax - 70)), LT: new(matcher.Time(chunkRowsMax + 70))}}},
		{Limit: 10, Filter: matcher.Filter{FaceIDs: []matcher.ID{all[chunkRowsMax-2].Object.ID, all[chunkRowsMax].Object.ID, all[2*chunkRowsMax].Object.ID}}},
	}
	var subs []matcher.SubRequest
	for range 2 {
		query := data()
		for _, c := range sets {
			subs = append(subs, reference(p.options.Registry.Version(1), query, c))
		}
	}
	want := p.expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
}

// TestHighRows matches rows whose numbers need all of 32 bits: the chunks
// before them are empty.
func TestHighRows(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, matcher.Version{Number: 1, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 300000, Steepness: 1e-5}})
	empty, err := newChunk(newLayout(matcher.Faces, nil), versions{}, 64, regions{newRegion, freeRegion})
	if err != nil {
		t.Fatal(err)
	}
	snap := *p.snap
	snap.tables[matcher.Faces] = slices.Repeat([]view{{chunk: empty}}, chunksMax-4)
	p.snap = &snap

	rng := rand.New(rand.NewPCG(1, 1))
	list := matcher.NewID()
	changes := []store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}}
	var ids []matcher.ID
	for i := range 4*64 - 1 {
		data := make([]byte, 8)
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		c := put(matcher.ID{0: byte(i), 1: 1}, 1, data)
		if i%50 == 3 { // so few that only they are looked at: bits for all rows need 512 MiB
			c.Object.Lists = []matcher.ID{list}
		}
		changes = append(changes, c)
		ids = append(ids, c.Object.ID)
	}
	p.commit(t, changes...)
	p.commit(t, del(ids[3]), del(ids[64]), del(ids[254]))
	if row := p.rows[matcher.Faces][ids[253]]; row != chunksMax<<16-1<<16+61 {
		t.Fatalf("the last row is %d", row)
	}
	if err := p.Admit([]store.Change{changes[1], changes[2]}); matcher.CodeOf(err) != matcher.CodeFull { // there is room for one
		t.Fatalf("rows beyond 32 bits: %v", err)
	}
	query := make([]byte, 8)
	var subs []matcher.SubRequest
	for _, c := range []*matcher.Candidates{
		{Limit: 10},
		{Limit: 10, Filter: matcher.Filter{ListID: &list}},
		{Limit: 10, Filter: matcher.Filter{FaceIDs: ids[250:]}},
		{Limit: 10, Filter: matcher.Filter{FaceIDs: []matcher.ID{ids[253]}}},
	} {
		subs = append(subs, reference(p.options.Registry.Version(1), query, c))
	}
	p.check(t, subs, p.expect(subs))
	p.compact(func(v *view) bool { return v.deaths > 0 })
	p.check(t, subs, p.expect(subs))
}

// TestManyProbes: more references than share a pass, and more rows than a task
// has.
func TestManyProbes(t *testing.T) {
	w := newWorld(5)
	v := w.versions[3]
	p := &pair{newMemory(t, w, simd.Kernels()[0], 2), oracle{registry: w.registry, faces: map[matcher.ID]*matcher.Object{}, lists: map[matcher.ID]bool{}}}
	p.options.chunkRows = chunkRowsMax
	var changes []store.Change
	for range 3000 {
		changes = append(changes, put(w.newID(), v.Number, w.descriptor(v).Data))
	}
	p.commit(t, changes...)
	set := &matcher.Candidates{Limit: 3}
	var subs []matcher.SubRequest
	for range 2*waveProbes + 1 {
		subs = append(subs, reference(v, w.descriptor(v).Data, set))
	}
	want := p.expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
}
