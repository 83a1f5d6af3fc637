package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// A journal is not followed when it has more keys than this and than a share
// of all records: reading them one by one would take longer than reading all.
const (
	journalKeysMin = 1 << 16
	journalShare   = 4
)

// journalMax returns how many keys a journal that leads to s may have.
func (s state) journalMax() int64 {
	return max(journalKeysMin, int64(s.digest.records/journalShare))
}

// fill fills the applier with what all records say, which it verifies: from
// the cache, while all records are counted beside that, or record by record.
func (l *loader) fill(ctx context.Context, db *pebble.DB, o *Options, p *poison) error {
	if o.Cache == nil {
		return l.loadAndCheck(ctx, db)
	}
	counting, stop := context.WithCancel(ctx)
	defer stop()
	all := make(chan counted, 1)
	go func() {
		d, err := countAll(counting, db, p)
		all <- counted{d, err}
	}()
	err := l.restore(ctx, db, o.Cache, filepath.Join(o.Dir, nameSegments))
	if !l.restored {
		stop()
	}
	found := <-all
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case found.err != nil && !errors.Is(found.err, context.Canceled):
		return found.err // loading would find it too
	case !l.restored:
		*l = loader{applier: l.applier, lists: newLists(), misfit: err}
		return l.loadAndCheck(ctx, db)
	}
	l.digest = found.digest
	return l.check()
}

// restore fills the applier from the cache, if there is one, and the journal.
// After an error the applier is empty.
func (l *loader) restore(ctx context.Context, db *pebble.DB, cache Cache, dir string) error {
	b, err := cache.Restore(ctx, dir)
	if b == nil || err != nil {
		return err
	}
	m, err := decodeMark(b)
	if err == nil {
		err = l.follow(ctx, db, cache, m)
	}
	if err != nil {
		cache.Discard()
		return err
	}
	l.restored, l.sealed = true, m.state.commits
	return nil
}

// follow brings what was restored under a mark to the last commit.
func (l *loader) follow(ctx context.Context, db *pebble.DB, cache Cache, m mark) error {
	if err := l.head(ctx, db); err != nil {
		return err
	}
	if m.instance != l.instance {
		return errors.New("they are of another data directory")
	}
	keys, err := readJournal(ctx, db, m.state, l.state)
	if err != nil {
		return err
	}
	l.replayed = len(keys)
	if err := l.replay(ctx, db, keys); err != nil {
		return err
	}
	if n := cache.Records(); n != l.state.digest.records {
		return fmt.Errorf("they lead to %d lists and objects, not %d", n, l.state.digest.records)
	}
	return nil
}

// head reads the lists, as changes, and what the last commit says.
func (l *loader) head(ctx context.Context, db *pebble.DB) (err error) {
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
		if err := l.record(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}

// replay applies what became of keys, which ascend. Lists come first: a list
// that was deleted loses its faces before it comes again, and before faces
// that are in it.
func (l *loader) replay(ctx context.Context, db *pebble.DB, keys []key) (err error) {
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
			return fmt.Errorf("the journal has the key %x, which is of no known kind", k)
		}
		if it.SeekGE(k[:]) && key(it.Key()) == k {
			value, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			if err := l.record(k[:], value); err != nil {
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
