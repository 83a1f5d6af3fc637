package store

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// sealedDir makes a stopped data directory /data with 600 faces and a list. It returns its
// cache and the state of its data. Each table has several blocks of faces only. Open does
// not read these, whether Pebble has compacted the tables or not.
func sealedDir(t *testing.T, fs vfs.FS) (c *modelCache, want *model) {
	t.Helper()
	s, c := openCached(t, Options{Dir: "/data", fs: fs, tableBytes: 10_000})
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	for n := range 3 { // each is a table
		testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(seeded(), 200*n, 200, id(100)))...))
	}
	testkit.Check(t, s.Close())
	return c, c.clone()
}

// damageTable changes a bit in the middle of the largest table.
func damageTable(t *testing.T, fs vfs.FS) {
	t.Helper()
	largest, content := "", []byte(nil)
	for name, b := range filesOf(t, fs) {
		if isTable(name) && len(b) > len(content) {
			largest, content = name, b
		}
	}
	content[len(content)/2] ^= 1
	setFile(t, fs, largest, content)
}

// TestVerifiedAfterStart checks that the records are verified after a start from the
// cache, although they change meanwhile.
func TestVerifiedAfterStart(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	c, want := sealedDir(t, fs)
	resume, verified := make(chan struct{}), make(chan uint64, 1)
	s, warnings, err := c.open(Options{
		Dir: "/data", fs: fs, beforeVerify: func() { <-resume }, Verified: func(records uint64, _ time.Duration) { verified <- records },
	})
	testkit.Check(t, err)
	c.equal(t, want)
	rng := seeded()
	for n := range 3 {
		_, err := s.PutObject(ctx, nil, face(rng, id(1000+n), id(100)))
		testkit.Check(t, err)
	}
	close(resume)
	if n := <-verified; n != 601 || len(warnings) > 0 || s.Err() != nil {
		t.Errorf("%d records were verified, want 601 without the new ones; warnings %q, error %v", n, warnings, s.Err())
	}
	reopen(t, s, c.model)
}

// TestDamageFoundAfterStart checks that damage found after a start stops writes and
// leaves the data in memory as it was. It also checks that a start after that finds the
// same damage.
func TestDamageFoundAfterStart(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	c, want := sealedDir(t, fs)
	damageTable(t, fs)
	for range 2 {
		copied := c.copyOf()
		s, _, err := copied.open(Options{Dir: "/data", fs: fs})
		testkit.Check(t, err)
		<-s.verifier.ended
		err = s.CreateObject(ctx, nil, face(seeded(), id(5000)))
		if matcher.CodeOf(err) != matcher.CodeUnavailable || !strings.Contains(err.Error(), "data directory /data is damaged") {
			t.Errorf("a write to a damaged directory: %v", err)
		}
		copied.equal(t, want)
		closePoisoned(t, s)
	}
	// Without the cache, the directory cannot be opened.
	if tryOpenOnce(t, "damaged", fs, want, nil) {
		t.Error("the damaged directory was opened without its cache")
	}
}

// removeRecord removes a record as no version of the store does: the checksums of all
// blocks are right after it, and the digest is not.
func removeRecord(t *testing.T, fs vfs.FS, k key) {
	t.Helper()
	db := testkit.Must(pebble.Open("/data/pebble", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: fatalLogger{newPoison(nil)}}))
	testkit.Check(t, errors.Join(db.Delete(k[:], pebble.Sync), db.Close()))
}

// TestMissingRecords checks that a missing object is found after a start from the cache. A
// missing list is found before the start: clients must not see a list without its account.
func TestMissingRecords(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	c, want := sealedDir(t, fs)
	removeRecord(t, fs, objectKey(matcher.Faces, id(250)))
	s, _, err := c.open(Options{Dir: "/data", fs: fs})
	testkit.Check(t, err)
	<-s.verifier.ended
	if s.Err() == nil || !strings.Contains(s.Err().Error(), "found 600 records") {
		t.Errorf("one of 601 records is missing: %v", s.Err())
	}
	c.equal(t, want)
	closePoisoned(t, s)

	fs = smallDisk(vfs.NewMem())
	c, _ = sealedDir(t, fs)
	removeRecord(t, fs, makeKey(kindList, id(100)))
	if s, _, err := c.open(Options{Dir: "/data", fs: fs}); err == nil {
		<-s.verifier.ended
		t.Errorf("the store was opened without the record of a list, then: %v", s.Err())
		closePoisoned(t, s)
	} else if !strings.Contains(err.Error(), "found 600 records") {
		t.Errorf("the record of a list is missing: %v", err)
	}
}

