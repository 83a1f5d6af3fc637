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

// Limits of a batch that a loader passes to the applier.
const (
	loadChanges = 4096
	loadBytes   = 4 << 20
)

// loader reads a whole database into the applier. Pebble verifies the checksum of
// every block that it reads.
type loader struct {
	applier  Applier
	progress Progress
	lists    *listTable
	instance matcher.ID // ID of the data directory; zero if it has none
	state    state      // as stored by the last commit
	digest   digest     // as computed from the records
	changes  []Change   // the next batch
	bytes    int        // approximate size of the next batch

	restored   bool   // the applier was filled from the cache
	sealed     uint64 // number of the commit that the cache contains
	replayed   int    // number of changes after that commit
	cacheFault error  // why the cache could not be used
}

func (l *loader) loadAndCheck(ctx context.Context, db *pebble.DB) error {
	if err := l.loadRecords(ctx, db); err != nil {
		return err
	}
	return l.checkState()
}

// loadRecords passes all lists and objects to the applier, lists first.
func (l *loader) loadRecords(ctx context.Context, db *pebble.DB) (err error) {
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
		if err := l.readRecord(it.Key(), value); err != nil {
			return err
		}
		if l.digest.records%loadChanges == 0 {
			l.progress(l.digest.records, l.state.digest.records)
		}
		if err := l.flushFull(ctx); err != nil {
			return err
		}
	}
	l.flush()
	return it.Error()
}

// flushFull passes the batch to the applier if it is full.
func (l *loader) flushFull(ctx context.Context) error {
	if len(l.changes) < loadChanges && l.bytes < loadBytes {
		return nil
	}
	l.flush()
	return ctx.Err()
}

// flush passes the batch to the applier.
func (l *loader) flush() {
	if len(l.changes) > 0 {
		l.applier.Apply(l.changes)
	}
	l.changes, l.bytes = nil, 0
}

// readRecord decodes one record and adds it to the batch and to the digest.
func (l *loader) readRecord(k, value []byte) error {
	kind, id, err := parseKey(k)
	if err != nil {
		return err
	}
	switch kind {
	case kindList:
		l.digest.addRecord(key(k), value)
		e, err := decodeList(value, id)
		if err != nil {
			return err
		}
		l.lists.set(id, e)
		l.changes = append(l.changes, Change{Kind: PutList, List: e.list})
		return nil
	case kindMeta:
		return l.readMeta(key(k), value)
	case kindJournal, kindValue, kindAudit:
		return nil
	}
	origin, ok := originOf(kind)
	if !ok {
		return fmt.Errorf("key %x has an unknown kind", k)
	}
	l.digest.addRecord(key(k), value)
	rec := bytes.Clone(value) // the iterator reuses its buffer
	o, err := decodeObject(rec, origin, id, l.lists)
	if err != nil {
		return err
	}
	l.changes = append(l.changes, Change{Kind: PutObject, Object: o})
	l.bytes += len(rec)
	return nil
}

func (l *loader) readMeta(k key, value []byte) (err error) {
	switch k {
	case metaState:
		if l.state, err = decodeState(value); err != nil {
			err = fmt.Errorf("state of the last commit: %w", err)
		}
	case metaNextList:
		d := decoder{rest: value}
		l.lists.next, err = d.uvarint(), d.err
	case metaInstance:
		d := decoder{rest: value}
		l.instance, err = d.id(), d.err
	default:
		err = fmt.Errorf("unknown key %x", k)
	}
	return err
}

// checkState compares the records that were read with the digest of the last
// commit.
func (l *loader) checkState() error {
	if err := l.state.digest.check(l.digest); err != nil {
		return err
	}
	return l.checkLists()
}

// checkLists returns an error if a list has a number that a new list could get.
func (l *loader) checkLists() error {
	for number, id := range l.lists.all() {
		if number >= l.lists.next {
			return fmt.Errorf("list %s has number %d, but the number of the next new list is %d", id, number, l.lists.next)
		}
	}
	return nil
}

// openReadOnly opens the database read-only, passes it to load and closes it.
func openReadOnly(g *guardFS, database string, o *pebble.Options, load func(*pebble.DB) error) error {
	o.ReadOnly = true
	db, err := openPebble(database, o, g.poison)
	if err != nil {
		return err
	}
	return runHaltable(g.poison, func() error {
		return errors.Join(load(db), db.Close())
	})
}
