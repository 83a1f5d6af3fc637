package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// Tx is a running transaction. It reads the committed state, the writes of earlier
// transactions that are not applied yet, and its own writes. It is valid only inside the
// function that received it.
type Tx struct {
	store   *Store
	group   *group
	local   map[key][]byte // records written by this transaction; nil: deleted
	ops     []op
	buf     []byte // memory block for the records of ops; the capacity after len is free
	bytes   int    // approximate size of ops in a batch
	grows   bool   // the transaction puts an object or a list
	garbage int64  // bytes of records that it deletes or replaces
	delta   digest // change of the digest
	changes []Change
	record  []byte // for the audit; nil: none
	undo    []undo
	last    lookup
}

// lookup caches the last record that was read or written. A transaction that reads
// an object usually writes it next, and then needs the checksum of the old record.
type lookup struct {
	key key
	rec []byte // nil if there is no record
}

// op is one write of a batch. A nil rec means a delete.
type op struct {
	key key
	rec []byte
}

// undo reverts one change of the table of lists.
type undo struct {
	id  matcher.ID
	old listEntry
}

// callFunc calls fn and turns a panic into an error.
func (tx *Tx) callFunc(fn func(*Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store: a transaction panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return fn(tx)
}

// rollback reverts the changes that failed transactions made to the table of lists.
func (s *Store) rollback(steps []undo) {
	for _, u := range slices.Backward(steps) {
		s.lists.set(u.id, u.old)
	}
}

// readRecord returns the record of k, the key of an object, or nil if it does not exist.
// The record is valid until the next commit and must not be changed.
func (tx *Tx) readRecord(k key) ([]byte, error) {
	if tx.last.key == k {
		return tx.last.rec, nil
	}
	rec, ok := tx.local[k]
	if !ok {
		rec, ok = tx.group.find(k)
	}
	if !ok && tx.isCommitted(k) {
		value, closer, err := tx.store.db.Get(k[:])
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			return nil, lostRecord(k)
		case err != nil:
			return nil, fmt.Errorf("store: %w", err)
		default:
			rec = bytes.Clone(value)
			if err := closer.Close(); err != nil {
				return nil, fmt.Errorf("store: %w", err)
			}
		}
	}
	tx.last = lookup{k, rec}
	return rec, nil
}

// isCommitted reports whether the committed state contains the record of k, the key of an
// object. It asks the applier, which has all objects, to avoid a read from disk.
func (tx *Tx) isCommitted(k key) bool {
	origin, _ := originOf(k[0])
	return tx.store.opts.Applier.Has(origin, matcher.ID(k[1:]))
}

// lostRecord is the error of reading k, the key of an object that the applier has, if the
// database does not have its record. This is damage that the verification has not found
// yet. Without the error, a write would make the object a new one, and the applier would
// have it twice.
func lostRecord(k key) error {
	origin, _ := originOf(k[0])
	return fmt.Errorf("store: the database is damaged: it does not have the %s %s, which is in memory", origin.Singular(), matcher.ID(k[1:]))
}

// Has reports whether an object exists. It is cheaper than Object.
func (tx *Tx) Has(origin matcher.Origin, id matcher.ID) (bool, error) {
	rec, err := tx.readRecord(objectKey(origin, id))
	return rec != nil, err
}

// Object returns an object, or nil if it does not exist. The caller owns the
// returned object and may change it and pass it to Put.
func (tx *Tx) Object(origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	rec, err := tx.readRecord(objectKey(origin, id))
	if err != nil || rec == nil {
		return nil, err
	}
	o, err := decodeObject(bytes.Clone(rec), origin, id, tx.store.lists)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return o, nil
}

// Put creates an object or replaces the object with the same ID. The store owns o
// afterwards. The error is CodeListNotFound if a list of o does not exist.
func (tx *Tx) Put(o *matcher.Object) error {
	if o.Origin != matcher.Faces && len(o.Lists) > 0 {
		return matcher.Errorf(matcher.CodeBadInput, "lists: only faces are in lists")
	}
	if !isSortedUnique(o.Lists) {
		c := *o
		c.Lists = sortUnique(slices.Clone(o.Lists))
		o = &c
	}
	rec, err := tx.encodeObject(o)
	if err != nil {
		return err
	}
	k := objectKey(o.Origin, o.ID)
	return tx.putRecord(o, k, rec, recordSum(k, rec))
}

// putRecord stores o, whose record is rec. sum is the checksum of both k and rec.
func (tx *Tx) putRecord(o *matcher.Object, k key, rec []byte, sum uint64) error {
	replaced, err := tx.replaceObject(k, rec, sum)
	if err != nil {
		return err
	}
	tx.grows = true
	tx.changes = append(tx.changes, Change{Kind: PutObject, Object: o, Created: !replaced})
	return nil
}

