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

// Options configure [Open].
type Options struct {
	Dir      string           // data directory, created if it does not exist
	Applier  Applier          // keeps the copy in memory
	Cache    Cache            // stores the same copy on disk, for a fast start; nil for no cache
	Observer matcher.Observer // its Stored is called after Apply, for each object put; nil for none
	Watcher  Watcher          // receives all changes; nil for none
	Auditor  Auditor          // makes records of writes; nil for none
	// Check is called when everything was read, before anything is written. Its
	// error becomes the error of Open. nil for no check.
	Check func() error
	// Warn receives messages for the operator, with slog's key/value pairs. nil
	// drops them. The store itself never logs.
	Warn func(msg string, args ...any)
	// Progress is called repeatedly while Open fills the applier. nil for no call.
	Progress Progress
	// Verified is called when the records were verified after a start from the cache, with
	// their number and the time that it took. nil for no call.
	Verified func(records uint64, took time.Duration)
	// SealAfter is the number of changes after which the cache is sealed again; 0
	// means 16,384. Close seals the rest.
	SealAfter int

	// The following options are for tests.
	fs           vfs.FS           // injects faults; nil: the disk
	tableBytes   int              // 0: the constant tableBytes
	deleteBatch  int              // 0: the constant DeleteBatch
	reclaimAfter int64            // 0: the constant reclaimAfter
	now          func() time.Time // nil: time.Now
	beforeVerify func()           // called before the records are verified in the background; nil: no call
}

// Store is an open data directory. Its methods are safe for concurrent use.
type Store struct {
	opts   Options
	fs     vfs.FS // without the guard
	guard  *guardFS
	poison *poison
	lock   *pebble.Lock
	db     *pebble.DB
	unit   int64 // see unitOf
	total  int64 // size of the file system in bytes
	spare  *spare
	tables sstable.WriterOptions

	flushWarned bool // used only by Pebble's flush goroutine

	instance  matcher.ID // ID of the directory
	sealer    *sealer    // nil without a cache
	reclaimer *reclaimer
	verifier  *verifier       // nil if Open has verified the records
	tasks     sync.WaitGroup  // goroutines and calls that endTasks ends
	working   context.Context // ends with endTasks
	endTasks  context.CancelFunc

	viaLog atomic.Bool // large commits go through the log, too; see copier.link

	// Only the writer goroutine uses the following fields.
	lists     *listTable
	state     state    // of the last commit
	committed vfs.File // COMMITTED

	owners atomic.Pointer[matcher.Owners]

	// marked is the error of writes while the directory has a marker of damage and is being
	// verified; nil: writes are accepted, unless the store is poisoned. See marker.go.
	marked atomic.Pointer[error]

	queue       chan *request
	writerEnded chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // read-locked while a request is sent to queue
	closed bool
	once   sync.Once
	err    error // result of Close
}

// queueMax is the largest number of transactions that wait for the writer.
const queueMax = 1024

