package store

import (
	"context"

	"nearside/matcher"
)

// kindValue is the first byte of the keys of values.
const kindValue = 'P'

// A Value is a small record that the store keeps for another part of the program, such as
// a plugin. The store does not read its data. Values are durable like objects, but the
// applier does not have them, and the digest does not include them; Pebble's checksums
// protect them. An older program refuses a directory that has values.
type Value struct {
	Key  matcher.ID
	Data []byte // nil: the value is removed
}

// PutValues stores values, all or none. It replaces values with the same keys. The store
// owns the data afterwards. Only a transaction that stores data needs disk space for it.
func (s *Store) PutValues(ctx context.Context, values []Value) error {
	return s.Commit(ctx, func(tx *Tx) error {
		for _, v := range values {
			k := makeKey(kindValue, v.Key)
			tx.writeRecord(k, v.Data)
			tx.garbage += int64(len(k) + len(v.Data)) // an estimate of what it replaces
			tx.grows = tx.grows || v.Data != nil
		}
		return nil
	})
}

// EachValue calls f with every stored value, in the order of keys, until f returns an
// error. f must not keep the data. Values that are written meanwhile may be missing.
func (s *Store) EachValue(ctx context.Context, f func(v Value) error) error {
	return s.scan(ctx, kindValue, func(id matcher.ID, data []byte) error { return f(Value{Key: id, Data: data}) })
}
