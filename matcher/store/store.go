package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// Options say how to open a [Store].
type Options struct {
	Dir      string           // data directory, created when absent
	Applier  Applier          // keeps the copy in memory
	Cache    Cache            // of the same copy, makes a start fast; nil: none
	Observer matcher.Observer // nil: none; Stored is called after Apply, for each object put
	// Check is asked when all was read, before anything is written: its error
	// is that of Open. nil: none.
	Check func() error
	// Warn is told what an operator should know, with slog's key/value pairs;
	// nil: dropped. Store itself never logs.
	Warn func(msg string, args ...any)
	// SealAfter is how many changes wait before the cache is sealed again;
	// 0: 16,384. Closing seals the rest.
	SealAfter int

	fs         vfs.FS           // tests put faults in; nil: the disk
	tableBytes int              // tests write small tables; 0: tableBytes
	now        func() time.Time // tests compare what was stored; nil: time.Now
}

// Store is an open data directory. Its methods are safe for concurrent use.
type Store struct {
	opts   Options
	fs     vfs.FS // without guard
	guard  *guardFS
	poison *poison
	lock   *pebble.Lock
	db     *pebble.DB
	unit   int64
	total  int64 // bytes of the file system
	spare  *spare
	tables sstable.WriterOptions

	flushWarned bool // of Pebble's one flush goroutine

	instance matcher.ID     // zero without a cache
	sealer   *sealer        // nil without a cache
	tasks    sync.WaitGroup // goroutines that endTasks ends
	endTasks context.CancelFunc

	// The writer goroutine's own.
	lists     *lists
	state     state // of the last commit
	committed vfs.File

	owners atomic.Pointer[matcher.Owners]

	queue   chan *request
	written chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // held for reading while a request is put into queue
	closed bool
	once   sync.Once
	err    error // of Close
}

// queueMax is how many transactions may wait for the writer.
const queueMax = 1024

// Open opens a data directory: it locks it, reads everything into o.Applier,
// which verifies it, and only then writes. The errors name the directory, say
// what is wrong and what to do; the directory is unchanged then, but for its
// lock file. The applier must be thrown away after an error.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.tableBytes == 0 {
		o.tableBytes = tableBytes
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: data directory %s: %w", o.Dir, err)
	}
	o.Dir = dir
	s := &Store{opts: o, fs: o.fs, poison: newPoison(o.Warn), queue: make(chan *request, queueMax), written: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	go s.write()
	s.startTasks()
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	dir, database := s.opts.Dir, s.fs.PathJoin(s.opts.Dir, nameDatabase)
	if err := makeDir(s.fs, dir); err != nil {
		return fmt.Errorf("store: data directory %s cannot be made: %w", dir, err)
	}
	state, err := inspectDir(s.fs, dir)
	if err != nil {
		return err
	}
	if state == dirNew {
		if err := makeDir(s.fs, database); err != nil {
			return fmt.Errorf("store: data directory %s: %w", dir, err)
		}
	} else if _, err := s.fs.Stat(database); err != nil {
		return damaged(dir, err)
	}
	if s.lock, err = lockDir(s.fs, dir); err != nil {
		return err
	}
	opened.Store(dir, struct{}{})
	defer func() {
		if err != nil {
			err = s.abandon(err)
		}
	}()
	// Between the first look and the lock, another process may have been here.
	if state, err = inspectDir(s.fs, dir); err != nil {
		return err
	}
	return s.openDatabase(ctx, database, state)
}

// abandon gives up opening. When Pebble was halted its goroutines may still
// work on the files, so the lock stays until the process ends.
func (s *Store) abandon(err error) error {
	if s.poison.get() != nil {
		return err
	}
	opened.Delete(s.opts.Dir)
	return errors.Join(err, s.lock.Close())
}