// TestProgress checks that a start without a cache reports its progress up to a number of
// records that is near their total.
func TestProgress(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	s, _ := open(t, Options{Dir: "/data", fs: fs})
	const n = loadChanges + 10
	testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(seeded(), 0, n, id(60_000)))...))
	testkit.Check(t, s.Close())
	var last, of uint64
	s, _ = open(t, Options{Dir: "/data", fs: fs, Progress: func(done, total uint64) {
		if done < last || done > total {
			t.Errorf("the progress went from %d to %d of %d", last, done, total)
		}
		last, of = done, total
	}})
	if last != loadChanges || of != n+1 {
		t.Errorf("the last progress was %d of %d records, want %d of %d", last, of, loadChanges, n+1)
	}
	testkit.Check(t, s.Close())
}

// TestVerificationEndsWithStore closes a store while it verifies.
func TestVerificationEndsWithStore(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	c, want := sealedDir(t, fs)
	resume := make(chan struct{})
	s, warnings, err := c.open(Options{
		Dir: "/data", fs: fs, beforeVerify: func() { <-resume },
		Verified: func(uint64, time.Duration) { t.Error("an interrupted verification was reported as complete") },
	})
	testkit.Check(t, err)
	s.endTasks() // as Close does first
	close(resume)
	testkit.Check(t, s.Close())
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	c.equal(t, want)
}

// TestVerificationCannotRead checks that a fault that is not damage is only a warning.
func TestVerificationCannotRead(t *testing.T) {
	noLeaks(t)
	f := newFaults(func(op errorfs.Op) bool { return isTable(op.Path) && op.Kind.ReadOrWrite() == errorfs.OpIsRead }, syscall.EMFILE)
	c, _ := sealedDir(t, f.disk)
	warned := make(chan string, 1)
	c.model = newModel()
	s, err := Open(ctx, Options{
		Dir: "/data", fs: f.disk, Applier: c.model, Cache: c, beforeVerify: func() { f.on.Store(true) },
		Warn: func(msg string, _ ...any) { warned <- msg },
	})
	testkit.Check(t, err)
	if msg := <-warned; !strings.Contains(msg, "cannot be verified") {
		t.Errorf("the warning is %q", msg)
	}
	f.on.Store(false)
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(5000))))
	testkit.Check(t, s.Close())
}

// TestLostRecord checks that writes of an object fail if the applier has it and the database
// has lost its record. Before the verification finds this, they would make the object a new
// one, and the applier would have it twice.
func TestLostRecord(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	c, want := sealedDir(t, fs)
	lost := objectKey(matcher.Faces, id(7))
	db := testkit.Must(pebble.Open("/data/"+nameDatabase, &pebble.Options{FS: fs, Logger: fatalLogger{}}))
	testkit.Check(t, errors.Join(db.Delete(lost[:], pebble.Sync), db.Close()))
	s, _, resume := openMarked(t, c, fs)
	writes := map[string]func() error{
		"create": func() error { return s.CreateObject(ctx, nil, face(seeded(), id(7))) },
		"put": func() error {
			_, err := s.PutObject(ctx, nil, face(seeded(), id(7)))
			return err
		},
		"import": func() error { return s.Import(ctx, nil, []ImportLine{{Object: face(seeded(), id(7))}})[0] },
		"delete": func() error { return s.DeleteObject(ctx, nil, matcher.Faces, id(7)) },
		"delete many": func() error {
			_, err := s.DeleteObjects(ctx, matcher.Faces, func() ([]matcher.ID, error) { return []matcher.ID{id(6), id(7)}, nil })
			return err
		},
	}
	for name, write := range writes {
		if err := write(); matcher.CodeOf(err) != matcher.CodeInternal || !strings.Contains(err.Error(), id(7).String()) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	c.equal(t, want)
	close(resume)
	<-s.verifier.ended
	wantRefused(t, s)
	closePoisoned(t, s)
}
