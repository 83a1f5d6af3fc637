package store

import (
	"context"
	"slices"

	"nearside/matcher"
)

// Methods with a parameter account act for that account: objects and lists of other
// accounts do not exist for it. A nil account sees all objects and lists. If their context
// is bound to lists ([matcher.WithinLists]), only faces in these lists exist, and only these
// lists are changed: a delete removes faces from them.

// viewer is the account and the lists that a write is bound to.
type viewer struct {
	account *matcher.ID
	lists   matcher.Lists
}

func viewerOf(ctx context.Context, account *matcher.ID) viewer {
	return viewer{account, matcher.BoundLists(ctx)}
}

// checkWrite returns an error if o cannot be stored: a remote owns it or one of its
// lists, a list does not exist, or checkInList refuses a list. old are the lists that o
// is in already.
func (tx *Tx) checkWrite(by viewer, o *matcher.Object, old []matcher.ID) error {
	if err := tx.checkOwners(o, old); err != nil {
		return err
	}
	for i, id := range o.Lists {
		l := tx.List(id)
		if l == nil {
			return matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", i, id)
		}
		if err := by.checkInList(l, o, old); err != nil {
			return matcher.Errorf(matcher.CodeOf(err), "lists[%d]: %w", i, err)
		}
	}
	return nil
}

// checkInList returns an error if o cannot be in l. The error is CodeListNotFound if the
// account cannot see l. Lists in old, which o is in already, are exempt, so that an
// account can write back an object that it has read. The error is CodeForbidden if o
// and l belong to different accounts. It names only lists that the viewer sees.
func (by viewer) checkInList(l *matcher.List, o *matcher.Object, old []matcher.ID) error {
	switch {
	case !matcher.Visible(by.account, l.Account) && !slices.Contains(old, l.ID):
		return matcher.Errorf(matcher.CodeListNotFound, "%s does not exist", l.ID)
	case !MayJoin(o.Account, l.Account) && !by.lists.Have(l.ID):
		return matcher.Errorf(matcher.CodeForbidden, "another list of the %[1]s belongs to another account than the %[1]s", o.Origin.Singular())
	case !MayJoin(o.Account, l.Account):
		return matcher.Errorf(matcher.CodeForbidden, "%s belongs to another account than the %s", l.ID, o.Origin.Singular())
	}
	return nil
}

func listsOf(o *matcher.Object) []matcher.ID {
	if o == nil {
		return nil
	}
	return o.Lists
}

// MayJoin reports whether an object can be in a list, given their accounts. It cannot
// if both have an account and the accounts differ.
func MayJoin(object, list matcher.ID) bool {
	return object.IsZero() || list.IsZero() || object == list
}

// CreateObject stores a new object. It returns Origin.Exists if the ID is taken, and
// CodeListNotFound if a list does not exist or account cannot see it.
func (s *Store) CreateObject(ctx context.Context, account *matcher.ID, o *matcher.Object) error {
	return s.Commit(ctx, func(tx *Tx) error { return tx.createObject(account, o) })
}

// CreateObjects stores several new objects, all or none, as CreateObject does. index
// is the object that caused the error, -1 if no single object did.
func (s *Store) CreateObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error) {
	return s.writeObjects(ctx, objects, func(tx *Tx, o *matcher.Object) error { return tx.createObject(account, o) })
}

// writeObjects calls write for each object in one transaction. index is the object
// whose write failed, otherwise -1.
func (s *Store) writeObjects(ctx context.Context, objects []*matcher.Object, write func(*Tx, *matcher.Object) error) (index int, err error) {
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

func (tx *Tx) createObject(account *matcher.ID, o *matcher.Object) error {
	exists, err := tx.Has(o.Origin, o.ID)
	if err != nil {
		return err
	}
	if exists { // expired attributes need no check: attributes are put, not created
		return o.Origin.Exists(o.ID)
	}
	if err := tx.checkWrite(viewer{account: account}, o, nil); err != nil {
		return err
	}
	return tx.Put(o)
}

// PutObject creates an object or replaces the object with the same ID. A replaced
// object keeps its account. PutObject returns CodeBadInput if o has a different
// account, CodeForbidden if the stored object belongs to an account other than the
// caller's, and CodeListNotFound if a list does not exist.
func (s *Store) PutObject(ctx context.Context, account *matcher.ID, o *matcher.Object) (created bool, err error) {
	err = s.Commit(ctx, func(tx *Tx) error {
		var err error
		created, err = tx.putObject(viewerOf(ctx, account), o)
		return err
	})
	return created && err == nil, err
}

// PutObjects puts several objects in order, all or none, as PutObject does. index is
// the object that caused the error, -1 if no single object did.
func (s *Store) PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error) {
	return s.writeObjects(ctx, objects, func(tx *Tx, o *matcher.Object) error {
		_, err := tx.putObject(viewerOf(ctx, account), o)
		return err
	})
}

