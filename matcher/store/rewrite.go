package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// RewriteOptions are the options of [Store.Rewrite].
type RewriteOptions struct {
	// BytesPerSecond limits the rate at which files are written, so that requests are
	// answered meanwhile. 0: no limit.
	BytesPerSecond int64
	// Progress receives the part of the work that is done, from 0 to 1. nil: no call.
	Progress func(part float64)
}

const (
	// rotateMax limits the edits with which Rewrite turns over the manifest of the database,
	// as a multiple of the number of tables. Pebble starts a new manifest after as many.
	rotateMax = 4
	// obsoleteWait is how long Rewrite waits until Pebble has removed the old files.
	obsoleteWait  = 30 * time.Second
	obsoletePause = 20 * time.Millisecond
)

// Rewrite rewrites the files of the directory without what was deleted or replaced before
// the call: the cache, the journal, and the tables, the log and the manifest of the
// database. It returns the bytes that it wrote. Other commits go on meanwhile. The
// applier must have dropped its deleted rows before, because the cache has them otherwise.
func (s *Store) Rewrite(ctx context.Context, o RewriteOptions) (bytes int64, err error) {
	s.mu.RLock() // Close waits
	defer s.mu.RUnlock()
	if s.closed {
		return 0, matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.Err(); err != nil {
		return 0, err
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
	if s.verifier != nil { // its snapshot keeps deleted records
		select {
		case <-s.verifier.ended:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if bytes, err = s.sealer.sealNow(ctx, o.BytesPerSecond); err != nil {
		return bytes, fmt.Errorf("store: the segments cannot be written: %w", err)
	}
	o.Progress(0.3)
	s.guard.pace.begin(o.BytesPerSecond)
	defer s.guard.pace.end()
	err = runHaltable(s.poison, func() error {
		if err := s.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
			return err
		}
		o.Progress(0.9)
		return s.rotateManifest(ctx)
	})
	bytes += s.guard.pace.written.Load()
	if err != nil {
		return bytes, fmt.Errorf("store: the database cannot be rewritten: %w", err)
	}
	return bytes, s.awaitObsolete(ctx)
}

// rotateManifest writes edits to the manifest until Pebble has removed the manifests that
// exist now. They have the first and the last key of each table, also of old tables.
func (s *Store) rotateManifest(ctx context.Context) error {
	old, err := s.manifests()
	if err != nil {
		return err
	}
	tables := s.db.Metrics().Total().TablesCount
	for range rotateMax * (tables + 4) {
		// The smallest edit: a table that deletes the entry 0 of the journal, which never exists.
		if err := errors.Join(ctx.Err(), s.trimJournal(0)); err != nil {
			return err
		}
		if err := s.db.Flush(); err != nil {
			return err
		}
		now, err := s.manifests()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(old, func(name string) bool { return slices.Contains(now, name) }) {
			lower, upper := journalKey(0), journalKey(1)
			return s.db.Compact(ctx, lower[:], upper[:], false)
		}
	}
	return fmt.Errorf("the manifest %s is still in use", strings.Join(old, ", "))
}

// manifests returns the names of the manifests of the database.
func (s *Store) manifests() ([]string, error) {
	names, err := s.fs.List(s.databasePath())
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "MANIFEST-") }), err
}

func (s *Store) databasePath() string { return s.fs.PathJoin(s.opts.Dir, nameDatabase) }

// awaitObsolete waits until Pebble has removed the tables that it does not use any more.
func (s *Store) awaitObsolete(ctx context.Context) error {
	for end := time.Now().Add(obsoleteWait); ; {
		unused, err := s.unusedTables()
		if err != nil || len(unused) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("store: the database still has old files after %v: %s", obsoleteWait, strings.Join(unused, ", "))
		}
		select {
		case <-time.After(obsoletePause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unusedTables returns the names of the tables that are not part of the database: old
// ones, and those that are being written.
func (s *Store) unusedTables() ([]string, error) {
	names, err := s.fs.List(s.databasePath())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !isTable(name) || s.isLive(name) }), nil
}

// IsLive reports whether a file of the folder of the database, given by its name, is a
// table that the database uses now.
func (s *Store) IsLive(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.closed && s.poison.fault() == nil && s.isLive(name)
}

func (s *Store) isLive(name string) bool {
	var levels [][]pebble.SSTableInfo
	err := runHaltable(s.poison, func() (err error) {
		levels, err = s.db.SSTables()
		return err
	})
	for _, level := range levels {
		for i := range level {
			if fmt.Sprintf("%06d.sst", uint64(level[i].BackingSSTNum)) == name {
				return err == nil
			}
		}
	}
	return false
}

// PauseSealing waits until nothing is being sealed, and keeps the files of the cache as they
// are until resume is called. It must be called before Close.
func (s *Store) PauseSealing(ctx context.Context) (resume func(), err error) {
	return s.sealer.pause(ctx)
}

// EachRecord calls f with each record of the database, in the order of keys, until f
// returns an error. f must not keep its arguments. Records that are written meanwhile may
// be missing.
func (s *Store) EachRecord(ctx context.Context, f func(key, value []byte) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.poison.fault(); err != nil {
		return err
	}
	return runHaltable(s.poison, func() (err error) {
		it, err := s.db.NewIterWithContext(ctx, nil)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for it.First(); it.Valid(); it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return fmt.Errorf("store: %w", err)
			}
			if err := f(it.Key(), value); err != nil {
				return err
			}
		}
		return it.Error()
	})
}

// pace limits the rate at which tables are written by compactions, and counts their
// bytes. The zero value does not limit it.
type pace struct {
	rate    atomic.Int64 // bytes per second; 0: no limit
	written atomic.Int64 // since begin
}

func (p *pace) begin(rate int64) {
	p.written.Store(0)
	p.rate.Store(rate)
}

func (p *pace) end() { p.rate.Store(0) }

// took counts bytes that were written, and pauses.
func (p *pace) took(bytes int) {
	p.written.Add(int64(bytes))
	if rate := p.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(int64(bytes) * int64(time.Second) / rate))
	}
}
