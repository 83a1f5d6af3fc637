package store

import (
	"os"
	"path/filepath"
	"testing"

	"nearside/internal/testkit"
)

// TestDiskBytes measures a directory through a symbolic link. A folder of another owner and
// the snapshots, which are links here, do not count.
func TestDiskBytes(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "data")
	for _, name := range []string{"data/pebble", "data/" + lostFound, "snapshots"} {
		testkit.Check(t, os.MkdirAll(filepath.Join(top, name), 0o700))
	}
	for _, name := range []string{"data/pebble/1", "data/" + lostFound + "/1", "data/tasks", "snapshots/1"} {
		testkit.Check(t, os.WriteFile(filepath.Join(top, name), make([]byte, 64<<10), 0o600))
	}
	testkit.Check(t, os.Symlink(filepath.Join(top, "snapshots"), filepath.Join(dir, SnapshotsDir)))
	testkit.Check(t, os.Symlink("data", filepath.Join(top, "link")))
	for _, name := range []string{"data", "link"} {
		if n := testkit.Must(diskBytes(filepath.Join(top, name))); n != 128<<10 {
			t.Errorf("%s: got %d bytes, want %d", name, n, 128<<10)
		}
	}
}