// Open opens a data directory. It locks the directory, verifies everything that it
// passes to o.Applier, and only then writes. An error names the directory, the fault and
// what to do. After an error the directory is unchanged except for its lock file, and the
// applier must not be used any more. After a start from the cache, the store verifies the
// records that Open did not read, and Err returns the damage that it finds. If an earlier
// verification has found damage, writes are refused until this one finds none.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	if o.Progress == nil {
		o.Progress = func(uint64, uint64) {}
	}
	if o.Verified == nil {
		o.Verified = func(uint64, time.Duration) {}
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
	if o.deleteBatch == 0 {
		o.deleteBatch = DeleteBatch
	}
	if o.reclaimAfter == 0 {
		o.reclaimAfter = reclaimAfter
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: data directory %s: %w", o.Dir, err)
	}
	o.Dir = dir
	s := &Store{opts: o, fs: o.fs, poison: newPoison(o.Warn), queue: make(chan *request, queueMax), writerEnded: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	s.reclaimer = &reclaimer{store: s, after: o.reclaimAfter, wake: make(chan struct{}, 1)}
	go s.runWriter()
	s.startTasks()
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	dir, database := s.opts.Dir, s.fs.PathJoin(s.opts.Dir, nameDatabase)
	if err := makeDir(s.fs, dir); err != nil {
		return fmt.Errorf("store: data directory %s cannot be created: %w", dir, err)
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
		return damageError(dir, err)
	}
	if s.lock, err = lockDir(s.fs, dir); err != nil {
		return err
	}
	openDirs.Store(dir, struct{}{})
	defer func() {
		if err != nil {
			err = s.abandon(err)
		}
	}()
	// Another process may have changed the directory before this one locked it.
	if state, err = inspectDir(s.fs, dir); err != nil {
		return err
	}
	return s.openDatabase(ctx, database, state)
}

// abandon releases the directory after Open failed with err. If Pebble was halted,
// its goroutines may still use the files, so the lock stays until the process
// ends.
func (s *Store) abandon(err error) error {
	if s.poison.fault() != nil {
		return err
	}
	openDirs.Delete(s.opts.Dir)
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
		if err := createDatabase(s.guard, dir, s.pebbleOptions()); err != nil {
			return fmt.Errorf("store: data directory %s cannot be created: %w", dir, err)
		}
	}
	l := loader{applier: s.opts.Applier, progress: s.opts.Progress, lists: newLists()}
	err = openReadOnly(s.guard, database, s.pebbleOptions(), func(db *pebble.DB) error {
		return l.fillApplier(ctx, db, &s.opts)
	})
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("store: opening data directory %s: %w", dir, ctx.Err())
		}
		return damageError(dir, err)
	}
	if err := checkIdentity(s.fs, dir, l.instance); err != nil {
		return err
	}
	if err := checkCommitted(s.fs, dir, l.state.commits); err != nil {
		return damageError(dir, err)
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
		return fmt.Errorf("store: data directory %s is undamaged, but cannot be opened for writing: %w", dir, err)
	}
	s.tables = o.MakeWriterOptions(0, s.db.TableFormat())
	s.committed, err = s.fs.OpenReadWrite(s.fs.PathJoin(dir, nameCommitted), vfs.WriteCategoryUnspecified)
	if err != nil {
		err = fmt.Errorf("store: data directory %s: %w", dir, err)
		return errors.Join(err, runHaltable(s.poison, s.db.Close))
	}
	s.guard.armed.Store(true)
	if err = s.keepIdentity(l.instance); err == nil {
		err = s.openCache(&l)
	}
	if err == nil {
		err = s.checkMarker(!l.restored)
	}
	if err == nil && l.restored {
		s.verifier, err = newVerifier(s)
	}
	if err != nil {
		err = fmt.Errorf("store: data directory %s: %w", dir, err)
		return errors.Join(err, s.committed.Close(), runHaltable(s.poison, s.db.Close))
	}
	return nil
}

func (s *Store) pebbleOptions() *pebble.Options {
	return pebbleOptions(s.guard, s.lock, s.unit, s.total)
}

// flushed is called by Pebble after it wrote, or failed to write, a memtable.
func (s *Store) flushed(info pebble.FlushInfo) {
	if info.Err == nil || strings.Contains(info.Err.Error(), "empty table") { // an empty memtable is not a fault
		s.guard.flushFault.Store(nil)
		s.flushWarned = false
		return
	}
	s.guard.flushFault.Store(&info.Err)
	if !s.flushWarned {
		s.flushWarned = true
		s.opts.Warn("store: a table cannot be written; trying again", "error", info.Err)
	}
}

// Err returns the reason why nothing can be written, or nil if writes work.
func (s *Store) Err() error {
	if err := s.poison.fault(); err != nil {
		return err
	}
	if marked := s.marked.Load(); marked != nil {
		return *marked
	}
	return nil
}

// Close runs the transactions that wait in the queue, then closes the directory.
// Later commits fail with CodeUnavailable. If the store is poisoned, Close does
// not wait and returns the fault: the directory stays locked until the process
// ends, because Pebble may still use its files.
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
	case <-s.writerEnded:
	case <-s.poison.done:
	}
	if s.poison.fault() == nil {
		s.tasks.Wait()
		if s.marked.Load() == nil {
			s.sealer.finish()
		}
	}
	close(s.guard.closing)
	if err := s.poison.fault(); err != nil {
		return err
	}
	if err := runHaltable(s.poison, s.db.Close); err != nil {
		return fmt.Errorf("store: closing data directory %s: %w", s.opts.Dir, err)
	}
	err := errors.Join(s.committed.Close(), s.lock.Close())
	openDirs.Delete(s.opts.Dir)
	return err
}
