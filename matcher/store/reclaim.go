package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// reclaimAfter is the number of bytes of deleted and replaced records, called
	// garbage, after which the tables are rewritten without them.
	reclaimAfter = 16 << 20
	// reclaimShare is a divisor: at least 1/reclaimShare of the tables' bytes must be
	// garbage, because rewriting writes all the other bytes again.
	reclaimShare = 2
	// reclaimRest is the pause of the reclaimer, as a multiple of the time of its
	// last work.
	reclaimRest = 4
)

// reclaimer frees the disk space of deleted and replaced records while the store is
// open. Pebble itself frees it only when more data is written.
type reclaimer struct {
	store   *Store
	after   int64
	garbage atomic.Int64 // bytes of records deleted or replaced since the last compaction
	wake    chan struct{}
}

// noteGarbage adds the bytes of records that a commit deleted or replaced, and wakes
// the reclaimer if there are enough. The writer calls it.
func (r *reclaimer) noteGarbage(bytes int64) {
	if r.garbage.Add(bytes) < r.after {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// runReclaimer is the reclaimer's goroutine.
func (r *reclaimer) runReclaimer(ctx context.Context) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-rest.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		if err := r.reclaim(ctx); err != nil && ctx.Err() == nil && r.store.poison.fault() == nil {
			r.store.opts.Warn("store: the disk space of deleted objects cannot be freed; the store tries again after more deletes", "error", err)
		}
		rest.Reset(max(reclaimRest*time.Since(start), time.Second))
	}
}

// reclaim rewrites the tables if enough of them is garbage.
func (r *reclaimer) reclaim(ctx context.Context) error {
	taken := r.garbage.Load()
	return runHaltable(r.store.poison, func() error {
		m := r.store.db.Metrics()
		tables := m.Total().TablesSize + int64(m.MemTable.Size) //nolint:gosec // far below 2^63
		if taken*reclaimShare < tables {
			return nil
		}
		r.garbage.Add(-taken)
		first, last := []byte{0}, []byte{0xff}
		err := r.store.db.Compact(ctx, first, last, false)
		if err != nil {
			r.garbage.Add(taken)
		}
		return err
	})
}

// noRecycling is a cleaner that deletes obsolete files. By default Pebble keeps up to
// five logs of 70 MiB to overwrite them, unless its cleaner needs the content of
// files, as [pebble.ArchiveCleaner] does. Embedding that type one level deeper
// inherits only its marker method; the other methods come from DeleteCleaner.
type noRecycling struct {
	pebble.DeleteCleaner
	contentMark
}

type contentMark struct{ pebble.ArchiveCleaner }
