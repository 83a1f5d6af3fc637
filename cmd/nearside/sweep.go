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
	expiryEvery    = time.Second // attributes are gone for matching at their time; this gives their memory back
	retentionEvery = time.Minute
	sweepMax       = 10_000 // objects deleted by one commit, so that writes beside it do not wait long
)

// sweeper deletes what has had its time: attributes that have expired, events
// that are older than the retention.
type sweeper struct {
	store     *store.Store
	memory    *memory.Memory
	retention time.Duration // of events; 0: for ever
	log       *slog.Logger
	failing   bool // the last sweep did, and was logged
}

// start sweeps until ctx ends, and then closes the channel that it returns.
func (s *sweeper) start(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx)
	}()
	return ended
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	expiry, retention := time.NewTicker(expiryEvery), time.NewTicker(retentionEvery)
	defer expiry.Stop()
	defer retention.Stop()
	s.note(ctx, s.outdated(ctx, time.Now())) // what grew old while nothing ran
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			s.note(ctx, s.expired(ctx))
		case now := <-retention.C:
			s.note(ctx, s.outdated(ctx, now))
		}
	}
}

// note logs the first of several failures: they mostly have one cause, as a
// full disk.
func (s *sweeper) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && !s.failing {
		s.log.Warn("what has had its time cannot be deleted; it is tried again", "error", err)
	}
	s.failing = err != nil
}

// expired deletes attributes whose time has come.
func (s *sweeper) expired(ctx context.Context) error {
	return s.delete(ctx, matcher.Attributes, func() ([]matcher.ID, error) { return s.memory.Expired(sweepMax), nil })
}

// outdated deletes events that are older at now than the retention.
func (s *sweeper) outdated(ctx context.Context, now time.Time) error {
	if s.retention == 0 {
		return nil
	}
	before := matcher.TimeOf(now.Add(-s.retention))
	filter := matcher.Filter{CreateTime: matcher.Range[matcher.Time]{LT: &before}}
	return s.delete(ctx, matcher.Events, func() ([]matcher.ID, error) {
		ids, err := s.memory.IDs(ctx, matcher.Events, &filter, nil)
		return ids[:min(len(ids), sweepMax)], err
	})
}

// delete deletes what find finds, until that is nothing more. The first look
// costs no commit.
func (s *sweeper) delete(ctx context.Context, o matcher.Origin, find func() ([]matcher.ID, error)) error {
	if len(s.store.Owners().OfOrigin(o)) > 0 {
		return nil // what is left of it here serves nobody
	}
	for {
		ids, err := find()
		if err != nil || len(ids) == 0 {
			return err
		}
		if _, err := s.store.DeleteObjects(ctx, o, find); err != nil { // it may have changed
			return err
		}
		if len(ids) < sweepMax {
			return nil
		}
	}
}
