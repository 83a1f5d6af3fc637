package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

const (
	// sealAfter is how many changes wait before the cache is sealed again: as
	// many as a start reads from the journal in a tenth of a second or two.
	sealAfter = 1 << 14
	// sealRest is how long the sealer rests, in times of what its work took, so
	// that a long import has the disk to itself most of the time.
	sealRest = 4
	// sealTimeMax is how long closing may take to seal the rest, and then to
	// write what is only in Pebble's log.
	sealTimeMax = 5 * time.Second
)

// nameSegments is the folder of the cache.
const nameSegments = "segments"

// sealer seals the cache while the store is open. A nil sealer does nothing.
type sealer struct {
	store   *Store
	cache   Cache
	dir     string
	after   int64
	changes atomic.Int64 // since the last capture
	wake    chan struct{}

	// Of the goroutine, and of close after it.
	captured state
	behind   int64  // changes from what is sealed to what was captured
	sealed   uint64 // commit of the mark
	current  bool   // there is a cache, of commit sealed
}

// note says that a commit brought changes; the writer calls it.
func (q *sealer) note(changes int) {
	if q == nil || q.changes.Add(int64(changes)) < q.after {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run is the sealer's goroutine.
func (q *sealer) run(ctx context.Context) {
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
		var seal Seal
		err := q.store.CommitAlone(ctx, func(*Tx) error {
			seal = q.capture()
			return nil
		})
		if err == nil {
			if err = q.seal(ctx, seal); err != nil && ctx.Err() == nil && q.behind > q.captured.journalMax() {
				err = errors.Join(err, q.giveUp())
			}
		}
		q.report(ctx, err)
		rest.Reset(sealRest * time.Since(start))
	}
}

func (q *sealer) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && q.store.poison.get() == nil {
		q.store.opts.Warn("store: the segments cannot be written; the next start may take longer", "dir", q.dir, "error", err)
	}
}

// capture takes hold of the committed state; the writer calls it, or close
// when the writer has ended.
func (q *sealer) capture() Seal {
	q.captured = q.store.state
	q.behind += q.changes.Swap(0)
	return q.cache.Capture()
}

// seal seals what was captured and removes what came before it from the journal.
func (q *sealer) seal(ctx context.Context, seal Seal) error {
	at := mark{q.store.instance, q.captured}
	if err := seal(ctx, q.dir, at.append(nil), q.room); err != nil {
		return err
	}
	q.sealed, q.current, q.behind = q.captured.commits, true, 0
	if err := q.store.trim(q.captured.commits); err != nil {
		return fmt.Errorf("the journal cannot be trimmed: %w", err)
	}
	return nil
}

// room refuses what would leave too little space for writes: they come first.
func (q *sealer) room(bytes int64) error {
	free, _, err := diskUsage(q.store.fs, q.store.opts.Dir)
	if need := uint64(bytes) + 2*q.store.guard.reserve; err == nil && free < need {
		err = fmt.Errorf("%d bytes of disk space are needed, of them %d for what is written meanwhile; %d are free", need, need-uint64(bytes), free)
	}
	return err
}

// giveUp removes the cache and the journal when both are of no use any more: a
// start would not follow so many changes.
func (q *sealer) giveUp() error {
	q.current = false
	return errors.Join(q.cache.Drop(q.dir), q.store.trim(q.captured.commits))
}

// finish makes the next start fast, when run and the writer have ended: it
// seals what is not sealed yet, and empties Pebble's log, which opening would
// read twice and then write as a table.
func (q *sealer) finish() {
	if q == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sealTimeMax)
	defer cancel()
	if !q.current || q.sealed != q.store.state.commits {
		err := q.seal(ctx, q.capture())
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%v was not enough: %w", sealTimeMax, err)
		}
		q.report(context.Background(), err)
	}
	if q.store.guard.flush.Load() != nil {
		return // tables cannot be written
	}
	var flushed <-chan struct{}
	err := apart(q.store.poison, func() (err error) {
		flushed, err = q.store.db.AsyncFlush()
		return err
	})
	if err != nil {
		return // closing says what is wrong
	}
	select {
	case <-flushed:
	case <-ctx.Done():
	case <-q.store.poison.done:
	}
}

// openCache begins to keep the cache, of what l has loaded.
func (s *Store) openCache(l *loader) error {
	if s.opts.Cache == nil {
		return nil
	}
	if s.instance = l.instance; s.instance.IsZero() {
		s.instance = matcher.NewID()
		err := apart(s.poison, func() error { return s.db.Set(metaInstance[:], s.instance[:], pebble.Sync) })
		if err != nil {
			return err
		}
	}
	s.sealer = &sealer{
		store: s, cache: s.opts.Cache, dir: filepath.Join(s.opts.Dir, nameSegments), after: sealAfter,
		wake: make(chan struct{}, 1), sealed: l.sealed, current: l.restored,
	}
	if l.misfit != nil {
		s.opts.Warn("store: the segments could not be used; everything was read from the database and they are made again",
			"dir", s.sealer.dir, "error", errors.Join(l.misfit, s.opts.Cache.Drop(s.sealer.dir)))
	}
	if s.opts.SealAfter > 0 {
		s.sealer.after = int64(s.opts.SealAfter)
	}
	if l.restored {
		s.sealer.note(l.replayed)
	} else {
		s.sealer.note(int(l.digest.records))
	}
	return nil
}

// startTasks starts what goes on beside the writer, until endTasks.
func (s *Store) startTasks() {
	var ctx context.Context
	ctx, s.endTasks = context.WithCancel(context.Background())
	if s.sealer != nil {
		s.tasks.Go(func() { s.sealer.run(ctx) })
	}
}
