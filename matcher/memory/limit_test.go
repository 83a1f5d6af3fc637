package memory

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// TestMemoryLimit checks that puts beyond the limit are refused, and that deletes make
// room again.
func TestMemoryLimit(t *testing.T) {
	p := newPair(t, Options{BytesMax: 20_000, chunkRows: 64}, memorytest.Version3())
	put, all := 0, memorytest.Rows3(0, 1000)
	for ; put < len(all); put++ {
		if err := p.Admit(all[put : put+1]); err != nil {
			if matcher.CodeOf(err) != matcher.CodeFull || !strings.Contains(err.Error(), "limits.memory: ") {
				t.Fatal(err)
			}
			break
		}
		p.Apply(all[put : put+1])
	}
	if p.Stats().Bytes > 20_000 || p.Stats().Bytes < 19_500 || p.Stats().Rows[matcher.Faces] != put {
		t.Fatalf("full with %+v after %d rows", p.Stats(), put)
	}
	invariants(t, p.Memory)
	if err := p.Admit([]store.Change{memorytest.Delete(all[0].Object.ID)}); err != nil {
		t.Fatalf("a delete was refused: %v", err)
	}
	for _, c := range all[:20] {
		p.Apply([]store.Change{memorytest.Delete(c.Object.ID)})
	}
	before := p.Stats().Bytes
	if err := p.Admit(all[put : put+10]); err != nil { // about half of what was deleted
		t.Fatal(err)
	}
	if after := p.Stats().Bytes; after >= before {
		t.Errorf("%d bytes before, %d after: nothing was reclaimed", before, after)
	}
	p.Apply(all[put : put+10])
	invariants(t, p.Memory)
	if rows := p.Stats().Rows[matcher.Faces]; rows != put-20+10 || p.Stats().Bytes > 20_000 {
		t.Errorf("%+v, want %d rows", p.Stats(), put-10)
	}
	p.SetBytesMax(30_000)
	if err := p.Admit(all[put+10 : put+40]); err != nil {
		t.Errorf("the limit was raised: %v", err)
	}
	p.SetBytesMax(0)
	if err := p.Admit(all); err != nil {
		t.Errorf("there is no limit: %v", err)
	}
}

// TestReclaimRewritesWorstChunk checks that chunks are rewritten only if that makes
// enough room, the chunk with the most dead rows first, and no more chunks than needed.
func TestReclaimRewritesWorstChunk(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	all := memorytest.Rows3(0, 3*64)
	p.commit(t, all...)
	for i := range 50 {
		p.commit(t, memorytest.Delete(all[64+i].Object.ID)) // most rows of the second chunk
	}
	p.commit(t, memorytest.Delete(all[0].Object.ID), memorytest.Delete(all[128].Object.ID))
	views := p.tables.Newest.Views[matcher.Faces]
	first, third := views[0].Chunk, views[2].Chunk
	p.SetBytesMax(p.Stats().Bytes)
	if err := p.Admit(memorytest.Rows3(1000, 100)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatal(err)
	}
	if now := p.tables.Newest.Views[matcher.Faces]; &now[0] != &views[0] {
		t.Error("chunks were rewritten for a write that was refused anyway")
	}
	if err := p.Admit(memorytest.Rows3(1000, 1)); err != nil {
		t.Fatal(err)
	}
	now := p.tables.Newest.Views[matcher.Faces]
	if now[0].Chunk != first || now[2].Chunk != third || now[1].Deaths > 0 {
		t.Error("want only the second chunk rewritten, which has the most dead rows")
	}
	invariants(t, p.Memory)
}

// failing simulates running out of memory.
type failing struct{ now bool }

func (f *failing) regions() table.Regions {
	mapped := table.MappedRegions()
	return table.Regions{Allocate: func(size int, huge bool) ([]byte, error) {
		if f.now {
			return nil, errors.New("no memory")
		}
		return mapped.Allocate(size, huge)
	}, Free: mapped.Free}
}

// TestNoMemory checks that a write is refused if no memory can be mapped for it. An
// admitted write must get its memory, even if the next write moves rows to free memory
// and is then refused.
func TestNoMemory(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 60)...)
	memory.now = true
	p.commit(t, memorytest.Rows3(60, 4)...) // there is room
	if err := p.Admit(memorytest.Rows3(64, 1)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatalf("admitted: %v", err)
	}
	invariants(t, p.Memory)
	memory.now = false

	for i := range 30 {
		p.commit(t, memorytest.Delete(memorytest.Rows3(i, 1)[0].Object.ID))
	}
	p.SetBytesMax(p.Stats().Bytes + 1000)
	a := memorytest.Rows3(100, 4)
	if err := p.Admit(a); err != nil {
		t.Fatal(err)
	}
	if err := p.Admit(append(a, memorytest.Rows3(200, 25)...)); err != nil { // forces a compaction
		t.Fatal(err)
	}
	if p.tables.DeadBytes.Load() != 0 {
		t.Fatal("nothing was compacted")
	}
	if err := p.Admit(append(a, memorytest.Rows3(300, 1000)...)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatal(err)
	}
	memory.now = true
	p.Apply(append(a, memorytest.Rows3(200, 25)...))
	if rows := p.Stats().Rows[matcher.Faces]; rows != 34+29 {
		t.Errorf("%d rows", rows)
	}
	invariants(t, p.Memory)
}

