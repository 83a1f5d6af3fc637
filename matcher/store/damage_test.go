package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	fs2 "io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// killedDir returns a file system with a data directory /data as a killed process
// leaves it: with flushed and ingested tables, a manifest with some edits, and a log
// that was not closed. want is the state of the data, previous the state before the
// last commit, and c a cache that was sealed before the last third of the writes.
func killedDir(t *testing.T) (fs *vfs.MemFS, want, previous *model, c *modelCache) {
	t.Helper()
	live := smallDisk(vfs.NewCrashableMem())
	s, m := openCached(t, Options{Dir: "/data", fs: live, tableBytes: 10_000})
	rng := seeded()
	for n := range 3 {
		testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100 + n)}))
	}
	for round := range 3 {
		testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(rng, 20+10*round, 30, id(103+round)))...)) // written as a table
		for n := range 20 {
			_, err := s.PutObject(ctx, nil, face(rng, id(rng.IntN(40)), id(100+n%3)))
			testkit.Check(t, err)
		}
		testkit.Check(t, s.DeleteList(ctx, nil, id(100+round), nil))
		testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100 + round), UserData: "again"}))
		if round < 2 {
			testkit.Check(t, s.db.Flush())
			sealNow(t, s)
		}
	}
	if n := s.db.Metrics().Ingest.Count; n != 3 {
		t.Fatalf("%d tables were ingested, want 3", n)
	}
	previous = m.clone()
	testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(1000))))
	killed := live.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}) // a consistent snapshot, although Pebble continues to write
	return smallDisk(killed), m.clone(), previous, m.copyOf()
}

// facesOf returns import lines for n new faces in a list.
func facesOf(rng *rand.Rand, from, n int, list matcher.ID) []ImportLine {
	lines := make([]ImportLine, n)
	for i := range lines {
		lines[i] = ImportLine{Object: face(rng, id(from+i)), AddList: list}
	}
	return lines
}

func (m *model) clone() *model {
	return &model{objects: maps.Clone(m.objects), lists: maps.Clone(m.lists)}
}

func cloneFS(t *testing.T, from vfs.FS) *vfs.MemFS {
	t.Helper()
	to := smallDisk(vfs.NewMem())
	ok, err := vfs.Clone(from, to, "/data", "/data")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return to
}

// filesOf returns the contents of all files except LOCK.
func filesOf(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, dir := range []string{"/data", "/data/pebble"} {
		names, err := fs.List(dir)
		if errors.Is(err, fs2.ErrNotExist) {
			continue
		}
		testkit.Check(t, err)
		for _, name := range names {
			if name == nameLock || path.Join(dir, name) == "/data/pebble" {
				continue
			}
			f, err := fs.Open(path.Join(dir, name))
			testkit.Check(t, err)
			b, err := io.ReadAll(f)
			testkit.Check(t, errors.Join(err, f.Close()))
			files[path.Join(dir, name)] = b
		}
	}
	return files
}

func hashOf(t *testing.T, fs vfs.FS) string {
	t.Helper()
	h := sha256.New()
	files := filesOf(t, fs)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n%s\n", name, len(files[name]), files[name])
	}
	return string(h.Sum(nil))
}

func setFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	testkit.Check(t, err)
	_, err = f.Write(slices.Clone(b))
	testkit.Check(t, errors.Join(err, f.Sync(), f.Close()))
}

// tryOpen opens a directory that may be damaged, first without its cache and then, if
// c is not nil, with it. Both times either the data must equal want, or the error must
// be clear and nothing changed. With the cache, the error may also come from the
// verification after the start, and then the data must equal want, too. tryOpen reports
// whether both succeeded. Messages of the test describe the damage with what.
func tryOpen(t *testing.T, what string, fs vfs.FS, want *model, c *modelCache) (opened bool) {
	t.Helper()
	opened = tryOpenOnce(t, what, cloneFS(t, fs), want, nil)
	if c == nil {
		return opened
	}
	if tryOpenOnce(t, what+", with segments", fs, want, c.copyOf()) != opened {
		t.Errorf("%s: opened without segments: %v, with segments: %v; want the same", what, opened, !opened)
	}
	return opened
}

func tryOpenOnce(t *testing.T, what string, fs vfs.FS, want *model, c *modelCache) (opened bool) {
	t.Helper()
	before := hashOf(t, fs)
	m := newModel()
	o := Options{Dir: "/data", Applier: m, fs: fs}
	if c != nil {
		c.model, o.Cache = m, c
	}
	s, err := Open(ctx, o)
	if err != nil {
		parts := []string{"/data", "damaged", "nothing was changed", "restore"}
		if strings.Contains(what, "FORMAT") && strings.Contains(err.Error(), "newer") {
			parts = []string{"/data", "nothing was changed"} // a flipped bit changed the format number
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error does not contain %q: %v", what, part, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has more than one line: %v", what, err)
		}
		if hashOf(t, fs) != before {
			t.Errorf("%s: Open failed, but changed the directory: %v", what, err)
		}
		return false
	}
	defer s.Close()
	t.Run(what, func(t *testing.T) { m.equal(t, want) })
	if s.verifier == nil {
		return true
	}
	<-s.verifier.ended
	if s.Err() == nil {
		return true
	}
	for _, part := range []string{"/data", "damaged", "export"} {
		if !strings.Contains(s.Err().Error(), part) {
			t.Errorf("%s: the error does not contain %q: %v", what, part, s.Err())
		}
	}
	closePoisoned(t, s)
	return false
}

