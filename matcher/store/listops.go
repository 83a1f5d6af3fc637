package store

import (
	"context"
	"slices"

	"nearside/matcher"
)

// CreateList stores a new list. It returns CodeListExists if the ID is taken.
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

// visibleList returns a list that the viewer can see, or CodeListNotFound.
func (tx *Tx) visibleList(by viewer, id matcher.ID) (*matcher.List, error) {
	l := tx.List(id)
	if l == nil || !matcher.Visible(by.account, l.Account) || !by.lists.Have(id) {
		return nil, matcher.ListNotFound(id)
	}
	return l, nil
}

// PatchList calls patch with a copy of a list and stores the changed copy. The
// list keeps its faces and its ID. patch runs on the writer goroutine.
func (s *Store) PatchList(ctx context.Context, account *matcher.ID, id matcher.ID, patch func(*matcher.List) error) error {
	if err := s.Owners().CheckList(id); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		old, err := tx.visibleList(viewerOf(ctx, account), id)
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

// DeleteList removes a list and so takes all faces out of it. If withFaces is not
// nil, DeleteList also deletes the faces that withFaces returns. If there are more than
// DeleteBatch faces, those that exist when DeleteList begins are deleted first, in
// batches, as by DeleteFound. The last commit deletes the list and the remaining faces.
func (s *Store) DeleteList(ctx context.Context, account *matcher.ID, id matcher.ID, withFaces FindFunc) error {
	if err := s.Owners().CheckList(id); err != nil {
		return err
	}
	if withFaces == nil {
		return s.Commit(ctx, func(tx *Tx) error {
			_, err := tx.visibleList(viewerOf(ctx, account), id)
			if err == nil {
				tx.DeleteList(id)
			}
			return err
		})
	}
	deleted, err := s.deleteManyFaces(ctx, account, id, withFaces)
	if err != nil {
		return err
	}
	err = s.CommitAlone(ctx, func(tx *Tx) error {
		if _, err := tx.visibleList(viewerOf(ctx, account), id); err != nil {
			return err
		}
		faces, err := withFaces(nil)
		if err != nil {
			return err
		}
		if _, err := tx.deleteAll(matcher.Faces, faces); err != nil {
			return err
		}
		tx.DeleteList(id)
		return nil
	})
	if err != nil {
		return addDeletedCount(err, deleted)
	}
	return nil
}

// deleteManyFaces deletes the faces of a list if there are more than DeleteBatch.
func (s *Store) deleteManyFaces(ctx context.Context, account *matcher.ID, id matcher.ID, find FindFunc) (deleted int, err error) {
	err = s.Commit(ctx, func(tx *Tx) error {
		_, err := tx.visibleList(viewerOf(ctx, account), id)
		return err
	})
	if err != nil {
		return 0, err
	}
	faces, err := find(nil)
	if err != nil || len(faces) <= s.opts.deleteBatch {
		return 0, err
	}
	return s.deleteBatches(ctx, matcher.Faces, faces, find)
}

// Link adds faces to a list (attach) or removes them from it, all or none. Faces
// that are already in, or not in, the list do not change. CodeListNotFound and
// CodeFaceNotFound name the missing ID.
func (s *Store) Link(ctx context.Context, account *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error {
	if err := s.Owners().CheckList(list); err != nil {
		return err
	}
	return s.Commit(ctx, func(tx *Tx) error {
		l, err := tx.visibleList(viewerOf(ctx, account), list)
		if err != nil {
			return err
		}
		for i, id := range faces {
			if err := tx.linkFace(viewerOf(ctx, account), l, id, attach); err != nil {
				return faceError(err, i, id)
			}
		}
		return nil
	})
}

// faceError adds the index of the face to an error about a face that is missing or
// must not be in the list.
func faceError(err error, i int, id matcher.ID) error {
	switch matcher.CodeOf(err) {
	case matcher.CodeFaceNotFound:
		return matcher.Errorf(matcher.CodeFaceNotFound, "face_ids[%d]: %s does not exist", i, id)
	case matcher.CodeForbidden:
		return matcher.Errorf(matcher.CodeForbidden, "face_ids[%d]: %w", i, err)
	}
	return err
}

func (tx *Tx) linkFace(by viewer, l *matcher.List, id matcher.ID, attach bool) error {
	o, err := tx.visibleObject(by, matcher.Faces, id)
	if err != nil {
		return err
	}
	if attach && !MayJoin(o.Account, l.Account) {
		return matcher.Errorf(matcher.CodeForbidden, "%s belongs to another account than the list %s", id, l.ID)
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