// TestPromise checks that chunks mapped for admitted writes are not used to compact other
// chunks.
func TestPromise(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 64)...)
	for i := range 40 {
		p.commit(t, memorytest.Delete(memorytest.Rows3(i, 1)[0].Object.ID))
	}
	a := memorytest.Rows3(100, 50)
	if err := p.Admit(a); err != nil { // needs a new chunk, which has room for 64 rows
		t.Fatal(err)
	}
	memory.now = true
	p.SetBytesMax(p.Stats().Bytes + 5000) // too little, but enough without the dead rows
	if err := p.Admit(append(a, memorytest.Rows3(200, 1)...)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatal(err)
	}
	p.Apply(a)
	if rows := p.Stats().Rows[matcher.Faces]; rows != 24+50 {
		t.Errorf("%d rows", rows)
	}
	invariants(t, p.Memory)
}

// TestHold checks that changes that are being written keep their memory until they are
// applied or dropped, and that they count in addition to the changes after them.
func TestHold(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 64)...)
	for i := range 15 {
		p.commit(t, memorytest.Delete(memorytest.Rows3(i, 1)[0].Object.ID))
	}
	admit := func(changes []store.Change, fits bool) {
		t.Helper()
		if err := p.Admit(changes); fits && err != nil || !fits && matcher.CodeOf(err) != matcher.CodeFull {
			t.Fatalf("error %v; the changes fit: %v", err, fits)
		}
	}
	a, b := memorytest.Rows3(100, 50), memorytest.Rows3(200, 14)
	admit(a, true)
	p.Hold()
	memory.now = true
	admit(memorytest.Rows3(300, 15), false) // the chunk of a has room for 14
	admit(b, true)
	p.Hold()
	p.Apply(a)
	views := p.tables.Newest.Views[matcher.Faces]
	p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
	if now := p.tables.Newest.Views[matcher.Faces]; &now[0] != &views[0] {
		t.Error("a chunk was rewritten into the memory of b")
	}
	p.Apply(b)
	if rows := p.Stats().Rows[matcher.Faces]; rows != 64-15+50+14 {
		t.Errorf("%d rows", rows)
	}
	invariants(t, p.Memory)

	memory.now = false
	p.SetBytesMax(p.Stats().Bytes + 5000)
	c, d := memorytest.Rows3(400, 30), memorytest.Rows3(500, 30)
	admit(d, true)
	admit(c, true)
	p.Hold()
	admit(d, false)
	p.Withdraw()
	admit(d, true)
	p.Apply(d)
	invariants(t, p.Memory)
}

// TestOrderingKeepsPromises checks that a chunk mapped for changes that are being written is
// not used to order a full chunk.
func TestOrderingKeepsPromises(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, memorytest.Version3())
	full := mixture(rand.New(rand.NewPCG(1, 2)), p.makeLists(t, 3), 64)
	p.commit(t, full...)
	for _, c := range full[:54] {
		p.commit(t, memorytest.Delete(c.Object.ID))
	}
	a, b := memorytest.Rows3(100, 63), memorytest.Rows3(200, 54)
	for _, changes := range [][]store.Change{a, b} {
		if err := p.Admit(changes); err != nil {
			t.Fatal(err)
		}
		p.Hold()
	}
	memory.now = true
	p.Apply(a) // the next chunk has room for one row of b, and another chunk was mapped for the rest
	p.Apply(b)
	if rows := p.Stats().Rows[matcher.Faces]; rows != 10+63+54 {
		t.Errorf("%d rows", rows)
	}
	invariants(t, p.Memory)
}

// TestCompactWithoutMemory checks that a compaction that gets no memory changes nothing,
// and succeeds later.
func TestCompactWithoutMemory(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 130)...)
	p.commit(t, memorytest.Delete(memorytest.Rows3(1, 1)[0].Object.ID), memorytest.Delete(memorytest.Rows3(129, 1)[0].Object.ID))
	memory.now = true
	open, views := maps.Clone(p.tables.Open), p.tables.Newest.Views[matcher.Faces]
	p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 && v.Rows == 64 })
	p.tables.Compact(func(v *table.View) bool { return v.Rows == 64 }) // more rows than fit into the open chunk
	p.tables.Compact(func(v *table.View) bool { return v.Rows == 2 })
	same := func(a, b table.View) bool { return a.Chunk == b.Chunk && a.Rows == b.Rows }
	if now := p.tables.Newest.Views[matcher.Faces]; !slices.EqualFunc(now, views, same) || !maps.Equal(open, p.tables.Open) {
		t.Error("something changed")
	}
	p.commit(t, memorytest.Rows3(130, 20)...) // the open chunk is still open
	invariants(t, p.Memory)
	memory.now = false
	p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
	if p.tables.DeadBytes.Load() != 0 {
		t.Error("dead rows are left")
	}
	invariants(t, p.Memory)
}

