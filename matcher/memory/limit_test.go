package memory

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
)

// bytes3 are the versions of the tests below.
func bytes3() matcher.Version {
	return matcher.Version{Number: 1, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}
}

// rows3 makes n faces, numbered from first.
func rows3(first, n int) []store.Change {
	var changes []store.Change
	for i := first; i < first+n; i++ {
		c := put(matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, 1, []byte{byte(i), byte(i >> 8), 7})
		c.Object.UserData = strings.Repeat("u", i%50)
		changes = append(changes, c)
	}
	return changes
}

// TestMemoryLimit: puts are refused beyond the limit, and what was deleted
// makes room again.
func TestMemoryLimit(t *testing.T) {
	p := newPair(t, Options{BytesMax: 20_000, chunkRows: 64}, bytes3())
	put, all := 0, rows3(0, 1000)
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
	if err := p.Admit([]store.Change{del(all[0].Object.ID)}); err != nil {
		t.Fatalf("a delete was refused: %v", err)
	}
	for _, c := range all[:20] {
		p.Apply([]store.Change{del(c.Object.ID)})
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

// TestReclaimOnlyWhatHelps: chunks are rewritten when that makes room, the
// worst first, and no more of them than needed.
func TestReclaimOnlyWhatHelps(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, bytes3())
	all := rows3(0, 3*64)
	p.commit(t, all...)
	for i := range 50 {
		p.commit(t, del(all[64+i].Object.ID)) // most of the second chunk
	}
	p.commit(t, del(all[0].Object.ID), del(all[128].Object.ID))
	table := p.snap.tables[matcher.Faces]
	first, third := table[0].chunk, table[2].chunk
	p.SetBytesMax(p.Stats().Bytes)
	if err := p.Admit(rows3(1000, 100)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatal(err)
	}
	if now := p.snap.tables[matcher.Faces]; &now[0] != &table[0] {
		t.Error("chunks were rewritten for a write that is refused all the same")
	}
	if err := p.Admit(rows3(1000, 1)); err != nil {
		t.Fatal(err)
	}
	now := p.snap.tables[matcher.Faces]
	if now[0].chunk != first || now[2].chunk != third || now[1].deaths > 0 {
		t.Error("not the worst chunk was rewritten, or not it alone")
	}
	invariants(t, p.Memory)
}

// failing lets memory run out.
type failing struct{ now bool }

func (f *failing) regions() regions {
	return regions{func(size int, huge bool) ([]byte, error) {
		if f.now {
			return nil, errors.New("no memory")
		}
		return newRegion(size, huge)
	}, freeRegion}
}

// TestNoMemory: a write for which nothing can be mapped is refused, and what
// was admitted finds its memory, even when the next write is refused after it
// made memory move its rows.
func TestNoMemory(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, bytes3())
	p.commit(t, rows3(0, 60)...)
	memory.now = true
	p.commit(t, rows3(60, 4)...) // there is room
	if err := p.Admit(rows3(64, 1)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatalf("admitted: %v", err)
	}
	invariants(t, p.Memory)
	memory.now = false

	for i := range 30 {
		p.commit(t, del(rows3(i, 1)[0].Object.ID))
	}
	p.SetBytesMax(p.Stats().Bytes + 1000)
	a := rows3(100, 4)
	if err := p.Admit(a); err != nil {
		t.Fatal(err)
	}
	if err := p.Admit(append(a, rows3(200, 25)...)); err != nil { // makes it compact
		t.Fatal(err)
	}
	if p.deadBytes.Load() != 0 {
		t.Fatal("nothing was compacted")
	}
	if err := p.Admit(append(a, rows3(300, 1000)...)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatal(err)
	}
	memory.now = true
	p.Apply(append(a, rows3(200, 25)...))
	if rows := p.Stats().Rows[matcher.Faces]; rows != 34+29 {
		t.Errorf("%d rows", rows)
	}
	invariants(t, p.Memory)
}

// TestPromise: chunks that were mapped for what was admitted are not used to
// compact others.
func TestPromise(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, bytes3())
	p.commit(t, rows3(0, 64)...)
	for i := range 40 {
		p.commit(t, del(rows3(i, 1)[0].Object.ID))
	}
	a := rows3(100, 50)
	if err := p.Admit(a); err != nil { // needs a chunk, which has room for 64
		t.Fatal(err)
	}
	memory.now = true
	p.SetBytesMax(p.Stats().Bytes + 5000) // too little, and enough without the dead rows
	if err := p.Admit(append(a, rows3(200, 1)...)); matcher.CodeOf(err) != matcher.CodeFull {
		t.Fatal(err)
	}
	p.Apply(a)
	if rows := p.Stats().Rows[matcher.Faces]; rows != 24+50 {
		t.Errorf("%d rows", rows)
	}
	invariants(t, p.Memory)
}