func (s *Store) openDatabase(ctx context.Context, database string, state dirState) error {
	dir := s.opts.Dir
	_, total, err := diskUsage(s.fs, dir)
	if err != nil {
		return err
	}
	s.unit, s.total = unitOf(total), int64(min(total, math.MaxInt64))
	s.spare = &spare{fs: s.fs, path: s.fs.PathJoin(dir, nameSpare), size: s.unit}
	s.guard = &guardFS{FS: s.fs, poison: s.poison, spare: s.spare, dir: dir, reserve: uint64(2 * s.unit), closing: make(chan struct{})}
	if state == dirNew {
		if err := create(s.guard, dir, s.pebbleOptions()); err != nil {
			return fmt.Errorf("store: data directory %s cannot be made: %w", dir, err)
		}
	}
	l := loader{applier: s.opts.Applier, lists: newLists()}
	err = readOnly(s.guard, database, s.pebbleOptions(), func(db *pebble.DB) error {
		return l.fill(ctx, db, &s.opts, s.poison)
	})
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("store: opening data directory %s: %w", dir, ctx.Err())
		}
		return damaged(dir, err)
	}
	if err := checkCommitted(s.fs, dir, l.state.commits); err != nil {
		return damaged(dir, err)
	}
	s.lists, s.state = l.lists, l.state
	if s.opts.Check != nil {
		if err := s.opts.Check(); err != nil {
			return err
		}
	}

	if err := s.fs.Remove(s.tablePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	o := s.pebbleOptions()
	o.EventListener.FlushEnd = s.flushed
	if s.db, err = openPebble(database, o, s.poison); err != nil {
		return fmt.Errorf("store: data directory %s is sound, but cannot be opened for writing: %w", dir, err)
	}
	s.tables = o.MakeWriterOptions(0, s.db.TableFormat())
	s.committed, err = s.fs.OpenReadWrite(s.fs.PathJoin(dir, nameCommitted), vfs.WriteCategoryUnspecified)
	if err != nil {
		err = fmt.Errorf("store: data directory %s: %w", dir, err)
		return errors.Join(err, apart(s.poison, s.db.Close))
	}
	s.guard.armed.Store(true)
	if err := s.openCache(&l); err != nil {
		err = fmt.Errorf("store: data directory %s: %w", dir, err)
		return errors.Join(err, s.committed.Close(), apart(s.poison, s.db.Close))
	}
	return nil
}

func (s *Store) pebbleOptions() *pebble.Options {
	return pebbleOptions(s.guard, s.lock, s.unit, s.total)
}

// flushed is called by Pebble after it wrote, or failed to write, a memtable.
func (s *Store) flushed(info pebble.FlushInfo) {
	if info.Err == nil || strings.Contains(info.Err.Error(), "empty table") { // nothing to write: the memtable was empty
		s.guard.flush.Store(nil)
		s.flushWarned = false
		return
	}
	s.guard.flush.Store(&info.Err)
	if !s.flushWarned {
		s.flushWarned = true
		s.opts.Warn("store: a table cannot be written; it is tried again", "error", info.Err)
	}
}

// Err returns why nothing can be written any more, or nil.
func (s *Store) Err() error { return s.poison.get() }

// Close ends what waits in the queue, then closes the directory. Commits that
// come later get CodeUnavailable. When the store is poisoned Close does not
// wait: the directory stays locked until the process ends, because Pebble may
// still be working on it.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.endTasks()
		s.mu.Lock()
		s.closed = true
		close(s.queue)
		s.mu.Unlock()
		s.err = s.close()
	})
	return s.err
}

func (s *Store) close() error {
	select {
	case <-s.written:
	case <-s.poison.done:
	}
	if s.poison.get() == nil {
		s.tasks.Wait()
		s.sealer.finish()
	}
	close(s.guard.closing)
	if err := s.poison.get(); err != nil {
		return err
	}
	if err := apart(s.poison, s.db.Close); err != nil {
		return fmt.Errorf("store: closing data directory %s: %w", s.opts.Dir, err)
	}
	err := errors.Join(s.committed.Close(), s.lock.Close())
	opened.Delete(s.opts.Dir)
	return err
}
