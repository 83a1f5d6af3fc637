package store

import (
	"math/rand/v2"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

func syncRoot(t *testing.T, fs vfs.FS) {
	t.Helper()
	d, err := fs.OpenDir("/")
	testkit.Check(t, err)
	testkit.Check(t, d.Sync())
	testkit.Check(t, d.Close())
}

// stopFS records the state that a crash would leave on disk after a number of write
// operations.
type stopFS struct {
	FS      *vfs.MemFS
	mu      sync.Mutex
	left    int // write operations until the state is recorded
	crashed *vfs.MemFS
}

func (s *stopFS) wrap() vfs.FS {
	return errorfs.Wrap(s.FS, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpLock {
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.left == 0 {
			half := vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(5, 6))}
			s.crashed = s.FS.CrashClone(half)
		}
		s.left--
		return nil
	}))
}

// faults makes matching file operations fail while on is set.
type faults struct {
	on   atomic.Bool
	hits atomic.Int32
	fs   *vfs.MemFS
	disk *diskFS
}

// diskFS is a file system with a configurable size and free space.
type diskFS struct {
	vfs.FS
	free, total atomic.Uint64
}

func (d *diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: d.total.Load()}, nil
}

func newFaults(match func(op errorfs.Op) bool, err error) *faults {
	f := &faults{fs: vfs.NewCrashableMem()}
	injected := errorfs.Wrap(f.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if f.on.Load() && match(op) {
			f.hits.Add(1)
			return err
		}
		return nil
	}))
	f.disk = &diskFS{FS: injected}
	f.disk.free.Store(1 << 40)
	f.disk.total.Store(64 << 20)
	return f
}

func isManifest(op errorfs.Op) bool { return strings.HasPrefix(path.Base(op.Path), "MANIFEST") }

// putUntilRefused creates up to n objects until one fails, and returns the IDs of the
// acknowledged ones.
func putUntilRefused(s *Store, from, n int) (acked []matcher.ID, err error) {
	rng := rand.New(rand.NewPCG(9, uint64(from)))
	for i := range n {
		o := face(rng, id(from+i))
		o.Avatar = strings.Repeat("a", 20_000)
		if err := s.CreateObject(ctx, nil, o); err != nil {
			return acked, err
		}
		acked = append(acked, o.ID)
	}
	return acked, nil
}

// TestPoison checks that a fault of the log or the manifest ends writing, that the
// process survives, that every later call fails, and that no acknowledged write is
// lost.
func TestPoison(t *testing.T) {
	check := func(name string, match func(op errorfs.Op) bool, fault error, code matcher.Code) {
		t.Run(name, func(t *testing.T) {
			f := newFaults(match, fault)
			f.disk.total.Store(64 << 20) // a memtable of 1 MiB, so that new logs and the manifest are written soon
			warned := make(chan string, 10)
			m := newModel()
			s, err := Open(ctx, Options{Dir: "/data", Applier: m, fs: f.disk, Warn: func(msg string, _ ...any) { warned <- msg }})
			testkit.Check(t, err)
			acked, err := putUntilRefused(s, 0, 5)
			testkit.Check(t, err)
			f.on.Store(true)
			more, err := putUntilRefused(s, 1000, 2000)
			acked = append(acked, more...)
			wantCode(t, err, code)
			if f.hits.Load() == 0 {
				t.Fatal("no fault was injected")
			}
			wantCode(t, s.Err(), code)
			wantCode(t, s.CreateObject(ctx, nil, face(seeded(), id(9000))), code)
			wantCode(t, s.CommitAlone(ctx, func(*Tx) error { return nil }), code)
			wantCode(t, s.Close(), code)
			wantCode(t, s.Close(), code)
			if msg := <-warned; !strings.Contains(msg, "started again") || len(warned) > 0 {
				t.Errorf("warning %q, and %d more; want one with \"started again\"", msg, len(warned))
			}
			m.mu.Lock() // the writer may still run the unacknowledged write
			if n := len(m.objects); n != len(acked) && n != len(acked)+1 {
				t.Errorf("%d objects applied, want the %d acknowledged or one more", n, len(acked))
			}
			m.mu.Unlock()
			checkRefused(t, Options{Dir: "/data", fs: f.disk}, "in use")

			// The state that the next process finds after a power loss.
			after := smallDisk(f.fs.CrashClone(vfs.CrashCloneCfg{}))
			_, m2 := open(t, Options{Dir: "/data", fs: after})
			for _, id := range acked {
				if m2.object(matcher.Faces, id) == nil {
					t.Fatalf("object %s was acknowledged, but is lost", id)
				}
			}
			if n := len(m2.objects); n > len(acked)+1 {
				t.Errorf("%d objects, want at most one more than the %d acknowledged", n, len(acked))
			}
		})
	}
	isWAL := func(op errorfs.Op) bool { return isLog(op.Path) }
	kind := func(is func(errorfs.Op) bool, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool {
			for _, k := range kinds {
				if op.Kind == k && is(op) {
					return true
				}
			}
			return false
		}
	}
	syncs := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	check("log write, full", kind(isWAL, errorfs.OpFileWrite), syscall.ENOSPC, matcher.CodeFull)
	check("log write, broken", kind(isWAL, errorfs.OpFileWrite), syscall.EIO, matcher.CodeUnavailable)
	check("log sync", kind(isWAL, syncs...), syscall.ENOSPC, matcher.CodeFull)
	check("next log", kind(isWAL, errorfs.OpCreate, errorfs.OpReuseForWrite), syscall.ENOSPC, matcher.CodeFull)
	check("manifest write", kind(isManifest, errorfs.OpFileWrite), syscall.ENOSPC, matcher.CodeFull)
	check("manifest sync", kind(isManifest, syncs...), syscall.EIO, matcher.CodeUnavailable)
	check("directory sync", kind(func(op errorfs.Op) bool { return op.Path == "/data/pebble" }, errorfs.OpFileSync), syscall.EIO, matcher.CodeUnavailable)
}

