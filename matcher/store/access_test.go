package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody calls f as the user nobody if this test runs as root, otherwise as the
// current user.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread() // each thread has its own file system user
	defer runtime.UnlockOSThread()
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := unix.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Setfsuid(0) }() // cannot fail for root
	}
	f()
}

// TestInspectAccess checks that Inspect reports a directory that this process cannot
// write to or cannot create.
func TestInspectAccess(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		for path, exists := range map[string]bool{dir: true, filepath.Join(dir, "a", "data"): false} {
			info, err := Inspect(path)
			if err != nil || info.Exists != exists || !errors.Is(info.Fault, fs.ErrPermission) {
				t.Errorf("%s: %+v, %v", path, info, err)
			}
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if info, err := Inspect(filepath.Join(dir, "a", "data")); err != nil || info.Fault != nil || info.Exists {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestInspectImpossible checks that Inspect reports a path at which no directory can be
// created, and that Open refuses it, too.
func TestInspectImpossible(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nothing/here", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	check := func(path string, want error) {
		t.Helper()
		path = filepath.Join(dir, path)
		if info, err := Inspect(path); err != nil || info.Exists || !errors.Is(info.Fault, want) {
			t.Errorf("%s: %+v, %v", path, info, err)
		}
		if s, err := Open(t.Context(), Options{Dir: path}); err == nil {
			t.Errorf("%s was opened: %v", path, s.Close())
		}
	}
	check("link", fs.ErrNotExist)
	check("link/below", fs.ErrNotExist)
	check("a/"+strings.Repeat("x", 256)+"/data", unix.ENAMETOOLONG)
	check(strings.Repeat("../", strings.Count(dir, "/"))+"proc/nearside/data", unix.EPERM)
}
