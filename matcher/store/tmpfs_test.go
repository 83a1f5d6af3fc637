//go:build linux

package store

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"nearside/matcher"
)

// TestRealFullDisk fills a small file system, first with objects, then from
// outside.
func TestRealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("NOT TESTED: a file system of 48 MiB cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	noLeaks(t)
	s, m := open(t, Options{Dir: filepath.Join(dir, "data")})
	acked, err := fill(s, 0, 20_000)
	wantCode(t, err, matcher.CodeFull)
	if len(acked) < 200 || s.Err() != nil {
		t.Fatalf("%d objects of 20 kB fit into 48 MiB; %v", len(acked), s.Err())
	}
	t.Logf("%d objects of 20 kB fit into 48 MiB", len(acked))
	s, m = reopen(t, s, m) // a full directory can be opened

	for _, id := range acked[:len(acked)/2] { // deletes work on a full disk
		must(t, s.DeleteObject(ctx, nil, matcher.Faces, id))
	}
	s, m = reopen(t, s, m)

	// Somebody else takes every byte, then gives it back.
	filler, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = filler.Write(block)
	}
	_, err = fill(s, 30_000, 1)
	wantCode(t, err, matcher.CodeFull)
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	must(t, filler.Close())
	must(t, os.Remove(filler.Name()))
	if err := s.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil { // do not wait for it to happen by itself
		t.Fatal(err)
	}
	if _, err = fill(s, 30_000, 1); err != nil {
		t.Errorf("space returned, but: %v", err)
	}
	reopen(t, s, m)
}
