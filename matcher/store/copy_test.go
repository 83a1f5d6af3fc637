package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// sequence writes numbered objects in order. Some commits are large, so they are ingested as
// tables when no copy is being made.
type sequence struct {
	first       int
	sent, acked atomic.Int64 // numbers of objects
}

func (q *sequence) write(ctx context.Context, s *Store, rng *rand.Rand) error {
	for {
		n := 1
		if rng.IntN(4) == 0 {
			n = 1 + rng.IntN(40)
		}
		from := int(q.sent.Add(int64(n))) - n
		err := s.Commit(ctx, func(tx *Tx) error {
			for i := range n {
				o := face(rng, id(q.first+from+i))
				o.Avatar = strings.Repeat("a", 1000)
				if err := tx.Put(o); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		q.acked.Store(int64(from + n))
	}
}

// TestCopyWhileWriting: a copy that is made while several goroutines write has all objects
// that were acknowledged before it, none that was sent after it, and of each goroutine the
// first ones without a gap.
func TestCopyWhileWriting(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	s, _ := open(t, Options{Dir: filepath.Join(dir, "data"), tableBytes: 20_000})
	sequences := make([]*sequence, 3)
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range sequences {
		q := &sequence{first: i * 20_000}
		sequences[i] = q
		wg.Go(func() {
			if err := q.write(writing, s, rand.New(rand.NewPCG(3, uint64(i)))); err != nil {
				t.Error(err)
			}
		})
	}
	for round := range 12 {
		copied := filepath.Join(dir, fmt.Sprint("copy", round))
		var before, after [3]int64
		for i, q := range sequences {
			before[i] = q.acked.Load()
		}
		made, err := s.CopyTo(ctx, copied)
		testkit.Check(t, err)
		for i, q := range sequences {
			after[i] = q.sent.Load()
		}
		c, m := open(t, Options{Dir: copied})
		if uint64(len(m.objects)) != made.Records || c.state.commits != made.Commits {
			t.Errorf("the copy has %d objects after %d commits, but CopyTo returned %+v", len(m.objects), c.state.commits, made)
		}
		total := 0
		for i, q := range sequences {
			n := 0
			for m.Has(matcher.Faces, id(q.first+n)) {
				n++
			}
			if total += n; int64(n) < before[i] || int64(n) > after[i] {
				t.Errorf("copy %d has %d objects of writer %d, want %d to %d", round, n, i, before[i], after[i])
			}
		}
		if total != len(m.objects) {
			t.Errorf("copy %d has %d objects, %d of them without a gap", round, len(m.objects), total)
		}
		testkit.Check(t, c.Close())
		testkit.Check(t, os.RemoveAll(copied))
	}
	stop()
	wg.Wait()
}

// TestCopyLinks: tables of a copy are links, and a copy stays as it is when the store goes on.
func TestCopyLinks(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	s, m := open(t, Options{Dir: filepath.Join(dir, "data")})
	_, err := putUntilRefused(s, 0, 200)
	testkit.Check(t, err)
	copied := filepath.Join(dir, "copy")
	_, err = s.CopyTo(ctx, copied)
	testkit.Check(t, err)
	tables, err := filepath.Glob(filepath.Join(copied, "pebble", "*.sst"))
	testkit.Check(t, err)
	linked := 0
	for _, name := range tables {
		info, err := os.Stat(name)
		testkit.Check(t, err)
		if info.Sys().(*syscall.Stat_t).Nlink == 2 {
			linked++
		}
	}
	if linked == 0 || linked != len(tables) {
		t.Errorf("%d of %d tables are links", linked, len(tables))
	}
	want := m.clone()
	for i := range 200 {
		testkit.Check(t, s.DeleteObject(ctx, nil, matcher.Faces, id(i)))
	}
	testkit.Check(t, s.db.Compact(ctx, []byte{0}, []byte{0xff}, false))
	_, found := open(t, Options{Dir: copied})
	found.equal(t, want)
}

// TestCopyOfNothing: a directory without a commit can be copied.
func TestCopyOfNothing(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Options{Dir: filepath.Join(dir, "data")})
	made, err := s.CopyTo(ctx, filepath.Join(dir, "copy"))
	testkit.Check(t, err)
	if made != (Copy{}) {
		t.Errorf("got %+v", made)
	}
	_, m := open(t, Options{Dir: filepath.Join(dir, "copy")})
	if len(m.objects) != 0 {
		t.Error(m.objects)
	}
}

// TestCopyFails: after a fault, a full disk or the end of the context, there is no copy, and
// the store goes on.
func TestCopyFails(t *testing.T) {
	check := func(name string, match func(errorfs.Op) bool, prepare func(f *faults) context.Context, code matcher.Code) {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			f := newFaults(match, syscall.EIO)
			s, m := open(t, Options{Dir: "/data", fs: f.disk})
			acked, err := putUntilRefused(s, 0, 300)
			testkit.Check(t, err)
			during := prepare(f)
			_, err = s.CopyTo(during, "/data/copy")
			if err == nil {
				t.Fatal("the copy was made")
			}
			if code != 0 {
				wantCode(t, err, code)
			}
			f.on.Store(false)
			f.disk.free.Store(1 << 40)
			if _, err := f.fs.Stat("/data/copy"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the copy: got %v, want that it does not exist", err)
			}
			if s.Err() != nil {
				t.Fatal(s.Err())
			}
			more, err := putUntilRefused(s, 1000, 10)
			testkit.Check(t, err)
			_, err = s.CopyTo(ctx, "/data/copy")
			testkit.Check(t, err)
			_, found := open(t, Options{Dir: "/data/copy", fs: f.disk})
			found.equal(t, m)
			if len(found.objects) != len(acked)+len(more) {
				t.Errorf("%d objects, want %d", len(found.objects), len(acked)+len(more))
			}
		})
	}
	inCopy := func(kind errorfs.OpKind, suffix string) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool {
			return op.Kind == kind && strings.HasPrefix(op.Path, "/data/copy") && strings.HasSuffix(op.Path, suffix)
		}
	}
	never := func(errorfs.Op) bool { return false }
	faulty := func(f *faults) context.Context { f.on.Store(true); return ctx }
	check("manifest", func(op errorfs.Op) bool { return inCopy(errorfs.OpFileWrite, "")(op) && isManifest(op) }, faulty, 0)
	check("new log", inCopy(errorfs.OpCreate, ".log"), faulty, 0)
	check("folder", inCopy(errorfs.OpFileSync, "pebble"), faulty, 0)
	check("format", inCopy(errorfs.OpCreate, nameFormat), faulty, 0)
	check("full", never, func(f *faults) context.Context { f.disk.free.Store(1 << 20); return ctx }, matcher.CodeFull)
	check("cancelled", never, func(*faults) context.Context {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return ended
	}, 0)
}

