package store

import (
	"bytes"
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
	buf     []byte // holds the records of ops
	bytes   int    // size of ops in a batch, about
	grows   bool   // it puts something
	changes []Change
	undo    []undo
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

// rollback undoes what a transaction that failed did outside of itself.
func (tx *Tx) rollback() {
	for _, u := range slices.Backward(tx.undo) {
		tx.store.lists.set(u.id, u.old)
	}
}

// written returns the record that this group wrote under k.
func (tx *Tx) written(k key) (rec []byte, ok bool) {
	if rec, ok = tx.local[k]; !ok {
		rec, ok = tx.group.overlay[k]
	}
	return rec, ok
}

// Has reports whether there is an object; it is cheaper than Object.
func (tx *Tx) Has(origin matcher.Origin, id matcher.ID) (bool, error) {
	k := objectKey(origin, id)
	if rec, ok := tx.written(k); ok {
		return rec != nil, nil
	}
	_, closer, err := tx.store.db.Get(k[:])
	if err != nil {
		return false, getError(err)
	}
	return true, closer.Close()
}

// Object returns an object, or nil when there is none. It is a copy that the
// caller may change and hand to Put.
func (tx *Tx) Object(origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	k := objectKey(origin, id)
	rec, ok := tx.written(k)
	if !ok {
		value, closer, err := tx.store.db.Get(k[:])
		if err != nil {
			return nil, getError(err)
		}
		rec = bytes.Clone(value)
		if err := closer.Close(); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	} else if rec == nil {
		return nil, nil
	} else {
		rec = bytes.Clone(rec)
	}
	o, err := decodeObject(rec, origin, id, tx.store.lists)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return o, nil
}

// getError turns "not found" into no error.
func getError(err error) error {
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("store: %w", err)
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
	start := len(tx.buf)
	buf, err := appendObject(tx.buf, o, tx.store.lists)
	if err != nil {
		return err
	}
	tx.buf = buf
	tx.set(objectKey(o.Origin, o.ID), buf[start:len(buf):len(buf)])
	tx.grows = true
	tx.changes = append(tx.changes, Change{Kind: PutObject, Object: o})
	return nil
}

// Delete removes an object; that it is not there is no error.
func (tx *Tx) Delete(origin matcher.Origin, id matcher.ID) {
	tx.set(objectKey(origin, id), nil)
	tx.changes = append(tx.changes, Change{Kind: DeleteObject, Origin: origin, ID: id})
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
		tx.set(metaNextList, uvarint(table.next))
	}
	tx.set(makeKey(kindList, l.ID), appendList(nil, e))
	tx.setList(l.ID, e)
	tx.grows = true
	tx.changes = append(tx.changes, Change{Kind: PutList, List: l})
}

// DeleteList removes a list and takes all faces out of it, at no cost per
// face. That it is not there is no error.
func (tx *Tx) DeleteList(id matcher.ID) {
	tx.set(makeKey(kindList, id), nil)
	tx.setList(id, listEntry{})
	tx.changes = append(tx.changes, Change{Kind: DeleteList, ID: id})
}

func (tx *Tx) setList(id matcher.ID, e listEntry) {
	tx.undo = append(tx.undo, undo{id, tx.store.lists.set(id, e)})
}

func (tx *Tx) set(k key, rec []byte) {
	if tx.local == nil {
		tx.local = map[key][]byte{}
	}
	tx.local[k] = rec
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