// closePoisoned closes the database of a store that a verifier has poisoned. The store
// itself leaves it open, because it cannot know whether Pebble was halted.
func closePoisoned(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); !errors.Is(err, s.Err()) {
		t.Errorf("Close returned %v, want the fault %v", err, s.Err())
	}
	<-s.writerEnded
	s.tasks.Wait()
	testkit.Check(t, errors.Join(s.db.Close(), s.committed.Close(), s.lock.Close()))
	openDirs.Delete(s.opts.Dir)
}

func TestDamageIsFoundAndNothingIsChanged(t *testing.T) {
	noLeaks(t)
	base, want, _, c := killedDir(t)
	if !tryOpen(t, "undamaged", cloneFS(t, base), want, c) {
		t.Fatal("the undamaged directory cannot be opened")
	}
	s, warnings, err := c.copyOf().open(Options{Dir: "/data", fs: cloneFS(t, base)})
	testkit.Check(t, err)
	if !s.sealer.current {
		t.Fatalf("the undamaged segments were not used: %q", warnings)
	}
	testkit.Check(t, s.Close())
	rng := rand.New(rand.NewPCG(3, 4))
	tally := map[string][2]int{}
	damage := func(kind, name, how string, c *modelCache, change func(fs vfs.FS)) {
		fs := cloneFS(t, base)
		change(fs)
		n := tally[kind]
		if tryOpen(t, how+" of "+path.Base(name), fs, want, c) {
			n[0]++
		} else {
			n[1]++
		}
		tally[kind] = n
	}
	files := filesOf(t, base)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b := files[name]
		kind := strings.TrimLeft(path.Ext(name), ".")
		if kind == "" || strings.Contains(name, "marker") {
			kind = strings.TrimRight(path.Base(name), "0123456789-.")
		}
		damage("removed "+kind, name, "removal", c, func(fs vfs.FS) { testkit.Check(t, fs.Remove(name)) })
		for i := range 24 {
			if len(b) == 0 {
				break
			}
			at, bit := rng.IntN(len(b)), byte(1)<<rng.IntN(8)
			c := c
			if i >= 8 { // without segments, because Pebble is slow when it searches for the damage
				c = nil
			}
			damage("flipped "+kind, name, fmt.Sprintf("flip at %d of %d", at, len(b)), c, func(fs vfs.FS) {
				changed := slices.Clone(b)
				changed[at] ^= bit
				setFile(t, fs, name, changed)
			})
		}
		for range 8 {
			if len(b) == 0 {
				break
			}
			n := rng.IntN(len(b))
			damage("cut "+kind, name, fmt.Sprintf("cut to %d of %d", n, len(b)), c, func(fs vfs.FS) { setFile(t, fs, name, b[:n]) })
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(tally)) {
		n := tally[kind]
		t.Logf("%-28s %2d complete, %2d refused", kind, n[0], n[1])
	}
}

// TestLogCutAtEveryByte cuts bytes off the log. All of them were acknowledged, so
// Open must detect every cut that loses data.
func TestLogCutAtEveryByte(t *testing.T) {
	noLeaks(t)
	base, want, previous, c := killedDir(t)
	name, log := lastLog(t, base)
	end := len(log)
	lastRecord := 0
	for n := end; n > end-1500; n -= 13 {
		fs := cloneFS(t, base)
		setFile(t, fs, name, log[:n])
		opened := tryOpen(t, fmt.Sprintf("cut to %d of %d", n, end), fs, want, c)
		if !opened && lastRecord == 0 {
			lastRecord = n
		}
	}
	if lastRecord == 0 {
		t.Fatal("no cut was detected")
	}
	// If the last commit was not acknowledged, the same cut is an incomplete record
	// at the end, as a killed process may leave it.
	fs := cloneFS(t, base)
	setFile(t, fs, name, log[:lastRecord])
	n, err := readCommitted(fs, "/data")
	testkit.Check(t, err)
	setFile(t, fs, "/data/COMMITTED", []byte(committedText(n-1)))
	if !tryOpen(t, "incomplete last record", fs, previous, c) {
		t.Error("an incomplete last record was reported as damage")
	}
	// The log as a whole is lost.
	fs = cloneFS(t, base)
	testkit.Check(t, fs.Remove(name))
	if tryOpen(t, "log removed", fs, want, c) {
		t.Error("a lost log was not detected")
	}
}

// lastLog returns the name and content of the newest log that is not empty.
func lastLog(t *testing.T, fs vfs.FS) (name string, b []byte) {
	t.Helper()
	for n, c := range filesOf(t, fs) {
		if isLog(n) && n > name && len(c) > 0 {
			name, b = n, c
		}
	}
	return name, b
}

// smallDisk limits the size of fs, so that memtables are small and tests are faster.
func smallDisk(fs *vfs.MemFS) *vfs.MemFS {
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 48 << 20, TotalBytes: 64 << 20})
	return fs
}
