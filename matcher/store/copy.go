package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// A Copy describes a copy of a data directory.
type Copy struct {
	Commits uint64 // number of the last commit that it contains
	Records uint64 // number of its lists and objects
}

// CopyTo makes a copy of the data directory in dir, which must not exist, while the store
// goes on. The copy is the state of one moment: it has the commits that were acknowledged
// before the call, and a part of those that are made meanwhile, without a gap. Files that
// never change are hard links if the file system allows it; otherwise they are copied.
// Before CopyTo returns, it reads all records of the copy and compares them with the digest
// of the last commit. The copy is durable then. One call runs at a time.
//
// After an error, which may be that of ctx, dir does not exist. CodeFull means that there is
// too little disk space. The data directory itself is never changed.
//
// The copy has FORMAT, ID, COMMITTED, the database and the segments. The segments make the
// start from a copy as fast as another start: a start without them takes about six times as
// long. As links, they need no space.
func (s *Store) CopyTo(ctx context.Context, dir string) (Copy, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return Copy{}, err
	}
	defer leave()
	c := copier{store: s, dir: dir}
	made, err := c.run(ctx)
	if err == nil {
		return made, nil
	}
	if s.poison.fault() == nil { // after a fault, goroutines that were halted may still use the files
		err = errors.Join(err, s.fs.RemoveAll(dir))
	}
	switch {
	case ctx.Err() != nil:
		return Copy{}, context.Cause(ctx)
	case isFull(err):
		return Copy{}, matcher.Errorf(matcher.CodeFull, "the disk is full: %w", err)
	default:
		return Copy{}, fmt.Errorf("store: copying data directory %s: %w", s.opts.Dir, err)
	}
}

// enter begins work that must end before the store is closed: the returned context ends
// when Close is called. leave ends the work.
func (s *Store) enter(ctx context.Context) (work context.Context, leave func(), err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, nil, matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.Err(); err != nil {
		return nil, nil, err
	}
	s.tasks.Add(1) // Close waits for it, after it has set s.closed
	work, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.working, func() {
		cancel(matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is being closed"))
	})
	return work, func() { stop(); cancel(nil); s.tasks.Done() }, nil
}

// copier makes a copy of the data directory.
type copier struct {
	store *Store
	dir   string
	least uint64 // the copy has at least this commit
}

func (c *copier) run(ctx context.Context) (Copy, error) {
	s := c.store
	if err := s.flush(ctx); err != nil { // so that the copy has a short log
		return Copy{}, err
	}
	if err := c.link(ctx); err != nil {
		return Copy{}, err
	}
	found, err := c.verify(ctx)
	if err != nil {
		return Copy{}, err
	}
	if found.commits < c.least {
		return Copy{}, fmt.Errorf("the copy has %d commits, but %d were made before it", found.commits, c.least)
	}
	for name, text := range map[string]string{
		nameID: idText(s.instance), nameCommitted: committedText(found.commits) + idText(s.instance), nameFormat: formatText(),
	} {
		if err := writeFile(s.fs, s.fs.PathJoin(c.dir, name), text); err != nil {
			return Copy{}, err
		}
	}
	return Copy{Commits: found.commits, Records: found.digest.records}, nil
}

// flush writes the records that are only in Pebble's log to tables.
func (s *Store) flush(ctx context.Context) error {
	var flushed <-chan struct{}
	err := runHaltable(s.poison, func() (err error) {
		flushed, err = s.db.AsyncFlush()
		return err
	})
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.poison.done:
		return s.poison.err
	}
}

// link links the segments and the tables, and copies the log.
//
// Pebble copies the log last, without a lock, so the copy may have commits that were made
// after the tables were linked. A table that was ingested meanwhile would be missing in the
// copy, but not the commits after it. So meanwhile all commits go through the log. Nothing
// is sealed meanwhile either: sealing removes the entries of the journal that lead from the
// segments in the copy to its last commit.
func (c *copier) link(ctx context.Context) error {
	s := c.store
	release, err := s.sealer.pause(ctx)
	if err != nil {
		return err
	}
	defer release()
	err = s.CommitAlone(ctx, func(*Tx) error { // no table is being ingested while it runs
		c.least = s.state.commits
		s.viaLog.Store(true)
		return nil
	})
	defer s.viaLog.Store(false)
	if err != nil {
		return err
	}
	check := func() error { return c.check(ctx) }
	s.guard.copying.Store(&check)
	defer s.guard.copying.Store(nil)
	if err := makeDir(s.fs, c.dir); err != nil {
		return err
	}
	if err := c.linkSegments(); err != nil {
		return err
	}
	return runHaltable(s.poison, func() error { return s.db.Checkpoint(s.fs.PathJoin(c.dir, nameDatabase)) })
}

// check returns an error if the copy must end: because ctx has ended, or because it would
// take disk space that commits need.
func (c *copier) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if free, _, err := diskUsage(c.store.fs, filepath.Dir(c.dir)); err == nil && free < c.store.guard.reserve {
		return syscall.ENOSPC
	}
	return nil
}

// linkSegments links the files of the cache, if there are any.
func (c *copier) linkSegments() error {
	s := c.store
	from, to := s.fs.PathJoin(s.opts.Dir, nameSegments), s.fs.PathJoin(c.dir, nameSegments)
	names, err := s.fs.List(from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := makeDir(s.fs, to); err != nil {
		return err
	}
	synced := vfs.NewSyncingFS(s.guard, vfs.SyncingFileOptions{BytesPerSync: tableSyncBytes})
	for _, name := range names {
		if strings.HasSuffix(name, ".new") { // left by a seal that did not finish
			continue
		}
		if err := vfs.LinkOrCopy(synced, s.fs.PathJoin(from, name), s.fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return syncDir(s.fs, to)
}

// verify reads all records of the copied database and returns its last commit, or an error
// if they do not have the digest of that commit.
func (c *copier) verify(ctx context.Context) (found state, err error) {
	s := c.store
	database := s.fs.PathJoin(c.dir, nameDatabase)
	lock, err := pebble.LockDirectory(database, s.fs)
	if err != nil {
		return state{}, err
	}
	// Another guard: a fault of the copy must not end the writes of the store.
	g := &guardFS{FS: s.fs, poison: newPoison(func(string, ...any) {}), dir: c.dir, closing: make(chan struct{})}
	o := pebbleOptions(g, lock, s.unit, s.total)
	o.CacheSize = 1 << 20 // every block is read once
	err = openReadOnly(g, database, o, func(db *pebble.DB) error {
		last, closer, err := db.Get(metaState[:])
		if errors.Is(err, pebble.ErrNotFound) {
			return nil // nothing was ever committed
		}
		if err != nil {
			return err
		}
		found, err = decodeState(last)
		if err = errors.Join(err, closer.Close()); err != nil {
			return err
		}
		records, err := digestAll(ctx, db, [][]byte{nil, nil}, 1, g.poison)
		if err != nil {
			return err
		}
		return found.digest.check(records)
	})
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return found, errors.Join(err, lock.Close(), s.fs.Remove(s.fs.PathJoin(database, nameLock)))
}
