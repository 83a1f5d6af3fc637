package memory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/segment"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
	"nearside/simd"
)

// restoredFrom returns a Memory restored from dir. Its lists come from o, as they would
// come from the store.
func restoredFrom(t *testing.T, w *world, dir, mark string, o *memorytest.Oracle) *Memory {
	t.Helper()
	m := newMemory(t, w, simd.Kernels()[0], 2)
	got, err := m.Restore(t.Context(), dir, noProgress)
	if err != nil || string(got) != mark {
		t.Fatalf("mark %q, want %q: %v", got, mark, err)
	}
	if n := len(o.Faces) + len(o.ListIDs); m.Records() != uint64(n) {
		t.Fatalf("%d records, want %d", m.Records(), n)
	}
	var lists []store.Change
	for id := range o.ListIDs {
		lists = append(lists, store.Change{Kind: store.PutList, List: &matcher.List{ID: id}})
	}
	m.Apply(lists)
	return m
}

// sameFaces compares all fields and descriptors of all faces.
func sameFaces(t *testing.T, m *Memory, want map[matcher.ID]*matcher.Object) {
	t.Helper()
	if n := m.Stats().Rows[matcher.Faces]; n != len(want) {
		t.Fatalf("%d faces, want %d", n, len(want))
	}
	for id, x := range want {
		got, ok := m.Get(matcher.Faces, id, nil, true)
		if !ok {
			t.Fatalf("%s is missing", id)
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", *x) {
			t.Fatalf("%s:\n got %+v\nwant %+v", id, got, *x)
		}
	}
}

// TestSegmentsEqualBruteForce repeatedly seals and restores random histories of every
// encoding and length. A restored Memory must answer like brute force, and accept further
// commits.
func TestSegmentsEqualBruteForce(t *testing.T) {
	w := newWorld(5)
	for i := 0; i < len(w.versions); i += 3 {
		versions := w.versions[i : i+3]
		dir := t.TempDir()
		m := newMemory(t, w, simd.Kernels()[0], 2)
		o := memorytest.NewOracle(w.registry)
		for round := range 6 {
			for range w.IntN(15) {
				step(w, m, o, versions)
			}
			mark := fmt.Sprint("round ", round)
			seal(t, m, dir, mark)
			if w.IntN(3) == 0 {
				continue // so that the next sealing finds chunks that already have segments
			}
			m = restoredFrom(t, w, dir, mark, o)
			sameFaces(t, m, o.Faces)
			invariants(t, m)
			for range 3 {
				matchBoth(t, w, m, o, versions)
			}
		}
	}
}

