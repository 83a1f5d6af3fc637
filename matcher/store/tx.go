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

// Tx is a transaction that is being made. It reads what is committed, what
// earlier transactions of its group wrote, and its own writes. It belongs to
// the function that got it, while that runs.
type Tx struct {
	store   *Store
	group   *group
	local   map[key][]byte // own writes; nil: deleted
	ops     []op
	buf     []byte // a block of memory for the records of ops; what is left of it is free
	bytes   int    // size of ops in a batch, about
	grows   bool   // it puts something
	delta   digest // what ops do to the digest
	changes []Change
	undo    []undo
	last    lookup
}

// lookup is the record read last. Who reads an object mostly writes it next,
// and that needs the checksum of the record that is replaced.
type lookup struct {
	key key
	rec []byte // of Pebble's, or of the group; nil: none
}

// op is one write of a batch; without rec a delete.
type op struct {
	key key
	rec []byte
}

// undo takes back a step in the table of lists.
type undo struct {
	id  matcher.ID
	old listEntry
}

func (tx *Tx) run(fn func(*Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store: a transaction panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return fn(tx)
}

// rollback undoes what transactions that failed did outside of themselves.
func (s *Store) rollback(steps []undo) {
	for _, u := range slices.Backward(steps) {
		s.lists.set(u.id, u.old)
	}
}

// read returns the record under k, nil when there is none. It must not be
// changed, and is valid until the next commit.
func (tx *Tx) read(k key) ([]byte, error) {
	if tx.last.key == k {
		return tx.last.rec, nil
	}
	rec, ok := tx.local[k]
	if !ok {
		rec, ok = tx.group.overlay[k]
	}
	if !ok && tx.committed(k) {
		value, closer, err := tx.store.db.Get(k[:])
		switch {
		case errors.Is(err, pebble.ErrNotFound):
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

// committed reports whether the committed state may have the record of k. The
// applier knows all objects.
func (tx *Tx) committed(k key) bool {
	origin, isObject := originOf(k[0])
	return !isObject || tx.store.opts.Applier.Has(origin, matcher.ID(k[1:]))
}

// Has reports whether there is an object; it is cheaper than Object.
func (tx *Tx) Has(origin matcher.Origin, id matcher.ID) (bool, error) {
	rec, err := tx.read(objectKey(origin, id))
	return rec != nil, err
}

// Object returns an object, or nil when there is none. It is a copy that the
// caller may change and hand to Put.
func (tx *Tx) Object(origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	rec, err := tx.read(objectKey(origin, id))
	if err != nil || rec == nil {
		return nil, err
	}
	o, err := decodeObject(bytes.Clone(rec), origin, id, tx.store.lists)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return o, nil
}

// Put writes an object, new or in place of the one with its ID. The object
// belongs to the store from now on. An unknown list is CodeListNotFound.
func (tx *Tx) Put(o *matcher.Object) error {
	if o.Origin != matcher.Faces && len(o.Lists) > 0 {
		return matcher.Errorf(matcher.CodeBadInput, "lists: only faces are in lists")
	}
	if !sortedOnce(o.Lists) {
		c := *o
		c.Lists = sortOnce(slices.Clone(o.Lists))
		o = &c
	}
	rec, err := tx.record(o)
	if err != nil {
		return err
	}
	if err := tx.replace(objectKey(o.Origin, o.ID), rec); err != nil {
		return err
	}
	tx.grows = true
	tx.changes = append(tx.changes, Change{Kind: PutObject, Object: o})
	return nil
}

// blockBytes is the size of the memory blocks that take many records.
const blockBytes = 256 << 10

// record returns the record of o.
func (tx *Tx) record(o *matcher.Object) ([]byte, error) {
	if most := recordBytesMax(o); cap(tx.buf)-len(tx.buf) < most {
		size := most // a block for one record, as most transactions have no more
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

// Delete removes an object; that it is not there is no fault.
func (tx *Tx) Delete(origin matcher.Origin, id matcher.ID) error {
	if err := tx.replace(objectKey(origin, id), nil); err != nil {
		return err
	}
	tx.changes = append(tx.changes, Change{Kind: DeleteObject, Origin: origin, ID: id})
	return nil
}

// List returns a list, which must not be changed, or nil.
func (tx *Tx) List(id matcher.ID) *matcher.List { return tx.store.lists.byID[id].list }

// PutList writes a list, new or in place of the one with its ID, whose faces
// stay in it. The list belongs to the store from now on.
func (tx *Tx) PutList(l *matcher.List) {
	table := tx.store.lists
	e := listEntry{list: l, number: table.byID[l.ID].number}
	if e.number == 0 {
		e.number = table.next
		table.next++ // not undone: what counts is that no number comes twice
		tx.write(metaNextList, binary.AppendUvarint(nil, table.next))
	}
	tx.replaceList(l.ID, e)
	tx.grows = true
	tx.changes = append(tx.changes, Change{Kind: PutList, List: l})
}

// DeleteList removes a list and takes all faces out of it, at no cost per
// face. That it is not there is no fault.
func (tx *Tx) DeleteList(id matcher.ID) {
	tx.replaceList(id, listEntry{})
	tx.changes = append(tx.changes, Change{Kind: DeleteList, ID: id})
}

// replaceList writes the record of a list and keeps the table in step; an
// entry without a list removes it. The table knows the record that is replaced.
func (tx *Tx) replaceList(id matcher.ID, e listEntry) {
	k := makeKey(kindList, id)
	old := tx.store.lists.set(id, e)
	tx.undo = append(tx.undo, undo{id, old})
	if old.list != nil {
		tx.delta.drop(k, appendList(nil, old))
	}
	var rec []byte
	if e.list != nil {
		rec = appendList(nil, e)
	}
	tx.delta.add(k, rec)
	tx.write(k, rec)
}

// replace writes the record of an object; nil deletes it.
func (tx *Tx) replace(k key, rec []byte) error {
	old, err := tx.read(k)
	if err != nil {
		return err
	}
	tx.delta.drop(k, old)
	tx.delta.add(k, rec)
	tx.write(k, rec)
	return nil
}

func (tx *Tx) write(k key, rec []byte) {
	if tx.local == nil {
		tx.local = map[key][]byte{}
	}
	tx.local[k] = rec
	tx.last = lookup{k, rec}
	tx.ops = append(tx.ops, op{k, rec})
	tx.bytes += len(k) + len(rec) + 8
}

// sortedOnce reports whether ids ascend, each once.
func sortedOnce(ids []matcher.ID) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i-1].Compare(ids[i]) >= 0 {
			return false
		}
	}
	return true
}

// sortOnce sorts ids in place and drops repetitions.
func sortOnce(ids []matcher.ID) []matcher.ID {
	slices.SortFunc(ids, matcher.ID.Compare)
	return slices.Compact(ids)
}
