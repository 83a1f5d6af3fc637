package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/segment"
	"nearside/matcher/store"
	"nearside/simd"
)

// shortVersion is a version whose rows are so short that tests fill chunks quickly.
var shortVersion = matcher.Version{Number: 1, Length: 8, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}

// putShort returns puts of n faces with numbers from first.
func putShort(first, n int) (changes []store.Change) {
	for i := range n {
		c := memorytest.Put(matcher.NameID(strconv.Itoa(first+i)), 1, make([]byte, 8))
		c.Object.UserData = strconv.Itoa(first + i)
		changes = append(changes, c)
	}
	return changes
}

// TestLeftoversOfStoppedSealing checks what a sealing leaves that ends before it has
// written its manifest. The old segments can be read. A later sealing of the same process
// uses the new files. A sealing of another process first removes them.
func TestLeftoversOfStoppedSealing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	segments := 0
	p := newPair(t, Options{chunkRows: 64, sealStep: func(step string) {
		if step == "segment" {
			if segments++; segments == 5 { // the second file of the second sealing
				cancel()
			}
		}
	}}, shortVersion)
	dir := t.TempDir()
	p.commit(t, putShort(0, 150)...)
	seal(t, p.Memory, dir, "a")
	old := segmentFiles(t, dir)
	p.commit(t, putShort(150, 150)...)
	if err := p.Capture()(ctx, dir, []byte("b"), noLimit); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	left := segmentFiles(t, dir)
	if len(old) != 3 || len(left) != 4 {
		t.Fatalf("%v became %v, want one more file", old, left)
	}
	partial := filepath.Join(dir, matcher.NewID().String()+segment.Suffix) // of a process that was killed
	if err := os.WriteFile(partial, make([]byte, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	noRoom := func(int64) error { return full }
	restored := func(want string, records uint64) *Memory {
		t.Helper()
		m := newMemory(t, &world{registry: p.options.Registry}, simd.Kernels()[0], 1)
		if mark, err := m.Restore(t.Context(), dir, noProgress); err != nil || string(mark) != want || m.Records() != records {
			t.Fatal(string(mark), err, m.Records())
		}
		return m
	}

	// The process that has left a file uses it.
	if err := p.Capture()(t.Context(), dir, []byte("c"), noRoom); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if kept := segmentFiles(t, dir); !slices.Equal(kept, left) {
		t.Fatalf("%v and %s became %v", left, partial, kept)
	}
	other := restored("a", 150)
	copied := t.TempDir()
	copyDir(t, dir, copied)
	segments = 0
	seal(t, p.Memory, dir, "d")
	if segments != 2 { // chunks of 64 rows, 2 of 5 are not complete yet
		t.Errorf("%d segments were written, want 2", segments)
	}
	sameFaces(t, restored("d", 300), p.Faces)

	// Another process does not know the file, and removes it before it needs room.
	copyDir(t, copied, dir)
	if got := segmentFiles(t, dir); !slices.Equal(got, left) {
		t.Fatal(got)
	}
	if err := other.Capture()(t.Context(), dir, []byte("e"), noRoom); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if got := segmentFiles(t, dir); !slices.Equal(got, old) {
		t.Fatalf("%v became %v, want %v", left, got, old)
	}
	restored("a", 150)
}

// stoppable is a cache. The first sealing after armed is set writes one file, and then
// waits until the store stops. All later sealings fail, as if the time was over.
type stoppable struct {
	*Memory
	armed   bool
	sealing context.Context // of the sealing that waits
	waits   chan struct{}   // closed when it waits
}

func (c *stoppable) Capture() store.Seal {
	inner := c.Memory.Capture()
	return func(ctx context.Context, dir string, mark []byte, room func(int64) error) error {
		if c.sealing != nil {
			return context.DeadlineExceeded
		}
		if c.armed {
			c.sealing = ctx
		}
		return inner(ctx, dir, mark, room)
	}
}

// TestStopWhileSealing stops a store whose sealing has written one of several files. The
// next start must have everything, and its first sealing must leave no other files.
func TestStopWhileSealing(t *testing.T) {
	w := newWorld(31)
	for _, sealed := range []bool{false, true} { // whether there is an older manifest
		n := newNode(t, w)
		if sealed {
			n.start(t, false)
			n.write(t, 40)
			n.stop(t)
		}
		c := &stoppable{waits: make(chan struct{})}
		files := 0
		m, err := New(Options{Registry: w.registry, Kernel: simd.Kernels()[0], Workers: 1, chunkRows: 64, sealStep: func(step string) {
			if c.sealing == nil || step != "segment" {
				return
			}
			if files++; files == 2 {
				close(c.waits)
				<-c.sealing.Done()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		c.Memory = m
		x := &tee{Memory: m, Oracle: n.Oracle}
		warnings := 0
		s, err := store.Open(t.Context(), store.Options{Dir: n.dir, Applier: x, Cache: c, SealAfter: 500, Warn: func(string, ...any) { warnings++ }})
		if err != nil {
			t.Fatal(err)
		}
		x.live.Store(true)
		c.armed = true
		var lines []store.ImportLine
		for range 600 {
			face := w.face(nil, w.versions[3:4])
			face.ID, face.Account = w.newID(), matcher.ID{}
			lines = append(lines, store.ImportLine{Object: face})
		}
		for _, err := range s.Import(t.Context(), nil, lines) {
			if err != nil {
				t.Fatal(err)
			}
		}
		<-c.waits
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(n.dir, "segments")
		left := segmentFiles(t, dir)
		named, err := segment.Inspect(dir)
		if err != nil || len(left) != named.Files+1 || warnings != 1 {
			t.Fatalf("%v; %d files, the manifest names %d; %d warnings, want 1 about the time", err, len(left), named.Files, warnings)
		}
		n.start(t, sealed)
		n.stop(t) // seals
		if named, err := segment.Inspect(dir); err != nil || len(segmentFiles(t, dir)) != named.Files || named.Rows < 600 {
			t.Fatalf("%v; %d files, the manifest names %d with %d rows", err, len(segmentFiles(t, dir)), named.Files, named.Rows)
		}
		n.start(t, true)
		n.stop(t)
	}
}

// TestSealingDespiteOddFiles seals into a folder with a file that cannot be removed, and
// with a manifest whose checksum is right but whose contents are inconsistent. The segments
// must be written in both cases.
func TestSealingDespiteOddFiles(t *testing.T) {
	short := append([]byte("nearman\x01"), 0xff, 0xff, 0xff, 0x7f) // the mark is missing
	short = binary.LittleEndian.AppendUint32(short, crc32.Checksum(short, crc32.MakeTable(crc32.Castagnoli)))
	for name, write := range map[string]func(dir string) error{
		"a folder that is not empty": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "x"+segment.Suffix, "y"), 0o755)
		},
		"an inconsistent manifest": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, segment.ManifestName), short, 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, Options{chunkRows: 64}, shortVersion)
			dir := t.TempDir()
			if err := write(dir); err != nil {
				t.Fatal(err)
			}
			p.commit(t, putShort(0, 100)...)
			err := p.Capture()(t.Context(), dir, []byte("a"), noLimit)
			if odd, _ := os.Stat(filepath.Join(dir, "x"+segment.Suffix)); (err != nil) != (odd != nil) {
				t.Errorf("%v", err)
			}
			m := newMemory(t, &world{registry: p.options.Registry}, simd.Kernels()[0], 1)
			if mark, err := m.Restore(t.Context(), dir, noProgress); err != nil || string(mark) != "a" {
				t.Fatal(string(mark), err)
			}
			sameFaces(t, m, p.Faces)
		})
	}
}