func (tx *Tx) putObject(by viewer, o *matcher.Object) (created bool, err error) {
	old, err := tx.replacedObject(by, o)
	if err != nil {
		return false, err
	}
	if old != nil {
		if !o.Account.IsZero() && o.Account != old.Account {
			return false, matcher.AccountChange(old.Account, o.Account)
		}
		o.Account = old.Account
		o.Lists = by.lists.Keep(o.Lists, old.Lists)
	}
	if err := tx.checkWrite(by, o, listsOf(old)); err != nil {
		return false, err
	}
	return old == nil, tx.Put(o)
}

// currentObject returns an object, or nil if it does not exist or has expired.
func (tx *Tx) currentObject(origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	o, err := tx.Object(origin, id)
	if err != nil || o == nil || o.Expired(matcher.TimeOf(tx.store.opts.now())) {
		return nil, err
	}
	return o, nil
}

// replacedObject returns the object that o would replace, or nil. It returns
// CodeForbidden if the viewer cannot see that object.
func (tx *Tx) replacedObject(by viewer, o *matcher.Object) (*matcher.Object, error) {
	old, err := tx.currentObject(o.Origin, o.ID)
	if err != nil || old == nil {
		return nil, err
	}
	if !matcher.Visible(by.account, old.Account) {
		return nil, matcher.Errorf(matcher.CodeForbidden, "%s_id: %s belongs to another account", o.Origin.Singular(), o.ID)
	}
	if !by.lists.See(old) {
		return nil, matcher.Errorf(matcher.CodeForbidden, "%s_id: %s is in none of the lists that the key is bound to", o.Origin.Singular(), o.ID)
	}
	return old, nil
}

// visibleObject returns an object that the viewer can see, or Origin.NotFound.
func (tx *Tx) visibleObject(by viewer, origin matcher.Origin, id matcher.ID) (*matcher.Object, error) {
	o, err := tx.currentObject(origin, id)
	if err != nil {
		return nil, err
	}
	if o == nil || !matcher.Visible(by.account, o.Account) || !by.lists.See(o) {
		return nil, origin.NotFound(id)
	}
	return o, nil
}

// PatchObject calls patch with a copy of an object and stores the changed copy. The
// object keeps its ID. patch runs on the writer goroutine and must be fast. The error
// is Origin.NotFound, CodeListNotFound or an error of patch.
func (s *Store) PatchObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID, patch func(*matcher.Object) error) error {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		by := viewerOf(ctx, account)
		o, err := tx.visibleObject(by, origin, id)
		if err != nil {
			return err
		}
		old := slices.Clone(o.Lists)
		o.Lists = by.lists.Shown(o.Lists)
		if err := patch(o); err != nil {
			return err
		}
		for i, list := range o.Lists {
			if !by.lists.Have(list) {
				return matcher.Errorf(matcher.CodeForbidden, "lists[%d]: the key is not bound to the list %s", i, list)
			}
		}
		o.Origin, o.ID, o.Lists = origin, id, by.lists.Keep(o.Lists, old)
		if err := tx.checkWrite(by, o, old); err != nil {
			return err
		}
		return tx.Put(o)
	})
}

// DeleteObject removes an object, or takes it out of the lists that ctx is bound to. It returns Origin.NotFound if it does not exist.
func (s *Store) DeleteObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID) error {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		by := viewerOf(ctx, account)
		if _, err := tx.visibleObject(by, origin, id); err != nil {
			return err
		}
		if by.lists != nil {
			_, err := tx.unlinkAll(by.lists, []matcher.ID{id})
			return err
		}
		return tx.Delete(origin, id)
	})
}

// DeleteObjects removes the objects whose IDs selectIDs returns, all or none, and
// returns the number of removed objects. While selectIDs runs, the applier has
// exactly the committed state and nothing else is written. If ctx is bound to lists, the
// objects are taken out of these lists instead.
func (s *Store) DeleteObjects(ctx context.Context, origin matcher.Origin, selectIDs func() ([]matcher.ID, error)) (deleted int, err error) {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return 0, err
	}
	err = s.CommitAlone(ctx, func(tx *Tx) error {
		ids, err := selectIDs()
		if err != nil {
			return err
		}
		if lists := matcher.BoundLists(ctx); lists != nil {
			deleted, err = tx.unlinkAll(lists, ids)
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
