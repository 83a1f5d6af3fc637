//go:build linux

package store

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestRealFullDisk fills a small file system with objects.
func TestRealFullDisk(t *testing.T) {
	dir := smallMount(t)
	noLeaks(t)
	s, m := open(t, Options{Dir: filepath.Join(dir, "data")})
	acked, err := putUntilRefused(s, 0, 20_000)
	wantCode(t, err, matcher.CodeFull)
	if len(acked) < 200 || s.Err() != nil {
		t.Fatalf("24 MiB hold %d objects of 20 kB, want at least 200; Err() = %v", len(acked), s.Err())
	}
	t.Logf("24 MiB hold %d objects of 20 kB", len(acked))
	s, m = reopen(t, s, m) // a full directory can be opened

	for _, id := range acked[:len(acked)/2] { // deletes work on a full disk
		testkit.Check(t, s.DeleteObject(ctx, nil, matcher.Faces, id))
	}
	reopen(t, s, m)
}

// smallMount mounts a file system of 24 MiB and returns its path. It skips the test
// if the system does not allow it.
func smallMount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("NOT TESTED: a file system of 24 MiB cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDiskWhileWriting fills and frees the disk repeatedly while several
// goroutines write. The store must not be poisoned, and writes must work again each
// time.
func TestFullDiskWhileWriting(t *testing.T) {
	dir := smallMount(t)
	noLeaks(t)
	s, m := open(t, Options{Dir: filepath.Join(dir, "data")})
	refusals, stop := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				o := face(rng, id(w*100+rng.IntN(20)))
				o.Avatar = strings.Repeat("b", 10_000)
				_, err := s.PutObject(ctx, nil, o)
				if err == nil {
					continue
				}
				wantCode(t, err, matcher.CodeFull)
				select {
				case refusals <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
	}
	for range 8 {
		filler, err := os.Create(filepath.Join(dir, "filler"))
		testkit.Check(t, err)
		block := make([]byte, 4096)
		for err == nil {
			_, err = filler.Write(block)
		}
		<-refusals
		testkit.Check(t, filler.Close())
		testkit.Check(t, os.Remove(filler.Name()))
	}
	close(stop)
	wg.Wait()
	testkit.Check(t, s.Err())
	untilWritten(t, s, matcher.CodeFull)
	reopen(t, s, m)
}
