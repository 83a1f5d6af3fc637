package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// DeleteBatch is the number of objects that a large delete deletes per commit. So
// other writes wait for one batch, and the memory that a delete needs does not depend
// on its size.
const DeleteBatch = 10_000

// FindFunc returns the IDs of the objects to delete. If among is nil, it returns all of
// them; otherwise it returns those of among that are still to be deleted.
type FindFunc func(among []matcher.ID) ([]matcher.ID, error)

// DeleteFound removes the objects that find returns, in batches of DeleteBatch.
// Each batch is deleted as a whole or not at all. Before a batch is deleted, find
// is called again with its IDs. Meanwhile the applier has exactly the committed state
// and nothing else is written. Objects that match only after DeleteFound began are not
// deleted. After an error, deleted is the number of objects that were removed before
// it; the text of the error has the number, too.
func (s *Store) DeleteFound(ctx context.Context, origin matcher.Origin, find FindFunc) (deleted int, err error) {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return 0, err
	}
	ids, err := find(nil)
	if err != nil {
		return 0, err
	}
	return s.deleteBatches(ctx, origin, ids, find)
}

func (s *Store) deleteBatches(ctx context.Context, origin matcher.Origin, ids []matcher.ID, find FindFunc) (deleted int, err error) {
	for batch := range slices.Chunk(ids, s.opts.deleteBatch) {
		n, err := s.DeleteObjects(ctx, origin, func() ([]matcher.ID, error) { return find(batch) })
		if err != nil {
			return deleted, addDeletedCount(err, deleted)
		}
		deleted += n
	}
	return deleted, nil
}

// DeleteFromList takes the faces that find returns out of a list, and deletes those that are
// then in no list. It works in batches, as DeleteFound does. deleted and unlinked are the
// numbers of faces that were deleted and of those that are still in other lists.
func (s *Store) DeleteFromList(ctx context.Context, list matcher.ID, find FindFunc) (deleted, unlinked int, err error) {
	if err := s.Owners().CheckList(list); err != nil {
		return 0, 0, err
	}
	ids, err := find(nil)
	if err != nil {
		return 0, 0, err
	}
	for batch := range slices.Chunk(ids, s.opts.deleteBatch) {
		gone, left := 0, 0
		err := s.CommitAlone(ctx, func(tx *Tx) (err error) {
			ids, err := find(batch)
			if err == nil {
				gone, left, err = tx.deleteFromList(list, ids)
			}
			return err
		})
		if err != nil {
			return deleted, unlinked, err
		}
		deleted, unlinked = deleted+gone, unlinked+left
	}
	return deleted, unlinked, nil
}

func (tx *Tx) deleteFromList(list matcher.ID, ids []matcher.ID) (deleted, unlinked int, err error) {
	for _, id := range sortUnique(slices.Clone(ids)) {
		o, err := tx.Object(matcher.Faces, id)
		if err != nil {
			return 0, 0, err
		}
		if o == nil || !slices.Contains(o.Lists, list) {
			continue
		}
		if len(o.Lists) == 1 {
			err = tx.Delete(matcher.Faces, id)
			deleted++
		} else {
			o.Lists = slices.DeleteFunc(o.Lists, func(l matcher.ID) bool { return l == list })
			err = tx.Put(o)
			unlinked++
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return deleted, unlinked, nil
}

// addDeletedCount adds to err, the error of a batch, the number of objects that the
// batches before it deleted.
func addDeletedCount(err error, deleted int) error {
	if deleted == 0 {
		return err
	}
	count := fmt.Sprintf("; %d objects had already been deleted", deleted)
	if errors.Is(err, context.DeadlineExceeded) { // the answer to this error would not have the number
		return matcher.Errorf(matcher.CodeDeadline, "the request's deadline passed%s", count)
	}
	e, ok := errors.AsType[*matcher.Error](err)
	if !ok {
		return fmt.Errorf("%w%s", err, count)
	}
	counted := *e
	counted.Detail += count
	if e.Masked != "" {
		counted.Masked += count
	}
	return &counted
}

// deleteAll removes those objects of ids that exist, and returns their number. It
// reads their records with one iterator, in the order of keys, because a Get for each
// record would read the Bloom filter of a whole table again and again.
func (tx *Tx) deleteAll(origin matcher.Origin, ids []matcher.ID) (deleted int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	it, err := tx.store.db.NewIter(nil)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	defer func() {
		if closing := it.Close(); closing != nil && err == nil {
			deleted, err = 0, fmt.Errorf("store: %w", closing)
		}
	}()
	for _, id := range sortUnique(slices.Clone(ids)) {
		if err := tx.seekRecord(it, objectKey(origin, id)); err != nil {
			return 0, err
		}
		exists, err := tx.Has(origin, id)
		if err != nil {
			return 0, err
		}
		if !exists {
			continue
		}
		if err := tx.Delete(origin, id); err != nil {
			return 0, err
		}
		deleted++
	}
	return deleted, nil
}

// unlinkAll takes faces out of lists. It returns the number of faces that were in one of
// the lists.
func (tx *Tx) unlinkAll(lists matcher.Lists, ids []matcher.ID) (unlinked int, err error) {
	for _, id := range sortUnique(slices.Clone(ids)) {
		o, err := tx.Object(matcher.Faces, id)
		if err != nil {
			return 0, err
		}
		if o == nil || !lists.See(o) {
			continue
		}
		o.Lists = slices.DeleteFunc(o.Lists, lists.Have)
		if err := tx.Put(o); err != nil {
			return 0, err
		}
		unlinked++
	}
	return unlinked, nil
}

// seekRecord reads the record of k with the iterator it, and keeps it in tx.last, where
// readRecord finds it.
func (tx *Tx) seekRecord(it *pebble.Iterator, k key) error {
	if _, own := tx.local[k]; own {
		return nil
	}
	if _, earlier := tx.group.find(k); earlier || !tx.isCommitted(k) {
		return nil
	}
	found := it.SeekGE(k[:]) && bytes.Equal(it.Key(), k[:])
	if err := it.Error(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if !found {
		return lostRecord(k)
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	tx.last = lookup{k, bytes.Clone(value)}
	return nil
}
