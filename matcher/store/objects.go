package store

import (
	"context"
	"slices"

	"nearside/matcher"
)

// In what follows, account nil means that all objects and lists are visible;
// with an account, those of others do not exist.

func visible(account *matcher.ID, owner matcher.ID) bool { return account == nil || *account == owner }

// mayWrite finds why o cannot be stored: it is not ours, or there is a list
// that is not there, not ours, or that mayBeIn refuses. old are lists that o is
// in already.
func (tx *Tx) mayWrite(account *matcher.ID, o *matcher.Object, old []matcher.ID) error {
	if err := tx.checkOwners(o, old); err != nil {
		return err
	}
	for i, id := range o.Lists {
		l := tx.List(id)
		if l == nil || !mayBeIn(l, account, o, old) {
			return matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", i, id)
		}
	}
	return nil
}

// mayBeIn reports whether o can be in l: not when they belong to two accounts,
// and when l is not visible only if it is among old, where o is already. So an
// account can write again what it has read.
func mayBeIn(l *matcher.List, account *matcher.ID, o *matcher.Object, old []matcher.ID) bool {
	return mayJoin(o.Account, l.Account) && (visible(account, l.Account) || slices.Contains(old, l.ID))
}

func listsOf(o *matcher.Object) []matcher.ID {
	if o == nil {
		return nil
	}
	return o.Lists
}

// mayJoin reports whether an object can be in a list: not when they belong to
// two accounts.
func mayJoin(object, list matcher.ID) bool {
	return object.IsZero() || list.IsZero() || object == list
}

// CreateObject stores a new object. There is one already: Origin.Exists; a
// list is not there, or belongs to another account: CodeListNotFound.
func (s *Store) CreateObject(ctx context.Context, account *matcher.ID, o *matcher.Object) error {
	return s.Commit(ctx, func(tx *Tx) error { return tx.create(account, o) })
}

// CreateObjects is CreateObject for several, all or none. The error is of the
// object at index, -1 when it is of none.
func (s *Store) CreateObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error) {
	return s.each(ctx, objects, func(tx *Tx, o *matcher.Object) error { return tx.create(account, o) })
}

// each writes several objects, all or none.
func (s *Store) each(ctx context.Context, objects []*matcher.Object, write func(*Tx, *matcher.Object) error) (index int, err error) {
	index = -1
	err = s.Commit(ctx, func(tx *Tx) error {
		for i, o := range objects {
			if err := write(tx, o); err != nil {
				index = i
				return err
			}
		}
		return nil
	})
	return index, err
}

func (tx *Tx) create(account *matcher.ID, o *matcher.Object) error {
	there, err := tx.Has(o.Origin, o.ID)
	if err != nil {
		return err
	}
	if there { // attributes, which may have expired, are not created but put
		return o.Origin.Exists(o.ID)
	}
	if err := tx.mayWrite(account, o, nil); err != nil {
		return err
	}
	return tx.Put(o)
}

// PutObject stores an object, new or in place of the one with its ID. That one
// belongs to another account: CodeForbidden; a list is not there:
// CodeListNotFound.
func (s *Store) PutObject(ctx context.Context, account *matcher.ID, o *matcher.Object) (created bool, err error) {
	err = s.Commit(ctx, func(tx *Tx) error {
		var err error
		created, err = tx.put(account, o)
		return err
	})
	return created && err == nil, err
}

// PutObjects is PutObject for several, all or none, in their order. The error
// is of the object at index, -1 when it is of none.
func (s *Store) PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error) {
	return s.each(ctx, objects, func(tx *Tx, o *matcher.Object) error {
		_, err := tx.put(account, o)
		return err
	})
}

func (tx *Tx) put(account *matcher.ID, o *matcher.Object) (created bool, err error) {
	old, err := tx.owned(account, o)
	if err != nil {
		return false, err
	}
	if err := tx.mayWrite(account, o, listsOf(old)); err != nil {
		return false, err
	}
	return old == nil, tx.Put(o)
}

// current returns an object, nil when there is none or it has expired.
func (tx *Tx) current(origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	o, err := tx.Object(origin, id)
	if err != nil || o == nil || o.Expired(matcher.TimeOf(tx.store.opts.now())) {
		return nil, err
	}
	return o, nil
}

// owned returns the object that o would replace, nil when there is none;
// CodeForbidden when it is another account's.
func (tx *Tx) owned(account *matcher.ID, o *matcher.Object) (*matcher.Object, error) {
	old, err := tx.current(o.Origin, o.ID)
	if err != nil || old == nil {
		return nil, err
	}
	if !visible(account, old.Account) {
		return nil, matcher.Errorf(matcher.CodeForbidden, "%s_id: %s belongs to another account", o.Origin.Singular(), o.ID)
	}
	return old, nil
}

// visible returns an object, or Origin.NotFound.
func (tx *Tx) visible(account *matcher.ID, origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	o, err := tx.current(origin, id)
	if err != nil {
		return nil, err
	}
	if o == nil || !visible(account, o.Account) {
		return nil, origin.NotFound(id)
	}
	return o, nil
}

// PatchObject lets patch change a copy of an object and stores it. patch runs
// on the writer goroutine: it must be quick. It cannot change the ID. Errors:
// Origin.NotFound, CodeListNotFound, those of patch.
func (s *Store) PatchObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID, patch func(*matcher.Object) error) error {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		o, err := tx.visible(account, origin, id)
		if err != nil {
			return err
		}
		old := slices.Clone(o.Lists)
		if err := patch(o); err != nil {
			return err
		}
		o.Origin, o.ID = origin, id
		if err := tx.mayWrite(account, o, old); err != nil {
			return err
		}
		return tx.Put(o)
	})
}

// DeleteObject removes an object, or returns Origin.NotFound.
func (s *Store) DeleteObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID) error {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		if _, err := tx.visible(account, origin, id); err != nil {
			return err
		}
		return tx.Delete(origin, id)
	})
}

// DeleteObjects removes the objects that selectIDs names, all or none, and
// returns how many there were. While selectIDs runs, the applier's state is
// the committed one, and nothing else is written.
func (s *Store) DeleteObjects(ctx context.Context, origin matcher.Origin, selectIDs func() ([]matcher.ID, error)) (deleted int, err error) {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return 0, err
	}
	err = s.CommitAlone(ctx, func(tx *Tx) error {
		ids, err := selectIDs()
		if err != nil {
			return err
		}
		deleted, err = tx.deleteAll(origin, ids)
		return err
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

func (tx *Tx) deleteAll(origin matcher.Origin, ids []matcher.ID) (deleted int, err error) {
	for _, id := range ids {
		there, err := tx.Has(origin, id)
		if err != nil {
			return 0, err
		}
		if !there {
			continue
		}
		if err := tx.Delete(origin, id); err != nil {
			return 0, err
		}
		deleted++
	}
	return deleted, nil
}
