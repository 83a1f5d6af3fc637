package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"nearside/internal/config"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
)

const (
	expiryEvery    = time.Second // matches skip expired attributes at once; this frees their memory
	retentionEvery = time.Minute
)

// retention says how long objects are kept; 0: for ever.
type retention struct {
	faces, events time.Duration
	lists         map[matcher.ID]time.Duration // how long faces stay in a list
}

// newRetention returns the retention of a configuration, which has checked the IDs.
func newRetention(cfg *config.Config) *retention {
	r := &retention{faces: cfg.Faces.Retention, events: cfg.Events.Retention, lists: map[matcher.ID]time.Duration{}}
	for text, age := range cfg.Lists.Retention {
		r.lists[matcher.MustID(text)] = age
	}
	return r
}

// sweeper deletes expired attributes, and objects that are older than the retention.
type sweeper struct {
	store     *store.Store
	memory    *memory.Memory
	retention atomic.Pointer[retention] // a reload replaces it
	log       *slog.Logger
	failing   bool // the last sweep failed and was logged
}

// start sweeps in the background until ctx ends. Then it closes the returned channel.
func (s *sweeper) start(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.sweepUntilDone(ctx)
	}()
	return ended
}

// sweepUntilDone sweeps until ctx ends.
func (s *sweeper) sweepUntilDone(ctx context.Context) {
	expiry, retention := time.NewTicker(expiryEvery), time.NewTicker(retentionEvery)
	defer expiry.Stop()
	defer retention.Stop()
	s.logFailure(ctx, s.deleteOutdated(ctx, time.Now())) // objects that became too old before the start
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			s.logFailure(ctx, s.deleteExpired(ctx))
		case now := <-retention.C:
			s.logFailure(ctx, s.deleteOutdated(ctx, now))
		}
	}
}

// logFailure logs the first of several failures in a row. They usually have the same
// cause, such as a full disk.
func (s *sweeper) logFailure(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && !s.failing {
		s.log.Warn("expired or old objects cannot be deleted; trying again", "error", err)
	}
	s.failing = err != nil
}

// deleteExpired deletes expired attributes. If there are none, it makes no commit.
func (s *sweeper) deleteExpired(ctx context.Context) error {
	if len(s.store.Owners().OfOrigin(matcher.Attributes)) > 0 {
		return nil // a remote owns attributes, so the local ones are not used
	}
	find := func() ([]matcher.ID, error) { return s.memory.Expired(store.DeleteBatch), nil }
	for ids, _ := find(); len(ids) > 0; ids, _ = find() { // find never fails
		n, err := s.store.DeleteObjects(matcher.WithCause(ctx, matcher.CauseExpiry), matcher.Attributes, find) // calls find again, because attributes may have changed
		if err != nil || n < store.DeleteBatch {
			return err
		}
	}
	return nil
}

// deleteOutdated deletes the objects that are older than the retention at now.
func (s *sweeper) deleteOutdated(ctx context.Context, now time.Time) error {
	ctx = matcher.WithCause(ctx, matcher.CauseRetention)
	r := s.retention.Load()
	err := errors.Join(s.deleteOld(ctx, matcher.Events, now, r.events), s.deleteOld(ctx, matcher.Faces, now, r.faces))
	for list, age := range r.lists {
		if age > 0 && len(s.store.Owners().OfList(list)) == 0 && len(s.store.Owners().OfOrigin(matcher.Faces)) == 0 {
			filter := olderThan(now, age)
			filter.ListID = &list
			deleted, unlinked, fault := s.store.DeleteFromList(ctx, list, s.memory.Finder(ctx, matcher.Faces, &filter, nil))
			if deleted+unlinked > 0 {
				s.log.Info("old faces were removed from a list", "list_id", list.String(), "deleted", deleted, "in_other_lists", unlinked)
			}
			err = errors.Join(err, fault)
		}
	}
	return err
}

// deleteOld deletes the objects of an origin that are older than age, unless it is 0.
func (s *sweeper) deleteOld(ctx context.Context, origin matcher.Origin, now time.Time, age time.Duration) error {
	if age == 0 || len(s.store.Owners().OfOrigin(origin)) > 0 {
		return nil
	}
	filter := olderThan(now, age)
	deleted, err := s.store.DeleteFound(ctx, origin, s.memory.Finder(ctx, origin, &filter, nil))
	if deleted > 0 {
		s.log.Info("old objects were deleted", "origin", origin.String(), "deleted", deleted)
	}
	return err
}

// olderThan returns a filter of the objects that are older than age at now.
func olderThan(now time.Time, age time.Duration) matcher.Filter {
	before := matcher.TimeOf(now.Add(-age))
	return matcher.Filter{CreateTime: matcher.Range[matcher.Time]{LT: &before}}
}
