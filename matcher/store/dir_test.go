package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/internal/testkit"
)

// checkRefused opens a directory and fails unless Open returns an error that contains
// all parts.
func checkRefused(t *testing.T, o Options, parts ...string) {
	t.Helper()
	o.Applier = newModel()
	s, err := Open(ctx, o)
	if err == nil {
		s.Close()
		t.Fatalf("Open succeeded, want an error that contains %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not contain %q", err, p)
		}
	}
}

func TestDirInUse(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	s, m := open(t, Options{Dir: dir})
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
	checkRefused(t, Options{Dir: dir}, dir, "in use") // by this process

	info, err := Inspect(dir) // must not release the lock
	testkit.Check(t, err)
	if !info.Exists || !info.InUse || info.Format != 1 || info.Commits != 1 || info.Bytes == 0 || info.Free == 0 || info.Fault != nil {
		t.Errorf("Inspect: %+v", info)
	}
	if lines := childOutput(t, dir); len(lines) != 1 || !strings.Contains(lines[0], "in use") {
		t.Errorf("another process printed %q, want one line with \"in use\"", lines)
	}
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(2))))
	reopen(t, s, m)
	testkit.Check(t, s.Close())
}

func TestInspectReportsUseByAnotherProcess(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	inUse := false
	runChild(t, dir, 1, func(string) bool {
		info, err := Inspect(dir)
		testkit.Check(t, err)
		inUse = info.InUse
		return true
	})
	if !inUse {
		t.Error("Inspect does not report that the directory is in use")
	}
	info, err := Inspect(dir)
	if err != nil || info.InUse {
		t.Errorf("after the process ended: %+v, %v", info, err)
	}
	missing := filepath.Join(dir, "missing")
	if info, err := Inspect(missing); err != nil || info.Exists {
		t.Errorf("Inspect of a missing directory: %+v, %v", info, err)
	}
}

func TestForeignAndNewerDirectories(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	testkit.Check(t, fs.MkdirAll("/data", 0o755))
	setFile(t, fs, "/data/notes.txt", []byte("mine"))
	before := hashOf(t, fs)
	checkRefused(t, Options{Dir: "/data", fs: fs}, "/data", "notes.txt", "choose another directory")
	if hashOf(t, fs) != before {
		t.Error("a foreign directory was changed")
	}
	if names, err := fs.List("/data"); err != nil || len(names) != 1 {
		t.Errorf("a foreign directory now holds %v, %v", names, err)
	}

	fs, _, _, _ = killedDir(t)
	setFile(t, fs, "/data/FORMAT", []byte("nearside 2\n"))
	before = hashOf(t, fs)
	checkRefused(t, Options{Dir: "/data", fs: fs}, "/data", "format 2", "up to 1", "newer")
	if hashOf(t, fs) != before {
		t.Error("a directory of a newer format was changed")
	}
	testkit.Check(t, fs.RemoveAll("/data/pebble")) // a newer format may have other files
	checkRefused(t, Options{Dir: "/data", fs: fs}, "format 2", "newer")
	setFile(t, fs, "/data/FORMAT", []byte(formatText()))
	checkRefused(t, Options{Dir: "/data", fs: fs}, "damaged", "pebble")
	if _, err := fs.Stat("/data/pebble"); err == nil {
		t.Error("Open created a new database in place of a lost one")
	}

	file := filepath.Join(t.TempDir(), "file")
	testkit.Check(t, os.WriteFile(file, nil, 0o600))
	checkRefused(t, Options{Dir: file}, file)
}

// TestCreationCutShort checks that the directory can be opened after a process was
// killed at any file operation of the first Open.
func TestCreationCutShort(t *testing.T) {
	noLeaks(t)
	cuts := 0
	for after := 0; ; after++ {
		fs := vfs.NewCrashableMem()
		smallDisk(fs)
		testkit.Check(t, fs.MkdirAll("/data", 0o755))
		syncRoot(t, fs)
		stop := &stopFS{FS: fs, left: after}
		s, err := Open(ctx, Options{Dir: "/data", Applier: newModel(), fs: stop.wrap()})
		testkit.Check(t, err) // stop only records the state and injects no errors
		testkit.Check(t, s.Close())
		if stop.crashed == nil { // no data race: all goroutines that set it have ended
			break
		}
		cuts++
		smallDisk(stop.crashed)
		s2, _ := open(t, Options{Dir: "/data", fs: stop.crashed})
		testkit.Check(t, s2.CreateObject(ctx, nil, face(seeded(), id(1))))
		testkit.Check(t, s2.Close())
	}
	if cuts < 20 {
		t.Errorf("creation was cut at %d places, want at least 20", cuts)
	}
}

func TestLostAndFoundIsIgnored(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	testkit.Check(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	s, m := open(t, Options{Dir: dir})
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
	reopen(t, s, m)
}

func TestUnitOf(t *testing.T) {
	for total, want := range map[uint64]int64{0: 1 << 20, 16 << 20: 1 << 20, 1 << 30: 16 << 20, 1 << 40: 64 << 20} {
		if got := unitOf(total); got != want {
			t.Errorf("unit of %d bytes: %d, want %d", total, got, want)
		}
	}
}
