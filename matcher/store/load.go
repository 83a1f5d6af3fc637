package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// Bounds of a batch that load hands to the applier.
const (
	loadChanges = 4096
	loadBytes   = 4 << 20
)

// loader reads a whole database, which verifies the checksum of every block.
type loader struct {
	applier  Applier
	lists    *lists
	instance matcher.ID // of the data directory; zero: it has none
	state    state      // as the last commit stored it
	digest   digest     // as it is
	changes  []Change
	bytes    int

	restored bool   // from the cache
	sealed   uint64 // commit that the cache was of
	replayed int    // changes that came after it
	misfit   error  // why the cache could not be used
}

func (l *loader) loadAndCheck(ctx context.Context, db *pebble.DB) error {
	if err := l.load(ctx, db); err != nil {
		return err
	}
	return l.check()
}

// load hands all lists and objects to the applier, lists first.
func (l *loader) load(ctx context.Context, db *pebble.DB) (err error) {
	it, err := db.NewIterWithContext(ctx, nil)
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
		if err := l.flushFull(ctx); err != nil {
			return err
		}
	}
	l.flush()
	return it.Error()
}

// flushFull flushes when the batch is full.
func (l *loader) flushFull(ctx context.Context) error {
	if len(l.changes) < loadChanges && l.bytes < loadBytes {
		return nil
	}
	l.flush()
	return ctx.Err()
}

func (l *loader) flush() {
	if len(l.changes) > 0 {
		l.applier.Apply(l.changes)
	}
	l.changes, l.bytes = nil, 0
}

func (l *loader) record(k, value []byte) error {
	kind, id, err := parseKey(k)
	if err != nil {
		return err
	}
	switch kind {
	case kindList:
		l.digest.add(key(k), value)
		e, err := decodeList(value, id)
		if err != nil {
			return err
		}
		l.lists.set(id, e)
		l.changes = append(l.changes, Change{Kind: PutList, List: e.list})
		return nil
	case kindMeta:
		return l.meta(key(k), value)
	case kindJournal:
		return nil
	}
	origin, ok := originOf(kind)
	if !ok {
		return fmt.Errorf("key %x is of no known kind", k)
	}
	l.digest.add(key(k), value)
	rec := bytes.Clone(value) // the iterator's buffer is used again
	o, err := decodeObject(rec, origin, id, l.lists)
	if err != nil {
		return err
	}
	l.changes = append(l.changes, Change{Kind: PutObject, Object: o})
	l.bytes += len(rec)
	return nil
}

func (l *loader) meta(k key, value []byte) (err error) {
	switch k {
	case metaState:
		l.state, err = decodeState(value)
	case metaNextList:
		d := decoder{rest: value}
		l.lists.next, err = d.uvarint(), d.err
	case metaInstance:
		d := decoder{rest: value}
		l.instance, err = d.id(), d.err
	default:
		err = fmt.Errorf("key %x is unknown", k)
	}
	return err
}

// check compares what was found with what the last commit said.
func (l *loader) check() error {
	if l.digest != l.state.digest {
		return fmt.Errorf("%d lists and objects were found, %d should be there, and they are not the same", l.digest.records, l.state.digest.records)
	}
	for number, id := range l.lists.ids {
		if number >= l.lists.next {
			return fmt.Errorf("list %s has the number %d, but the next one is %d", id, number, l.lists.next)
		}
	}
	return nil
}

// readOnly opens the database without writing anything and hands it to load.
func readOnly(g *guardFS, database string, o *pebble.Options, load func(*pebble.DB) error) error {
	o.ReadOnly = true
	db, err := openPebble(database, o, g.poison)
	if err != nil {
		return err
	}
	return apart(g.poison, func() error {
		return errors.Join(load(db), db.Close())
	})
}