// TestCompactWithoutMemory: compaction that gets no memory leaves all as it
// was, and is done later.
func TestCompactWithoutMemory(t *testing.T) {
	var memory failing
	p := newPair(t, Options{chunkRows: 64, regions: memory.regions()}, bytes3())
	p.commit(t, rows3(0, 130)...)
	p.commit(t, del(rows3(1, 1)[0].Object.ID), del(rows3(129, 1)[0].Object.ID))
	memory.now = true
	open, table := maps.Clone(p.open), p.snap.tables[matcher.Faces]
	p.compact(func(v *view) bool { return v.deaths > 0 && v.n == 64 })
	p.compact(func(v *view) bool { return v.n == 64 }) // more than there is room for
	p.compact(func(v *view) bool { return v.n == 2 })
	same := func(a, b view) bool { return a.chunk == b.chunk && a.n == b.n }
	if now := p.snap.tables[matcher.Faces]; !slices.EqualFunc(now, table, same) || !maps.Equal(open, p.open) {
		t.Error("something changed")
	}
	p.commit(t, rows3(130, 20)...) // the open chunk is still open
	invariants(t, p.Memory)
	memory.now = false
	p.compact(func(v *view) bool { return v.deaths > 0 })
	if p.deadBytes.Load() != 0 {
		t.Error("dead rows are left")
	}
	invariants(t, p.Memory)
}

// TestMisfits: descriptors that the registry does not know, or knows
// otherwise, are counted, and their objects are there without them.
func TestMisfits(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, bytes3(),
		matcher.Version{Number: 2, Type: matcher.BodyDescriptor, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	if n := p.Misfits(); len(n) != 0 {
		t.Errorf("misfits of nothing: %v", n)
	}
	id := func(n byte) matcher.ID { return matcher.ID{n} }
	changes := []store.Change{
		put(id(1), 1, []byte{1, 2, 3}),
		put(id(2), 77, []byte{1, 2, 3}), // unknown
		put(id(3), 77, nil),
		put(id(4), 1, []byte{1, 2}),    // short
		put(id(5), 2, []byte{1, 2, 3}), // a body's, as that of a face
		put(id(6), 0, nil),             // none
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
	r := p.Match(t.Context(), []matcher.SubRequest{reference(p.options.Registry.Version(1), []byte{1, 2, 3}, &matcher.Candidates{Limit: 9})})[0]
	if len(r.Matches) != 1 || r.Scan.RowsSelected != 6 || r.Scan.RowsOtherVersion != 5 {
		t.Errorf("%d matches, %+v", len(r.Matches), r.Scan)
	}
	invariants(t, p.Memory)
}

// TestTwoDescriptors: an event has a face and a body; the columns of both find
// room whatever they are.
func TestTwoDescriptors(t *testing.T) {
	similarity := matcher.Calibration{Midpoint: 1, Steepness: 1}
	float := matcher.Version{Length: 3, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: similarity}
	face, body := float, float
	face.Number, body.Number, body.Type = 1, 2, matcher.BodyDescriptor
	p := newPair(t, Options{chunkRows: 4096}, face, body)
	var changes []store.Change
	for i := range 200 {
		o := &matcher.Object{Origin: matcher.Events, ID: matcher.ID{byte(i)}}
		o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: pack([]float32{1, float32(i), 0})}
		if i%2 == 0 {
			o.Descriptors[matcher.BodyDescriptor] = matcher.Descriptor{Version: 2, Data: pack([]float32{0, 1, float32(i)})}
		}
		changes = append(changes, store.Change{Kind: store.PutObject, Object: o})
	}
	p.commit(t, changes...)
	invariants(t, p.Memory)
	selection, err := p.selection(t.Context(), matcher.Events, &matcher.Filter{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	faces, bodies := newJob(selection, p.options.Registry.Version(1)), newJob(selection, p.options.Registry.Version(2))
	for i := range bodies.strips {
		if faces.same(bodies, &bodies.strips[i]) != nil {
			t.Error("faces are compared with bodies")
		}
	}
	set := &matcher.Candidates{Origin: matcher.Events, Limit: 1}
	for i, c := range changes {
		for n, d := range c.Object.Descriptors {
			if d.IsZero() {
				continue
			}
			r := p.Match(t.Context(), []matcher.SubRequest{reference(p.options.Registry.Version(d.Version), d.Data, set)})[0]
			if r.Err != nil || len(r.Matches) != 1 || r.Matches[0].ID != c.Object.ID || r.Scan.RowsScanned != 200/(1+n) {
				t.Fatalf("event %d, descriptor %d: %+v", i, n, r)
			}
		}
	}
}