// TestTablesWaitForSpace checks that writes fail while tables cannot be written, and
// work again when the fault is gone.
func TestTablesWaitForSpace(t *testing.T) {
	noLeaks(t)
	checkTablesWait(t, errorfs.OpFileWrite, syscall.ENOSPC, matcher.CodeFull)
	checkTablesWait(t, errorfs.OpFileSync, syscall.EIO, matcher.CodeUnavailable)
}

// checkTablesWait makes operations of one kind on tables fail with fault, and checks
// that writes then fail with code until the fault is gone.
func checkTablesWait(t *testing.T, kind errorfs.OpKind, fault error, code matcher.Code) {
	t.Helper()
	f := newFaults(func(op errorfs.Op) bool {
		return isTable(op.Path) && (op.Kind == kind || kind == errorfs.OpFileSync && op.Kind == errorfs.OpFileSyncData)
	}, fault)
	s, m := open(t, Options{Dir: "/data", fs: f.disk})
	f.on.Store(true)
	_, err := putUntilRefused(s, 0, 2000)
	wantCode(t, err, code)
	if s.Err() != nil {
		t.Fatalf("the store is poisoned: %v", s.Err())
	}
	f.on.Store(false)
	untilWritten(t, s, code)
	reopen(t, s, m)
}

// TestFullDiskRefusesWrites checks that puts fail while the disk is full, that
// deletes work, and that puts work again when there is space.
func TestFullDiskRefusesWrites(t *testing.T) {
	noLeaks(t)
	f := newFaults(func(errorfs.Op) bool { return false }, nil)
	s, m := open(t, Options{Dir: "/data", fs: f.disk})
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
	f.disk.free.Store(100_000)
	err := s.CreateObject(ctx, nil, face(seeded(), id(2)))
	wantCode(t, err, matcher.CodeFull)
	if !strings.Contains(err.Error(), "100000 bytes free") {
		t.Errorf("error %q does not contain the number of free bytes", err)
	}
	for _, err := range s.Import(ctx, nil, []ImportLine{{Object: face(seeded(), id(3)), AddList: id(100)}}) {
		wantCode(t, err, matcher.CodeFull)
	}
	testkit.Check(t, s.DeleteObject(ctx, nil, matcher.Faces, id(1))) // deletes make space
	if s.Err() != nil || len(m.objects) != 0 || len(m.lists) != 0 {
		t.Errorf("%v; %d objects, %d lists", s.Err(), len(m.objects), len(m.lists))
	}
	f.disk.free.Store(1 << 40)
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(2))))
	reopen(t, s, m)
}

// TestSpare checks that the spare file's space is used when another program fills the
// disk while the log is written.
func TestSpare(t *testing.T) {
	noLeaks(t)
	var s *Store
	full := newFaults(func(op errorfs.Op) bool {
		return isLog(op.Path) && op.Kind == errorfs.OpFileWrite && s.spare.isHeld()
	}, syscall.ENOSPC)
	s, m := open(t, Options{Dir: "/data", fs: full.disk})
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
	full.on.Store(true)
	full.disk.free.Store(3 << 20) // passes the free-space check
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(2))))
	if full.hits.Load() != 1 || s.spare.isHeld() || s.Err() != nil {
		t.Fatalf("hits %d, spare held %v, %v", full.hits.Load(), s.spare.isHeld(), s.Err())
	}
	full.disk.free.Store(1 << 20)
	wantCode(t, s.CreateObject(ctx, nil, face(seeded(), id(3))), matcher.CodeFull)
	full.on.Store(false)
	full.disk.free.Store(1 << 40)
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(3))))
	if !s.spare.isHeld() {
		t.Error("the spare file was not created again")
	}
	reopen(t, s, m)
}

// untilWritten writes until a write succeeds. Before that, each write must fail with
// code.
func untilWritten(t *testing.T, s *Store, code matcher.Code) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		_, err := s.PutObject(ctx, nil, face(seeded(), id(60_000)))
		if err == nil {
			return
		}
		wantCode(t, err, code)
		if time.Now().After(end) {
			t.Fatal("writes still fail after a minute")
		}
	}
}

func (s *spare) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}
