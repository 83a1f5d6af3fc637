package store

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// A start does not follow a journal that has more keys than journalKeysMin and more
// than one key per journalShare records. Reading so many records one by one would
// take longer than reading all records.
const (
	journalKeysMin = 1 << 16
	journalShare   = 4
)

// journalMax returns the largest number of keys of a journal that leads to s.
func (s state) journalMax() int64 {
	return max(journalKeysMin, int64(s.digest.records/journalShare))
}

// fillApplier fills the applier. If the cache is valid, it restores the applier from the
// cache and the journal, and a [verifier] verifies the records later. Otherwise it reads,
// verifies and passes every record to the applier.
func (l *loader) fillApplier(ctx context.Context, db *pebble.DB, o *Options) error {
	if o.Cache == nil {
		return l.loadAndCheck(ctx, db)
	}
	err := l.restoreCache(ctx, db, o.Cache, filepath.Join(o.Dir, nameSegments))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !l.restored {
		*l = loader{applier: l.applier, progress: l.progress, lists: newLists(), cacheFault: err}
		return l.loadAndCheck(ctx, db)
	}
	return l.checkLists()
}

// restoreCache fills the applier from the cache and the journal. If the cache does
// not exist, it does nothing. After an error the applier is empty.
func (l *loader) restoreCache(ctx context.Context, db *pebble.DB, cache Cache, dir string) error {
	b, err := cache.Restore(ctx, dir, l.progress)
	if b == nil || err != nil {
		return err
	}
	m, err := decodeMark(b)
	if err == nil {
		err = l.followJournal(ctx, db, cache, m)
	}
	if err != nil {
		cache.Discard()
		return err
	}
	l.restored, l.sealed = true, m.state.commits
	return nil
}

// followJournal updates the applier, which was restored to the state of m, to the
// state of the last commit.
func (l *loader) followJournal(ctx context.Context, db *pebble.DB, cache Cache, m mark) error {
	if err := l.readLists(ctx, db); err != nil {
		return err
	}
	if m.instance != l.instance {
		return fmt.Errorf("the segments belong to the data directory with ID %s, but this one has ID %s", m.instance, l.instance)
	}
	keys, err := readJournal(ctx, db, m.state, l.state)
	if err != nil {
		return err
	}
	l.replayed = len(keys)
	if err := l.replayKeys(ctx, db, keys); err != nil {
		return err
	}
	if n := cache.Records(); n != l.state.digest.records {
		return fmt.Errorf("the segments and the journal lead to %d lists and objects, but the last commit has %d", n, l.state.digest.records)
	}
	// The segments have no fields of lists. A list without its record would have no account.
	if n, lists := cache.ListCount(), l.lists.byID.Len(); n != lists {
		return fmt.Errorf("the segments and the journal lead to %d lists, but the database has %d", n, lists)
	}
	return nil
}

// readLists reads all lists, as changes, and the state of the last commit.
func (l *loader) readLists(ctx context.Context, db *pebble.DB) (err error) {
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{kindList}, UpperBound: []byte{kindMeta + 1}})
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := l.readRecord(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}

// replayKeys applies the current records of keys, which ascend. Lists come first: a
// list that was deleted must lose its faces before the list is put again and before
// faces are put that are in it.
func (l *loader) replayKeys(ctx context.Context, db *pebble.DB, keys []key) (err error) {
	puts := l.changes
	l.changes = nil
	for len(keys) > 0 && keys[0][0] == kindList {
		l.changes = append(l.changes, Change{Kind: DeleteList, ID: matcher.ID(keys[0][1:])})
		keys = keys[1:]
	}
	l.flush()
	l.changes = puts
	l.flush()
	it, err := db.NewIterWithContext(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	for _, k := range keys {
		origin, ok := originOf(k[0])
		if !ok {
			return fmt.Errorf("the journal has the key %x, which has an unknown kind", k)
		}
		if it.SeekGE(k[:]) && key(it.Key()) == k {
			value, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			if err := l.readRecord(k[:], value); err != nil {
				return err
			}
		} else {
			l.changes = append(l.changes, Change{Kind: DeleteObject, Origin: origin, ID: matcher.ID(k[1:])})
		}
		if err := l.flushFull(ctx); err != nil {
			return err
		}
	}
	l.flush()
	return it.Error()
}
