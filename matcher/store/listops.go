package store

import (
	"context"
	"slices"

	"nearside/matcher"
)

// CreateList stores a new list; CodeListExists when there is one already.
func (s *Store) CreateList(ctx context.Context, l *matcher.List) error {
	if err := s.Owners().CheckList(l.ID); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		if tx.List(l.ID) != nil {
			return matcher.Errorf(matcher.CodeListExists, "list_id: %s exists already", l.ID)
		}
		tx.PutList(l)
		return nil
	})
}

// visibleList returns a list, or CodeListNotFound.
func (tx *Tx) visibleList(account *matcher.ID, id matcher.ID) (*matcher.List, error) {
	l := tx.List(id)
	if l == nil || !visible(account, l.Account) {
		return nil, matcher.ListNotFound(id)
	}
	return l, nil
}

// PatchList lets patch change a copy of a list and stores it; its faces stay.
// patch runs on the writer goroutine. It cannot change the ID.
func (s *Store) PatchList(ctx context.Context, account *matcher.ID, id matcher.ID, patch func(*matcher.List) error) error {
	if err := s.Owners().CheckList(id); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		old, err := tx.visibleList(account, id)
		if err != nil {
			return err
		}
		l := *old
		if err := patch(&l); err != nil {
			return err
		}
		l.ID = id
		tx.PutList(&l)
		return nil
	})
}

// DeleteList removes a list; its faces are in it no more. With withFaces, the
// faces that it returns are deleted too, and while it runs, the applier's
// state is the committed one.
func (s *Store) DeleteList(ctx context.Context, account *matcher.ID, id matcher.ID, withFaces func() ([]matcher.ID, error)) error {
	if err := s.Owners().CheckList(id); err != nil {
		return err
	}
	if withFaces == nil {
		return s.Commit(ctx, func(tx *Tx) error {
			_, err := tx.visibleList(account, id)
			if err == nil {
				tx.DeleteList(id)
			}
			return err
		})
	}
	return s.CommitAlone(ctx, func(tx *Tx) error {
		if _, err := tx.visibleList(account, id); err != nil {
			return err
		}
		faces, err := withFaces()
		if err != nil {
			return err
		}
		if _, err := tx.deleteAll(matcher.Faces, faces); err != nil {
			return err
		}
		tx.DeleteList(id)
		return nil
	})
}

// Link puts faces into a list, or takes them out, all or none; those that are
// there, or out, already stay so. CodeListNotFound and CodeFaceNotFound name
// the ID that is not there.
func (s *Store) Link(ctx context.Context, account *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error {
	if err := s.Owners().CheckList(list); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		l, err := tx.visibleList(account, list)
		if err != nil {
			return err
		}
		for i, id := range faces {
			if err := tx.link(account, l, id, attach); err != nil {
				return faceError(err, i, id)
			}
		}
		return nil
	})
}

// faceError names the place of a face that is not there.
func faceError(err error, i int, id matcher.ID) error {
	if matcher.CodeOf(err) != matcher.CodeFaceNotFound {
		return err
	}
	return matcher.Errorf(matcher.CodeFaceNotFound, "face_ids[%d]: %s does not exist", i, id)
}

func (tx *Tx) link(account *matcher.ID, l *matcher.List, id matcher.ID, attach bool) error {
	o, err := tx.visible(account, matcher.Faces, id)
	if err != nil {
		return err
	}
	if attach && !mayJoin(o.Account, l.Account) {
		return matcher.Errorf(matcher.CodeForbidden, "face_ids: %s belongs to another account than the list %s", id, l.ID)
	}
	at, in := slices.BinarySearchFunc(o.Lists, l.ID, matcher.ID.Compare)
	switch {
	case in == attach:
		return nil
	case attach:
		o.Lists = slices.Insert(o.Lists, at, l.ID)
	default:
		o.Lists = slices.Delete(o.Lists, at, at+1)
	}
	return tx.Put(o)
}
