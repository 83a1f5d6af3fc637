package store

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// markedDir makes the directory of sealedDir, damages a table, and lets a verification find
// that. It returns the state that a power loss leaves after that, and an undamaged copy of
// the directory, which has no marker.
func markedDir(t *testing.T) (c *modelCache, want *model, marked, undamaged *vfs.MemFS) {
	t.Helper()
	disk := smallDisk(vfs.NewCrashableMem())
	c, want = sealedDir(t, disk)
	undamaged = cloneFS(t, disk)
	damageTable(t, disk)
	s, _, err := c.open(Options{Dir: "/data", fs: disk})
	testkit.Check(t, err)
	<-s.verifier.ended
	if s.Err() == nil {
		t.Fatal("the damage was not found")
	}
	marked = smallDisk(disk.CrashClone(vfs.CrashCloneCfg{})) // without what is not synced
	closePoisoned(t, s)
	return c, want, marked, undamaged
}

// openMarked opens a directory and holds the verification until resume is closed.
func openMarked(t *testing.T, c *modelCache, fs vfs.FS) (s *Store, warnings []string, resume chan struct{}) {
	t.Helper()
	resume = make(chan struct{})
	s, warnings, err := c.open(Options{Dir: "/data", fs: fs, beforeVerify: func() { <-resume }})
	testkit.Check(t, err)
	return s, warnings, resume
}

// wantRefused checks that writes are refused and that the error says why.
func wantRefused(t *testing.T, s *Store, want ...string) {
	t.Helper()
	for _, err := range []error{s.CreateObject(ctx, nil, face(seeded(), id(5000))), s.Err()} {
		if matcher.CodeOf(err) != matcher.CodeUnavailable {
			t.Errorf("want code %d, got %v", matcher.CodeUnavailable, err)
			continue
		}
		for _, text := range append(want, "data directory /data is damaged", "docs/operating.md") {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("want %q, got %v", text, err)
			}
		}
	}
}

func hasMarker(t *testing.T, fsys vfs.FS) bool {
	t.Helper()
	_, err := fsys.Stat("/data/" + nameDamaged)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// TestDamageIsRemembered checks that a start refuses writes at once if an earlier
// verification has found damage, although a power loss followed. Reads work, and the store
// can be closed and opened again.
func TestDamageIsRemembered(t *testing.T) {
	noLeaks(t)
	c, want, marked, _ := markedDir(t)
	for range 2 {
		before := filesOf(t, marked)
		s, warnings, resume := openMarked(t, c.copyOf(), marked)
		wantRefused(t, s, "the file DAMAGED says: found ", "writes are accepted if that finds no damage")
		if len(warnings) != 1 || !strings.Contains(warnings[0], "nothing can be written: the data directory is damaged") {
			t.Errorf("warnings: %q", warnings)
		}
		s.opts.Applier.(*model).equal(t, want)
		s.endTasks() // as Close does first
		close(resume)
		testkit.Check(t, s.Close())
		after := filesOf(t, marked)
		for name, b := range before {
			if isTable(name) && !slices.Equal(after[name], b) {
				t.Errorf("%s was changed", name)
			}
		}
		if !hasMarker(t, marked) {
			t.Fatal("an interrupted verification removed the marker")
		}
	}

	s, _, resume := openMarked(t, c.copyOf(), marked)
	close(resume)
	<-s.verifier.ended
	wantRefused(t, s)
	if strings.Contains(s.Err().Error(), "verified again") || !hasMarker(t, marked) {
		t.Errorf("the damage was found again: %v", s.Err())
	}
	closePoisoned(t, s)
}

// TestVerificationRemovesMarker checks that a verification without a fault removes the
// marker and ends the refusal of writes, after a start from the cache and after a start
// from the database.
func TestVerificationRemovesMarker(t *testing.T) {
	noLeaks(t)
	c, want, _, disk := markedDir(t)
	setFile(t, disk, "/data/"+nameDamaged, nil) // a crash may leave an empty marker
	s, _, resume := openMarked(t, c, disk)
	wantRefused(t, s)
	close(resume)
	<-s.verifier.ended
	if s.Err() != nil || hasMarker(t, disk) {
		t.Errorf("the verification found no fault, but writes are refused: %v", s.Err())
	}
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(5000))))
	testkit.Check(t, s.DeleteObject(ctx, nil, matcher.Faces, id(5000)))
	testkit.Check(t, s.Close())
	c.equal(t, want)

	setFile(t, disk, "/data/"+nameDamaged, []byte("found 2026-05-01T00:00:00Z: x\n"))
	s, m := open(t, Options{Dir: "/data", fs: disk})
	m.equal(t, want)
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(5000))))
	if hasMarker(t, disk) {
		t.Error("a start from the database did not remove the marker")
	}
	testkit.Check(t, s.Close())
}

// TestMarkerCannotBeWritten checks that writes are also refused if the marker cannot be
// written, and that the error says what that means.
func TestMarkerCannotBeWritten(t *testing.T) {
	noLeaks(t)
	f := newFaults(func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, nameDamaged) }, syscall.EIO)
	c, _ := sealedDir(t, f.disk)
	damageTable(t, f.disk)
	s, _, err := c.open(Options{Dir: "/data", fs: f.disk, beforeVerify: func() { f.on.Store(true) }})
	testkit.Check(t, err)
	<-s.verifier.ended
	wantRefused(t, s, "the file DAMAGED cannot be written, so the next start accepts writes")
	closePoisoned(t, s)
	f.on.Store(false)

	// A marker that cannot be removed goes on to refuse writes.
	f = newFaults(func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpRemove && strings.HasSuffix(op.Path, nameDamaged)
	}, syscall.EIO)
	c, _ = sealedDir(t, f.disk)
	setFile(t, f.disk, "/data/"+nameDamaged, []byte("x\n"))
	verified := false
	s, _, err = c.open(Options{
		Dir: "/data", fs: f.disk, beforeVerify: func() { f.on.Store(true) },
		Verified: func(uint64, time.Duration) { verified = true },
	})
	testkit.Check(t, err)
	<-s.verifier.ended
	wantRefused(t, s)
	testkit.Check(t, s.Close())
	if !verified {
		t.Error("the database was not verified")
	}
}
