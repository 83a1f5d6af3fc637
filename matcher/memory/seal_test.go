package memory

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/segment"
	"nearside/matcher/store"
	"nearside/simd"
)

// noLimit is a disk that is never full.
func noLimit(int64) error { return nil }

// noProgress ignores the progress of a restoring.
func noProgress(uint64, uint64) {}

// seal writes the state of m to segments in dir.
func seal(t *testing.T, m *Memory, dir, mark string) {
	t.Helper()
	if err := m.Capture()(t.Context(), dir, []byte(mark), noLimit); err != nil {
		t.Fatal(err)
	}
}

// TestSealedChunksAreNotWrittenAgain checks that a second sealing writes only new rows
// and removes files that are no longer used.
func TestSealedChunksAreNotWrittenAgain(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, matcher.Version{Number: 1, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	dir := t.TempDir()
	put := func(from, n int) {
		for i := range n {
			p.commit(t, memorytest.Put(matcher.NameID(strconv.Itoa(from+i)), 1, make([]byte, 8)))
		}
	}
	put(0, 150) // two full chunks, and 22 rows in the third
	seal(t, p.Memory, dir, "a")
	before := segmentFiles(t, dir)
	put(150, 1)
	seal(t, p.Memory, dir, "b")
	after := segmentFiles(t, dir)
	same := 0
	for _, name := range after {
		if slices.Contains(before, name) {
			same++
		}
	}
	if len(before) != 3 || len(after) != 3 || same != 2 {
		t.Fatalf("%v became %v", before, after)
	}
	// Without disk space, nothing changes.
	put(151, 1)
	full := errors.New("full")
	err := p.Capture()(t.Context(), dir, []byte("c"), func(int64) error { return full })
	if !errors.Is(err, full) || !slices.Equal(segmentFiles(t, dir), after) {
		t.Fatalf("%v, %v", err, segmentFiles(t, dir))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Capture()(ctx, dir, []byte("c"), noLimit); err == nil || !slices.Equal(segmentFiles(t, dir), after) {
		t.Fatalf("%v, %v", err, segmentFiles(t, dir))
	}
	m := newMemory(t, &world{registry: p.options.Registry}, simd.Kernels()[0], 1)
	if mark, err := m.Restore(t.Context(), dir, noProgress); err != nil || string(mark) != "b" || m.Records() != 151 {
		t.Fatal(string(mark), err, m.Records())
	}
}

// TestDiskFillsWhileSealing checks that a sealing that fails because the disk is full
// keeps the previous segments and leaves no file of its own.
func TestDiskFillsWhileSealing(t *testing.T) {
	p := newPair(t, Options{}, matcher.Version{Number: 1, Length: 2048, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	dir := t.TempDir()
	p.commit(t, memorytest.Put(matcher.ID{1}, 1, make([]byte, 2048)))
	seal(t, p.Memory, dir, "a")
	before := segmentFiles(t, dir)
	var changes []store.Change
	for i := range segment.SyncBytes/2048 + 1 {
		changes = append(changes, memorytest.Put(matcher.NameID(strconv.Itoa(i)), 1, make([]byte, 2048)))
	}
	p.commit(t, changes...)
	full, asked := errors.New("full"), 0
	err := p.Capture()(t.Context(), dir, []byte("b"), func(int64) error {
		if asked++; asked > 1 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || !slices.Equal(segmentFiles(t, dir), before) {
		t.Fatalf("%v, %v", err, segmentFiles(t, dir))
	}
	seal(t, p.Memory, dir, "c")
	m, err := New(Options{Registry: p.options.Registry, Kernel: simd.Kernels()[0], Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if mark, err := m.Restore(t.Context(), dir, noProgress); err != nil || string(mark) != "c" || m.Records() != uint64(1+len(changes)) {
		t.Fatal(string(mark), err, m.Records())
	}
}

// TestSealingStops checks that a sealing that is stopped within a section writes no more
// than the piece in progress, keeps the previous segments and leaves no file of its own.
func TestSealingStops(t *testing.T) {
	p := newPair(t, Options{}, matcher.Version{Number: 1, Length: 2048, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	dir := t.TempDir()
	p.commit(t, memorytest.Put(matcher.ID{1}, 1, make([]byte, 2048)))
	seal(t, p.Memory, dir, "a")
	before := segmentFiles(t, dir)
	var changes []store.Change
	for i := range 3 * segment.SyncBytes / 2048 {
		changes = append(changes, memorytest.Put(matcher.NameID(strconv.Itoa(i)), 1, make([]byte, 2048)))
	}
	p.commit(t, changes...)
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	err := p.Capture()(ctx, dir, []byte("b"), func(int64) error {
		if asked++; asked > 1 { // after SyncBytes
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || asked != 2 || !slices.Equal(segmentFiles(t, dir), before) {
		t.Fatalf("%v, room was called %d times, want 2; files %v", err, asked, segmentFiles(t, dir))
	}
	m := newMemory(t, &world{registry: p.options.Registry}, simd.Kernels()[0], 1)
	if mark, err := m.Restore(t.Context(), dir, noProgress); err != nil || string(mark) != "a" || m.Records() != 1 {
		t.Fatal(string(mark), err, m.Records())
	}
}

// TestDrop checks that Drop removes all segments, and that the next sealing writes all
// rows.
func TestDrop(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, matcher.Version{Number: 1, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	dir := filepath.Join(t.TempDir(), "segments")
	for i := range 70 {
		p.commit(t, memorytest.Put(matcher.ID{1, byte(i)}, 1, make([]byte, 8)))
	}
	m := newMemory(t, &world{registry: p.options.Registry}, simd.Kernels()[0], 1)
	for range 2 {
		if err := p.Drop(dir); err != nil { // the first time, there are no segments
			t.Fatal(err)
		}
		if mark, err := m.Restore(t.Context(), dir, noProgress); mark != nil || err != nil || len(segmentFiles(t, dir)) > 0 {
			t.Fatal(mark, err, segmentFiles(t, dir))
		}
		seal(t, p.Memory, dir, "a")
	}
	if mark, err := m.Restore(t.Context(), dir, noProgress); string(mark) != "a" || err != nil || m.Records() != 70 {
		t.Fatal(string(mark), err, m.Records())
	}
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segment.Suffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestSealDuringWrites seals continuously while rows are written, deleted and compacted.
// The segments must show the state at the time of their capture.
func TestSealDuringWrites(t *testing.T) {
	w := newWorld(9)
	versions := []*matcher.Version{w.versions[3], w.versions[9], w.versions[10], w.versions[11]}
	m := newMemory(t, w, simd.Kernels()[0], 2)
	o := memorytest.NewOracle(w.registry)
	type job struct {
		seal  store.Seal
		state *memorytest.Oracle
	}
	jobs, enough := make(chan job), make(chan struct{})
	go func() {
		defer close(jobs)
		for {
			step(w, m, o, versions)
			j := job{m.Capture(), &memorytest.Oracle{Faces: maps.Clone(o.Faces), ListIDs: maps.Clone(o.ListIDs)}}
			select {
			case jobs <- j:
			case <-enough:
				return
			default: // the previous sealing is still running
			}
		}
	}()
	dir := t.TempDir()
	for range 25 {
		j := <-jobs
		if err := j.seal(t.Context(), dir, []byte("m"), noLimit); err != nil {
			t.Fatal(err)
		}
		sameFaces(t, restoredFrom(t, w, dir, "m", j.state), j.state.Faces)
	}
	close(enough)
	<-jobs
}

// TestInspectSegments checks that Inspect counts the segments and names missing or
// damaged files.
func TestInspectSegments(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, matcher.Version{Number: 1, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	dir := filepath.Join(t.TempDir(), "segments")
	for i := range 70 {
		p.commit(t, memorytest.Put(matcher.ID{1, byte(i)}, 1, make([]byte, 8)))
	}
	if s, err := segment.Inspect(dir); err != nil || s != (segment.Summary{}) {
		t.Fatal(s, err)
	}
	seal(t, p.Memory, dir, "a")
	if s, err := segment.Inspect(dir); err != nil || s.Files != 2 || s.Rows != 70 || s.Bytes < 70*(8+16) {
		t.Fatal(s, err)
	}
	lost := segmentFiles(t, dir)[1]
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	if _, err := segment.Inspect(dir); err == nil || !strings.Contains(err.Error(), lost) {
		t.Error(err)
	}
	name := filepath.Join(dir, segment.ManifestName)
	if err := os.WriteFile(name, []byte("not a manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := segment.Inspect(dir); err == nil || !strings.Contains(err.Error(), name) {
		t.Error(err)
	}
}