// blockBytes is the size of the memory blocks that hold many records.
const blockBytes = 256 << 10

// encodeObject returns the record of o.
func (tx *Tx) encodeObject(o *matcher.Object) ([]byte, error) {
	if limit := recordBytesMax(o); cap(tx.buf)-len(tx.buf) < limit {
		size := limit // a block for one record, because most transactions write only one
		if tx.buf != nil {
			size = max(size, blockBytes)
		}
		tx.buf = make([]byte, 0, size)
	}
	start := len(tx.buf)
	buf, err := appendObject(tx.buf, o, tx.store.lists)
	if err != nil {
		return nil, err
	}
	tx.buf = buf
	return buf[start:len(buf):len(buf)], nil
}

// Delete removes an object. It does nothing if the object does not exist.
func (tx *Tx) Delete(origin matcher.Origin, id matcher.ID) error {
	old, err := tx.deletedObject(origin, id)
	if err != nil {
		return err
	}
	if _, err := tx.replaceObject(objectKey(origin, id), nil, 0); err != nil {
		return err
	}
	tx.changes = append(tx.changes, Change{Kind: DeleteObject, Origin: origin, ID: id, Object: old})
	return nil
}

// List returns a list, or nil if it does not exist. The list must not be changed.
func (tx *Tx) List(id matcher.ID) *matcher.List { return tx.store.lists.get(id).list }

// PutList creates a list or replaces the list with the same ID, which keeps its
// faces. The store owns l afterwards.
func (tx *Tx) PutList(l *matcher.List) { tx.putList(listEntry{list: l}) }

func (tx *Tx) putList(e listEntry) {
	table, l := tx.store.lists, e.list
	e.number = table.numberOf(l.ID)
	if e.number == 0 {
		e.number = table.next
		table.next++ // not reverted by rollback: a number may be skipped, but not used twice
		tx.writeRecord(metaNextList, binary.AppendUvarint(nil, table.next))
	}
	tx.replaceList(l.ID, e)
	tx.grows = true
	tx.changes = append(tx.changes, Change{Kind: PutList, List: l})
}

// DeleteList removes a list and so takes all faces out of it, at no cost per face.
// It does nothing if the list does not exist.
func (tx *Tx) DeleteList(id matcher.ID) {
	old := tx.List(id)
	tx.replaceList(id, listEntry{})
	tx.changes = append(tx.changes, Change{Kind: DeleteList, ID: id, List: old})
}

// replaceList writes the record of a list and updates the table of lists. An entry
// without a list deletes it. The old record is encoded from the table's entry.
func (tx *Tx) replaceList(id matcher.ID, e listEntry) {
	k := makeKey(kindList, id)
	old := tx.store.lists.set(id, e)
	tx.undo = append(tx.undo, undo{id, old})
	if old.list != nil {
		tx.delta.removeRecord(k, appendList(nil, old))
	}
	var rec []byte
	if e.list != nil {
		rec = appendList(nil, e)
	}
	tx.delta.addRecord(k, rec)
	tx.writeRecord(k, rec)
}

// replaceObject writes the record of an object. A nil record deletes it. sum is the
// checksum of both k and rec. replaced reports whether the object existed.
func (tx *Tx) replaceObject(k key, rec []byte, sum uint64) (replaced bool, err error) {
	old, err := tx.readRecord(k)
	if err != nil {
		return false, err
	}
	tx.delta.removeRecord(k, old)
	if rec != nil {
		tx.delta.addSum(sum)
	}
	tx.writeRecord(k, rec)
	if old != nil {
		tx.garbage += int64(len(k) + len(old))
	}
	return old != nil, nil
}

// expect makes room for that many objects, in a transaction that has written nothing.
func (tx *Tx) expect(objects int) {
	tx.local = make(map[key][]byte, objects)
	tx.ops = make([]op, 0, objects+4) // the group adds a few records, and so may lists
	tx.changes = make([]Change, 0, objects+1)
}

// writeRecord adds the write of a record to the transaction. A nil record deletes it.
func (tx *Tx) writeRecord(k key, rec []byte) {
	if tx.local == nil {
		tx.local = map[key][]byte{}
	}
	tx.local[k] = rec
	tx.last = lookup{k, rec}
	tx.ops = append(tx.ops, op{k, rec})
	tx.bytes += len(k) + len(rec) + 8
}

// isSortedUnique reports whether ids are sorted and unique.
func isSortedUnique(ids []matcher.ID) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i-1].Compare(ids[i]) >= 0 {
			return false
		}
	}
	return true
}

// sortUnique sorts ids in place and removes duplicates.
func sortUnique(ids []matcher.ID) []matcher.ID {
	slices.SortFunc(ids, matcher.ID.Compare)
	return slices.Compact(ids)
}
