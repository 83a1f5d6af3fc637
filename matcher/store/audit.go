package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// The store keeps records of writes until they were copied to the audit (internal/audit). A
// record is part of the commit of its write. The store does not read it. Records are not in
// the digest and not in the applier; Pebble's checksums protect them. An older program
// refuses a directory that has them.

// kindAudit is the first byte of the keys of records, and of the head of the audit.
const kindAudit = 'A'

// auditHead is the key of the head. It sorts before all records, because commits are
// numbered from 1.
var auditHead = makeKey(kindAudit, matcher.ID{})

// An Auditor makes the records of writes.
type Auditor interface {
	// Record returns the record of a transaction that has run, or nil for none. ctx is that
	// of Commit. The writer goroutine calls it, so it must be fast. Its error fails the
	// transaction.
	Record(ctx context.Context, changes []Change) ([]byte, error)
	// Copy receives the records of a group that is durable, before the callers are answered
	// and before those of the next group. It owns them.
	Copy(records []AuditRecord)
}

// AuditRecord is a record of a write. IDs of later records are larger.
type AuditRecord struct {
	ID   matcher.ID
	Data []byte
}

// auditID returns the ID of a record: the number of the commit, and the place within it.
func auditID(commit uint64, place int) (id matcher.ID) {
	binary.BigEndian.PutUint64(id[:], commit)
	binary.BigEndian.PutUint64(id[8:], uint64(place))
	return id
}

// auditTx adds the record of a transaction that has run without an error.
func (g *group) auditTx(ctx context.Context, tx *Tx) error {
	if g.store.opts.Auditor == nil || len(tx.changes) == 0 {
		return nil
	}
	record, err := g.store.opts.Auditor.Record(ctx, tx.changes)
	if err != nil || record == nil {
		return err
	}
	tx.record = record
	tx.bytes += len(key{}) + len(record) + 8
	tx.garbage += int64(len(key{}) + len(record)) // it is removed soon
	return nil
}

// addRecords adds the records of the group to its ops. Its commit number is known.
func (g *group) addRecords() {
	for i := range g.records {
		r := &g.records[i]
		r.ID = auditID(g.after.commits, i)
		g.ops = append(g.ops, op{makeKey(kindAudit, r.ID), r.Data})
	}
}

// AuditState returns the head that KeepAuditHead has kept last, or nil, and the records that
// it has not removed, in order.
func (s *Store) AuditState(ctx context.Context) (head []byte, records []AuditRecord, err error) {
	err = s.scan(ctx, kindAudit, func(id matcher.ID, data []byte) error {
		if id.IsZero() {
			head = data
		} else {
			records = append(records, AuditRecord{id, data})
		}
		return nil
	})
	return head, records, err
}

// KeepAuditHead keeps the head of the audit, and removes the records before an ID, in one
// step. It does not sync: if the machine loses power, the store may have the state of an
// earlier call.
func (s *Store) KeepAuditHead(head []byte, before matcher.ID) error {
	s.mu.RLock() // Close waits
	defer s.mu.RUnlock()
	if s.closed {
		return matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.poison.fault(); err != nil {
		return err
	}
	return runHaltable(s.poison, func() error {
		b := s.db.NewBatch()
		if !before.IsZero() {
			first, end := makeKey(kindAudit, auditID(1, 0)), makeKey(kindAudit, before)
			_ = b.DeleteRange(first[:], end[:], nil) // never fails for a batch without an index
		}
		_ = b.Set(auditHead[:], head, nil)
		if err := s.db.Apply(b, pebble.NoSync); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return b.Close()
	})
}

// scan calls f with the records of a kind, in the order of keys, until f returns an error.
// The data belongs to f.
func (s *Store) scan(ctx context.Context, kind byte, f func(id matcher.ID, data []byte) error) error {
	s.mu.RLock() // Close waits until the iterator is closed
	defer s.mu.RUnlock()
	if s.closed {
		return matcher.Errorf(matcher.CodeUnavailable, "store: the data directory is closed")
	}
	if err := s.poison.fault(); err != nil {
		return err
	}
	return runHaltable(s.poison, func() (err error) {
		it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		defer func() { err = cmp.Or(err, it.Close()) }()
		for it.First(); it.Valid(); it.Next() {
			data, err := it.ValueAndErr()
			if err != nil {
				return fmt.Errorf("store: %w", err)
			}
			_, id, err := parseKey(it.Key())
			if err != nil {
				return fmt.Errorf("store: %w", err)
			}
			if err := f(id, bytes.Clone(data)); err != nil {
				return err
			}
		}
		return it.Error()
	})
}
