package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// refused opens dir and checks that the error says all parts.
func refused(t *testing.T, o Options, parts ...string) {
	t.Helper()
	o.Applier = newModel()
	s, err := Open(ctx, o)
	if err == nil {
		s.Close()
		t.Fatalf("opened; want an error with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q does not say %q", err, p)
		}
	}
}

func TestDirInUse(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	s, m := open(t, Options{Dir: dir})
	must(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
	refused(t, Options{Dir: dir}, dir, "in use") // by this process

	info, err := Inspect(dir) // must not drop the lock
	must(t, err)
	if !info.Exists || !info.InUse || info.Format != 1 || info.Commits != 1 || info.Bytes == 0 || info.Free == 0 || info.Fault != nil {
		t.Errorf("Inspect: %+v", info)
	}
	if lines := childOutput(t, dir); len(lines) != 1 || !strings.Contains(lines[0], "in use") {
		t.Errorf("another process says %q", lines)
	}
	must(t, s.CreateObject(ctx, nil, face(seeded(), id(2))))
	reopen(t, s, m)
	must(t, s.Close())
}

func TestInspectSeesAnotherProcess(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	seen := false
	runChild(t, dir, 1, func(string) bool {
		info, err := Inspect(dir)
		must(t, err)
		seen = info.InUse
		return true
	})
	if !seen {
		t.Error("Inspect does not see that the directory is in use")
	}
	info, err := Inspect(dir)
	if err != nil || info.InUse {
		t.Errorf("after the process ended: %+v, %v", info, err)
	}
	missing := filepath.Join(dir, "missing")
	if info, err := Inspect(missing); err != nil || info.Exists {
		t.Errorf("a directory that is not there: %+v, %v", info, err)
	}
}

func TestForeignAndNewerDirectories(t *testing.T) {
	noLeaks(t)
	fs := smallDisk(vfs.NewMem())
	must(t, fs.MkdirAll("/data", 0o755))
	setFile(t, fs, "/data/notes.txt", []byte("mine"))
	before := hashOf(t, fs)
	refused(t, Options{Dir: "/data", fs: fs}, "/data", "notes.txt", "choose another directory")
	if hashOf(t, fs) != before {
		t.Error("a foreign directory was changed")
	}
	if names, err := fs.List("/data"); err != nil || len(names) != 1 {
		t.Errorf("a foreign directory now holds %v, %v", names, err)
	}

	fs, _, _, _ = killedDir(t)
	setFile(t, fs, "/data/FORMAT", []byte("nearside 2\n"))
	before = hashOf(t, fs)
	refused(t, Options{Dir: "/data", fs: fs}, "/data", "format 2", "up to 1", "newer")
	if hashOf(t, fs) != before {
		t.Error("a directory of a newer format was changed")
	}
	must(t, fs.RemoveAll("/data/pebble")) // a newer format may look quite different
	refused(t, Options{Dir: "/data", fs: fs}, "format 2", "newer")
	setFile(t, fs, "/data/FORMAT", []byte(formatText()))
	refused(t, Options{Dir: "/data", fs: fs}, "damaged", "pebble")
	if _, err := fs.Stat("/data/pebble"); err == nil {
		t.Error("a lost database was made anew")
	}

	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	refused(t, Options{Dir: file}, file)
}

// TestCreationCutShort: a process killed at any file operation of the first
// Open leaves a directory that can be opened.
func TestCreationCutShort(t *testing.T) {
	noLeaks(t)
	cuts := 0
	for after := 0; ; after++ {
		fs := vfs.NewCrashableMem()
		smallDisk(fs)
		must(t, fs.MkdirAll("/data", 0o755))
		syncRoot(t, fs)
		stop := &stopFS{FS: fs, left: after}
		s, err := Open(ctx, Options{Dir: "/data", Applier: newModel(), fs: stop.wrap()})
		must(t, err) // nothing fails: the state is only kept
		must(t, s.Close())
		if stop.crashed == nil { // all goroutines that could set it have ended
			break
		}
		cuts++
		smallDisk(stop.crashed)
		s2, _ := open(t, Options{Dir: "/data", fs: stop.crashed})
		must(t, s2.CreateObject(ctx, nil, face(seeded(), id(1))))
		must(t, s2.Close())
	}
	if cuts < 20 {
		t.Errorf("creation was cut at %d places only", cuts)
	}
}

func TestLostAndFoundIsNobodys(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	s, m := open(t, Options{Dir: dir})
	must(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
	reopen(t, s, m)
}

func TestUnitOf(t *testing.T) {
	for total, want := range map[uint64]int64{0: 1 << 20, 16 << 20: 1 << 20, 1 << 30: 16 << 20, 1 << 40: 64 << 20} {
		if got := unitOf(total); got != want {
			t.Errorf("unit of %d bytes: %d, want %d", total, got, want)
		}
	}
}