// TestMisfits checks that descriptors of an unknown version or a wrong length are
// counted, and that their objects are stored without them.
func TestMisfits(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3(),
		matcher.Version{Number: 2, Type: matcher.BodyDescriptor, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	if n := p.Misfits(); len(n) != 0 {
		t.Errorf("misfits before any write: %v", n)
	}
	id := func(n byte) matcher.ID { return matcher.ID{n} }
	changes := []store.Change{
		memorytest.Put(id(1), 1, []byte{1, 2, 3}),
		memorytest.Put(id(2), 77, []byte{1, 2, 3}), // unknown version
		memorytest.Put(id(3), 77, nil),
		memorytest.Put(id(4), 1, []byte{1, 2}),    // too short
		memorytest.Put(id(5), 2, []byte{1, 2, 3}), // the version is for bodies, but this is a face
		memorytest.Put(id(6), 0, nil),             // no descriptor
	}
	p.Apply(changes)
	if got, want := p.Misfits(), map[uint32]int{77: 2, 1: 1, 2: 1}; !maps.Equal(got, want) {
		t.Errorf("misfits %v, want %v", got, want)
	}
	for i := range changes {
		obj, ok := p.Get(matcher.Faces, id(byte(i+1)), nil, true)
		d := obj.Descriptor(matcher.FaceDescriptor)
		if !ok || d.IsZero() != (i > 0) {
			t.Errorf("face %d: %v, %+v", i+1, ok, obj)
		}
	}
	r := p.Match(t.Context(), []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(1), []byte{1, 2, 3}, &matcher.Candidates{Limit: 9})})[0]
	if len(r.Matches) != 1 || r.Scan.RowsSelected != 6 || r.Scan.RowsOtherVersion != 5 {
		t.Errorf("%d matches, %+v", len(r.Matches), r.Scan)
	}
	invariants(t, p.Memory)
}

// TestTwoDescriptors checks that a chunk of events with a face and a body has room for
// the columns of both descriptors, and that each event is found by each of its
// descriptors.
func TestTwoDescriptors(t *testing.T) {
	similarity := matcher.Calibration{Midpoint: 1, Steepness: 1}
	float := matcher.Version{Length: 3, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: similarity}
	face, body := float, float
	face.Number, body.Number, body.Type = 1, 2, matcher.BodyDescriptor
	p := newPair(t, Options{chunkRows: 4096}, face, body)
	var changes []store.Change
	for i := range 200 {
		o := &matcher.Object{Origin: matcher.Events, ID: matcher.ID{byte(i)}}
		o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: memorytest.PackFloats([]float32{1, float32(i), 0})}
		if i%2 == 0 {
			o.Descriptors[matcher.BodyDescriptor] = matcher.Descriptor{Version: 2, Data: memorytest.PackFloats([]float32{0, 1, float32(i)})}
		}
		changes = append(changes, store.Change{Kind: store.PutObject, Object: o})
	}
	p.commit(t, changes...)
	invariants(t, p.Memory)
	set := &matcher.Candidates{Origin: matcher.Events, Limit: 1}
	for i, c := range changes {
		for n, d := range c.Object.Descriptors {
			if d.IsZero() {
				continue
			}
			r := p.Match(t.Context(), []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(d.Version), d.Data, set)})[0]
			if r.Err != nil || len(r.Matches) != 1 || r.Matches[0].ID != c.Object.ID || r.Scan.RowsScanned != 200/(1+n) {
				t.Fatalf("event %d, descriptor %d: %+v", i, n, r)
			}
		}
	}
}

// TestShortOfMemory checks that, while the process is short of memory, deleted rows are
// dropped long before a chunk would be rewritten otherwise, and writes are refused.
func TestShortOfMemory(t *testing.T) {
	tight := false
	p := newPair(t, Options{
		chunkRows: 4096, Tight: func() bool { return tight },
		Refuse: func() error {
			if tight {
				return matcher.Errorf(matcher.CodeFull, "limits.process_memory")
			}
			return nil
		},
	}, memorytest.Version3())
	all := memorytest.Rows3(0, 4000)
	p.commit(t, all...)
	deletes := func(from, to int) {
		for _, c := range all[from:to] {
			p.commit(t, memorytest.Delete(c.Object.ID))
		}
	}
	deletes(0, 300)
	if p.tables.DeadBytes.Load() == 0 {
		t.Fatal("the chunk was rewritten for 300 of 4000 rows")
	}
	tight = true
	if err := p.Admit(memorytest.Rows3(5000, 1)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Errorf("a put while it is tight: %v", err)
	}
	deletes(300, 301)
	if n := p.tables.DeadBytes.Load(); n != 0 {
		t.Errorf("%d bytes of deleted rows are left", n)
	}
	invariants(t, p.Memory)
}
