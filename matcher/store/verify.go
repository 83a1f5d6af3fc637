package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	verifyBytes = 1 << 20 // between two rests
	verifyRest  = 3       // how long a rest is, in times of what was done since the last one
)

// verify reads all records, after a start that did not, and poisons the store
// when they are not those of the last commit. It takes a quarter of a core.
// What was restored stays in memory, so that it can be exported.
func (s *Store) verify(ctx context.Context) {
	err := apart(s.poison, func() error { return s.readAll(ctx) })
	if err != nil && ctx.Err() == nil && s.poison.get() == nil {
		s.poison.fail(fmt.Errorf("data directory %s is damaged: %w; what is in memory is whole: export it, then restore the directory from a copy, or move it away and import the data again", s.opts.Dir, err))
	}
}

func (s *Store) readAll(ctx context.Context) (err error) {
	snapshot := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	it, err := snapshot.NewIterWithContext(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	l := loader{lists: newLists()}
	bytes, start := 0, time.Now()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := l.count(it.Key(), value); err != nil {
			return err
		}
		if bytes += len(value); bytes < verifyBytes {
			continue
		}
		select {
		case <-time.After(verifyRest * time.Since(start)):
		case <-ctx.Done():
			return ctx.Err()
		}
		bytes, start = 0, time.Now()
	}
	if err := it.Error(); err != nil {
		return err
	}
	return l.checkDigest()
}

// count adds a record to the digest, and reads it when it says something about
// all.
func (l *loader) count(k, value []byte) error {
	kind, _, err := parseKey(k)
	switch {
	case err != nil:
		return err
	case kind == kindMeta:
		return l.meta(key(k), value)
	case kind != kindJournal:
		l.digest.add(key(k), value)
	}
	return nil
}
