package main

import (
	"context"
	"log/slog"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
)

const (
	expiryEvery    = time.Second // matches skip expired attributes at once; this frees their memory
	retentionEvery = time.Minute
)

// sweeper deletes expired attributes, and events that are older than the retention.
type sweeper struct {
	store     *store.Store
	memory    *memory.Memory
	retention time.Duration // of events; 0: for ever
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
	s.logFailure(ctx, s.deleteOutdated(ctx, time.Now())) // events that became too old before the start
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
		s.log.Warn("expired attributes or old events cannot be deleted; trying again", "error", err)
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

// deleteOutdated deletes events that are older than the retention at now.
func (s *sweeper) deleteOutdated(ctx context.Context, now time.Time) error {
	if s.retention == 0 || len(s.store.Owners().OfOrigin(matcher.Events)) > 0 {
		return nil
	}
	before := matcher.TimeOf(now.Add(-s.retention))
	filter := matcher.Filter{CreateTime: matcher.Range[matcher.Time]{LT: &before}}
	ctx = matcher.WithCause(ctx, matcher.CauseRetention)
	_, err := s.store.DeleteFound(ctx, matcher.Events, s.memory.Finder(ctx, matcher.Events, &filter, nil))
	return err
}