// TestLongRecords tests records longer than a block of the arena, and a block that
// receives more records after a start.
func TestLongRecords(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, matcher.Version{Number: 1, Length: 1, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	dir := t.TempDir()
	m := p.Memory
	for i, n := range []int{10, 70_000, 0, 65_500, 100, 200_000, 5, 65_536} {
		c := memorytest.Put(matcher.NameID(strconv.Itoa(i)), 1, []byte{byte(i)})
		c.Object.UserData = strings.Repeat("x", n)
		p.ApplyChanges([]store.Change{c})
		m.Apply([]store.Change{c})
		seal(t, m, dir, "")
		m = newMemory(t, &world{registry: p.options.Registry}, simd.Kernels()[0], 1)
		if _, err := m.Restore(t.Context(), dir, noProgress); err != nil {
			t.Fatal(err)
		}
		sameFaces(t, m, p.Faces)
		invariants(t, m)
	}
}

// TestSegmentsKeepBounds checks that the bounds of coarse copies are restored, so that a
// scan of whole zones misses no row.
func TestSegmentsKeepBounds(t *testing.T) {
	p := newPair(t, Options{chunkRows: 4096}, matcher.Version{Number: 1, Encoding: matcher.Float32, Length: 16, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	w := newWorld(3)
	var changes []store.Change
	for i := range 3 * table.ZoneRows {
		row := make([]float32, 16)
		for j := range row {
			row[j] = float32(w.NormFloat64())
		}
		if i%50 == 49 {
			row[3] = 100 // more than the bytes can represent
		}
		changes = append(changes, memorytest.Put(w.newID(), 1, memorytest.PackFloats(row)))
	}
	p.commit(t, changes...)
	dir := t.TempDir()
	seal(t, p.Memory, dir, "")
	m := newPair(t, Options{chunkRows: 4096}, *p.options.Registry.Version(1))
	if _, err := m.Restore(t.Context(), dir, noProgress); err != nil {
		t.Fatal(err)
	}
	want, got := p.tables.Newest.Views[matcher.Faces][0].Slabs[0].Coarse, m.tables.Newest.Views[matcher.Faces][0].Slabs[0].Coarse
	if got.Step != want.Step {
		t.Errorf("step %v, want %v", got.Step, want.Step)
	}
	for zone := range 3 {
		gotError, gotNorm := got.Bounds(zone, 3*table.ZoneRows, 16)
		wantError, wantNorm := want.Bounds(zone, 3*table.ZoneRows, 16)
		if gotError != wantError || gotNorm != wantNorm || wantError == 0 {
			t.Errorf("zone %d: %v, %v; want %v, %v", zone, gotError, gotNorm, wantError, wantNorm)
		}
	}
	cuts := 0
	for i := range want.Cut {
		cuts += bits.OnesCount64(want.Cut[i].Load())
		if got.Cut[i].Load() != want.Cut[i].Load() {
			t.Fatalf("cut %d: %x, want %x", i, got.Cut[i].Load(), want.Cut[i].Load())
		}
	}
	if cuts == 0 {
		t.Error("no row is cut")
	}
	m.Oracle = p.Oracle
	var subs []matcher.SubRequest
	for i := range 20 {
		data := changes[i*49].Object.Descriptors[0].Data
		subs = append(subs, memorytest.Reference(m.options.Registry.Version(1), data, &matcher.Candidates{Limit: 1 + i}))
	}
	m.check(t, subs, m.Expect(subs))
}

// TestDamagedSegments flips bits in every section of every file, and truncates, removes
// and swaps files. Either the whole state is restored, or nothing is and an error names
// the file.
func TestDamagedSegments(t *testing.T) {
	w := newWorld(6)
	m := newMemory(t, w, simd.Kernels()[0], 1)
	o := memorytest.NewOracle(w.registry)
	for range 40 {
		step(w, m, o, []*matcher.Version{w.versions[0], w.versions[5], w.versions[8]})
	}
	for i := range 150 { // full chunks that differ only in their contents
		c := memorytest.Put(matcher.ID{1, byte(i)}, w.versions[3].Number, bytes.Repeat([]byte{byte(i)}, w.versions[3].Size()))
		o.ApplyChanges([]store.Change{c})
		m.Apply([]store.Change{c})
	}
	dir := t.TempDir()
	seal(t, m, dir, "mark")
	files := append(segmentFiles(t, dir), filepath.Join(dir, segment.ManifestName))
	if len(files) < 4 {
		t.Fatalf("only %d files", len(files))
	}
	contents := map[string][]byte{}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents[path] = b
	}
	refused := func(path, what string) {
		t.Helper()
		m := newMemory(t, w, simd.Kernels()[0], 2)
		_, err := m.Restore(t.Context(), dir, noProgress)
		if err == nil || !strings.Contains(err.Error(), path) || m.Records() != 0 || m.tables.Newest.Lists.Len() != 0 {
			t.Errorf("%s of %s: %v; %d records", what, path, err, m.Records())
		}
	}
	write := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range files {
		b := contents[path]
		for i, at := range offsets(w, b) {
			if testkit.RaceEnabled && i%8 > 0 {
				continue // each restore takes long
			}
			c := bytes.Clone(b)
			c[at] ^= 1 << w.IntN(8)
			write(path, c)
			refused(path, fmt.Sprintf("flip at %d of %d", at, len(b)))
		}
		for _, n := range []int{0, 1, 500, segment.HeaderBytes, len(b) - 1, w.IntN(len(b))} {
			if n < len(b) {
				write(path, b[:n])
				refused(path, fmt.Sprintf("cut to %d of %d", n, len(b)))
			}
		}
		if path != files[len(files)-1] { // without a manifest there are no segments
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			refused(path, "removal")
		}
		write(path, b)
	}
	for i, a := range files[:len(files)-1] {
		for _, b := range files[:i] {
			write(a, contents[b])
			write(b, contents[a])
			refused(dir, "exchange")
			write(a, contents[a])
			write(b, contents[b])
		}
	}
	sameFaces(t, restoredFrom(t, w, dir, "mark", o), o.Faces)
}

// offsets returns an offset in every section of a file, according to its header.
func offsets(w *world, b []byte) []int {
	all := []int{0, 3, 9, 30, len(b) - 1}
	if string(b[:len(segment.Magic)]) != segment.Magic {
		for range 40 {
			all = append(all, w.IntN(len(b)))
		}
		return all
	}
	// Before the sections: the ID, the number of rows, the layout, and two numbers for
	// each type of descriptor.
	h := b[len(segment.Magic)+16+4+4+8*int(matcher.DescriptorTypes):]
	sections := binary.LittleEndian.Uint32(h)
	at := segment.HeaderBytes
	for h = h[4:]; sections > 0; sections, h = sections-1, h[12:] {
		size := int(binary.LittleEndian.Uint64(h)) // followed by 4 bytes of checksum
		if size > 0 {
			all = append(all, at, at+w.IntN(size), at+size-1)
		}
		at += size
	}
	if at != len(b) {
		panic("the sections do not add up to the file")
	}
	return append(all, segment.HeaderBytes-200) // padding
}

// TestChangedVersions checks that segments of another configuration are refused.
func TestChangedVersions(t *testing.T) {
	v := matcher.Version{Number: 1000, Encoding: matcher.Float32, Length: 12, Metric: matcher.L2, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}
	p := newPair(t, Options{chunkRows: 64}, v)
	p.commit(t, memorytest.Put(matcher.ID{1}, 1000, make([]byte, 48)))
	dir := t.TempDir()
	seal(t, p.Memory, dir, "")
	try := func(want bool, what string, versions ...matcher.Version) {
		t.Helper()
		m := newPair(t, Options{chunkRows: 64}, versions...)
		if _, err := m.Restore(t.Context(), dir, noProgress); (err == nil) != want || !want && !strings.Contains(err.Error(), "version 1000") {
			t.Errorf("%s: %v", what, err)
		}
	}
	try(true, "the same", v)
	try(false, "none")
	c := v
	c.Similarity.Midpoint = 2
	try(true, "another calibration", c)
	c = v
	c.Metric = matcher.Cosine
	try(false, "another metric", c)
	c = v
	c.Length = 11
	try(false, "another length", c)
	c = v
	c.Exact = matcher.Plain
	try(false, "without a copy", c)
	c = v
	c.Type = matcher.BodyDescriptor
	try(false, "another type", c)
	c = v
	c.Encoding, c.Length, c.Scale = matcher.Uint8, 48, 1
	try(false, "another encoding", c)

	// Descriptors that fit no version are in no row, so sealing would lose them.
	p.commit(t, memorytest.Put(matcher.ID{2}, 77, make([]byte, 4)))
	if err := p.Capture()(t.Context(), dir, nil, noLimit); err == nil || !strings.Contains(err.Error(), "no version fits") {
		t.Errorf("sealing with a descriptor that fits no version: %v", err)
	}
}
