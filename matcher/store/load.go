package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Bounds of a batch that load hands to the applier.
const (
	loadChanges = 4096
	loadBytes   = 4 << 20
)

// loader reads a whole database, which verifies the checksum of every block.
type loader struct {
	applier Applier
	lists   *lists
	commits uint64
	changes []Change
	bytes   int
}

// load hands all lists and objects to the applier, lists first.
func (l *loader) load(ctx context.Context, db *pebble.DB) (err error) {
	it, err := db.NewIterWithContext(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := l.record(it.Key(), value); err != nil {
			return err
		}
		if len(l.changes) == loadChanges || l.bytes >= loadBytes {
			if err := ctx.Err(); err != nil {
				return err
			}
			l.flush()
		}
	}
	l.flush()
	return it.Error()
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
		e, err := decodeList(value, id)
		if err != nil {
			return err
		}
		l.lists.set(id, e)
		l.changes = append(l.changes, Change{Kind: PutList, List: e.list})
		return nil
	case kindMeta:
		return l.meta(key(k), value)
	}
	origin, ok := originOf(kind)
	if !ok {
		return fmt.Errorf("key %x is of no known kind", k)
	}
	rec := bytes.Clone(value) // the iterator's buffer is used again
	o, err := decodeObject(rec, origin, id, l.lists)
	if err != nil {
		return err
	}
	l.changes = append(l.changes, Change{Kind: PutObject, Object: o})
	l.bytes += len(rec)
	return nil
}

func (l *loader) meta(k key, value []byte) error {
	n, size := binary.Uvarint(value)
	if size != len(value) || size <= 0 {
		return fmt.Errorf("key %x: %x is no number", k, value)
	}
	switch k {
	case metaCommits:
		l.commits = n
	case metaNextList:
		l.lists.next = n
	default:
		return fmt.Errorf("key %x is unknown", k)
	}
	return nil
}

// check finds lists whose number is still to be given.
func (l *loader) check() error {
	for number, id := range l.lists.ids {
		if number >= l.lists.next {
			return fmt.Errorf("list %s has the number %d, but the next one is %d", id, number, l.lists.next)
		}
	}
	return nil
}

// readOnly opens the database without writing anything and loads it.
func (l *loader) readOnly(ctx context.Context, g *guardFS, database string, o *pebble.Options) error {
	o.ReadOnly = true
	db, err := openPebble(database, o, g.poison)
	if err != nil {
		return err
	}
	return apart(g.poison, func() error {
		return errors.Join(l.load(ctx, db), l.check(), db.Close())
	})
}

// meta values.
func uvarint(n uint64) []byte { return binary.AppendUvarint(nil, n) }