// TestCopyFindsDamage: a copy of a damaged table is an error.
func TestCopyFindsDamage(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Options{Dir: filepath.Join(dir, "data")})
	_, err := putUntilRefused(s, 0, 100)
	testkit.Check(t, err)
	testkit.Check(t, s.flush(ctx))
	tables, err := filepath.Glob(filepath.Join(dir, "data", "pebble", "*.sst"))
	testkit.Check(t, err)
	for _, name := range tables {
		b, err := os.ReadFile(name)
		testkit.Check(t, err)
		for i := 1000; i < len(b)/2; i += 500 {
			b[i] ^= 1
		}
		testkit.Check(t, os.WriteFile(name, b, 0o600))
	}
	if _, err = s.CopyTo(ctx, filepath.Join(dir, "copy")); err == nil {
		t.Error("the damage was not found")
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

// TestCopyAndClose: Close ends a copy.
func TestCopyAndClose(t *testing.T) {
	noLeaks(t)
	for range 20 {
		dir := t.TempDir()
		s, _ := open(t, Options{Dir: filepath.Join(dir, "data")})
		_, err := putUntilRefused(s, 0, 50)
		testkit.Check(t, err)
		ended := make(chan error, 1)
		go func() {
			_, err := s.CopyTo(ctx, filepath.Join(dir, "copy"))
			ended <- err
		}()
		testkit.Check(t, s.Close())
		if err := <-ended; err != nil {
			wantCode(t, err, matcher.CodeUnavailable)
			if _, err := os.Stat(filepath.Join(dir, "copy")); !errors.Is(err, os.ErrNotExist) {
				t.Error("a part of the copy is left")
			}
			continue
		}
		open(t, Options{Dir: filepath.Join(dir, "copy")})
	}
}
