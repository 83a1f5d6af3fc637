package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"
)

const (
	// sealAfter is the number of changes after which the cache is sealed again. A
	// start reads so many changes from the journal in 0.1 to 0.2 seconds.
	sealAfter = 1 << 14
	// sealRest is the pause of the sealer, as a multiple of the time of its last
	// work. It leaves most of the disk's time to a long import.
	sealRest = 4
	// sealTimeMax limits the time that Close spends on sealing the rest and then
	// on writing tables for the records that are only in Pebble's log. What is not done
	// by then costs the next start some time.
	sealTimeMax = 1500 * time.Millisecond
)

// nameSegments is the name of the cache's directory.
const nameSegments = "segments"

// sealer seals the cache while the store is open. A nil sealer does nothing.
type sealer struct {
	store   *Store
	cache   Cache
	dir     string
	after   int64
	changes atomic.Int64 // since the last capture
	wake    chan struct{}
	turn    chan struct{} // holds a value while the files are sealed, or while they must not change

	// Used by the holder of turn, and by Close after the sealer's goroutine has ended.
	captured state  // at the last capture
	unsealed int64  // changes from the sealed state to the captured state
	sealed   uint64 // number of the commit that the cache contains
	current  bool   // the cache exists and contains commit sealed
}

// noteChanges counts the changes of a commit and wakes the sealer if there are
// enough. The writer calls it.
func (q *sealer) noteChanges(changes int) {
	if q == nil || q.changes.Add(int64(changes)) < q.after {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// runSealer is the sealer's goroutine.
func (q *sealer) runSealer(ctx context.Context) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-rest.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		err := q.sealCurrent(ctx, q.checkSpace)
		q.reportError(ctx, err)
		rest.Reset(sealRest * time.Since(start))
	}
}

// sealCurrent seals the current state. If that fails and the journal has become too long to
// follow, it removes the cache. room is called as [Seal] describes.
func (q *sealer) sealCurrent(ctx context.Context, room func(bytes int64) error) error {
	release, err := q.pause(ctx)
	if err != nil {
		return err
	}
	defer release()
	var seal Seal
	err = q.store.CommitAlone(ctx, func(*Tx) error {
		seal = q.capture()
		return nil
	})
	if err != nil {
		return err
	}
	if err = q.seal(ctx, seal, room); err != nil && ctx.Err() == nil && q.unsealed > q.captured.journalMax() {
		err = errors.Join(err, q.dropCache())
	}
	return err
}

// pause waits until nothing is being sealed. Until release is called, the files of the cache
// and the beginning of the journal do not change.
func (q *sealer) pause(ctx context.Context) (release func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sealNow seals the cache and trims the journal at once. It returns the bytes that it
// wrote. rate limits the bytes per second; 0: no limit. Without a sealer it does nothing.
func (q *sealer) sealNow(ctx context.Context, rate int64) (bytes int64, err error) {
	if q == nil {
		return 0, nil
	}
	first := true
	err = q.sealCurrent(ctx, func(n int64) error {
		if first { // the first call has the size of all files
			first, bytes = false, n
		} else if rate > 0 {
			select {
			case <-time.After(time.Duration(n * int64(time.Second) / rate)):
			case <-ctx.Done():
			}
		}
		return errors.Join(ctx.Err(), q.checkSpace(n))
	})
	return bytes, err
}

// reportError warns about err, unless the store is closing or refuses writes.
func (q *sealer) reportError(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && q.store.Err() == nil {
		q.store.opts.Warn("store: the segments cannot be written; the next start may take longer", "dir", q.dir, "error", err)
	}
}

// capture captures the committed state in the cache. The writer calls it, or Close
// after the writer has ended.
func (q *sealer) capture() Seal {
	q.captured = q.store.state
	q.unsealed += q.changes.Swap(0)
	return q.cache.Capture()
}

// seal writes the captured state to the cache, then removes the older entries from
// the journal.
func (q *sealer) seal(ctx context.Context, seal Seal, room func(bytes int64) error) error {
	at := mark{q.store.instance, q.captured}
	if err := seal(ctx, q.dir, at.append(nil), room); err != nil {
		return err
	}
	q.sealed, q.current, q.unsealed = q.captured.commits, true, 0
	if err := q.store.trimJournal(q.captured.commits); err != nil {
		return fmt.Errorf("the journal cannot be trimmed: %w", err)
	}
	return nil
}

// checkSpace returns an error if a cache of the given size would leave too little
// disk space for writes, which have priority.
func (q *sealer) checkSpace(bytes int64) error {
	free, _, err := diskUsage(q.store.fs, q.store.opts.Dir)
	if need := uint64(bytes) + 2*q.store.guard.reserve; err == nil && free < need {
		err = fmt.Errorf("%d bytes of disk space are needed, including %d for other writes, but only %d are free", need, need-uint64(bytes), free)
	}
	return err
}

// dropCache removes the cache and the journal. Both are useless once there are so
// many changes that a start does not follow the journal.
func (q *sealer) dropCache() error {
	q.current = false
	return errors.Join(q.cache.Drop(q.dir), q.store.trimJournal(q.captured.commits))
}

// finish prepares a fast start. It is called after runSealer and the writer have
// ended. It seals the changes that are not sealed yet, and flushes Pebble's log to
// a table; otherwise Open would read the log twice and then write that table.
func (q *sealer) finish() {
	if q == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sealTimeMax)
	defer cancel()
	if !q.current || q.sealed != q.store.state.commits {
		err := q.seal(ctx, q.capture(), q.checkSpace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%v was not enough: %w", sealTimeMax, err)
		}
		q.reportError(context.Background(), err)
	}
	if q.store.guard.flushFault.Load() != nil {
		return // tables cannot be written
	}
	var flushed <-chan struct{}
	err := runHaltable(q.store.poison, func() (err error) {
		flushed, err = q.store.db.AsyncFlush()
		return err
	})
	if err != nil {
		return // Close reports the fault
	}
	select {
	case <-flushed:
	case <-ctx.Done():
	case <-q.store.poison.done:
	}
}

// openCache creates the sealer, if the store has a cache. l is the loader that
// filled the applier.
func (s *Store) openCache(l *loader) error {
	if s.opts.Cache == nil {
		return nil
	}
	s.sealer = &sealer{
		store: s, cache: s.opts.Cache, dir: filepath.Join(s.opts.Dir, nameSegments), after: sealAfter,
		wake: make(chan struct{}, 1), turn: make(chan struct{}, 1), sealed: l.sealed, current: l.restored,
	}
	if l.cacheFault != nil {
		s.opts.Warn("store: the segments could not be used; everything was read from the database, and new segments will be written",
			"dir", s.sealer.dir, "error", errors.Join(l.cacheFault, s.opts.Cache.Drop(s.sealer.dir)))
	}
	if s.opts.SealAfter > 0 {
		s.sealer.after = int64(s.opts.SealAfter)
	}
	if l.restored {
		s.sealer.noteChanges(l.replayed)
	} else {
		s.sealer.noteChanges(int(l.digest.records))
	}
	return nil
}

// startTasks starts the background goroutines. endTasks ends them.
func (s *Store) startTasks() {
	var ctx context.Context
	ctx, s.endTasks = context.WithCancel(context.Background())
	s.working = ctx
	s.tasks.Go(func() { s.reclaimer.runReclaimer(ctx) })
	if s.sealer != nil {
		s.tasks.Go(func() { s.sealer.runSealer(ctx) })
	}
	if s.verifier != nil {
		s.tasks.Go(func() { s.verifier.runVerifier(ctx) })
	}
}
