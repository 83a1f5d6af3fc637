package store

import "nearside/matcher"

// A Watcher receives the changes of the data after they were applied.
type Watcher interface {
	// Watches reports whether changes of the objects of an origin are wanted. The writer
	// calls it for each delete, to know whether Change.Object must be set.
	Watches(origin matcher.Origin) bool
	// Changed receives the changes of a group, in commit order. It must return at once,
	// and must not change them. Callers of the writes are answered after that.
	Changed(changes []Change)
}

// watches reports whether changes of the objects of an origin are watched.
func (s *Store) watches(origin matcher.Origin) bool {
	return s.opts.Watcher != nil && s.opts.Watcher.Watches(origin)
}

// deletedObject returns an object that is about to be deleted, without descriptors, if
// its origin is watched. Otherwise, or if it does not exist, it returns nil.
func (tx *Tx) deletedObject(origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	if !tx.store.watches(origin) {
		return nil, nil
	}
	o, err := tx.Object(origin, id)
	if err != nil || o == nil {
		return nil, err
	}
	o.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
	return o, nil
}

// setCause sets the cause of the changes of the transaction.
func (tx *Tx) setCause(cause matcher.Cause) {
	if cause == "" {
		return
	}
	for i := range tx.changes {
		tx.changes[i].Cause = cause
	}
}
