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

// DeleteBatch is the number of objects that one commit deletes when the caller
// gives no smaller one: writes beside it wait for one batch, and the memory of a
// delete does not depend on its size.
const DeleteBatch = 10_000

// Find returns the IDs of objects that are to be deleted: all, or those among the
// given IDs that still are.
type Find func(among []matcher.ID) ([]matcher.ID, error)

// DeleteFound removes the objects that find returns, in batches of DeleteBatch.
// Each batch is deleted as a whole or not at all. Before a batch is deleted, find
// is asked again for its objects, while the applier's state is the committed one
// and nothing else is written. Objects that find would return only since
// DeleteFound began stay. After an error, deleted is the number of objects that
// were removed before it, and the error says it, too.
func (s *Store) DeleteFound(ctx context.Context, origin matcher.Origin, find Find) (deleted int, err error) {
	if err := s.Owners().CheckOrigin(origin); err != nil {
		return 0, err
	}
	ids, err := find(nil)
	if err != nil {
		return 0, err
	}
	return s.deleteBatches(ctx, origin, ids, find)
}

func (s *Store) deleteBatches(ctx context.Context, origin matcher.Origin, ids []matcher.ID, find Find) (deleted int, err error) {
	for batch := range slices.Chunk(ids, s.opts.deleteBatch) {
		n, err := s.DeleteObjects(ctx, origin, func() ([]matcher.ID, error) { return find(batch) })
		if err != nil {
			return deleted, partly(err, deleted)
		}
		deleted += n
	}
	return deleted, nil
}

// partly adds to the error of a batch how many objects the batches before it have
// deleted.
func partly(err error, deleted int) error {
	if deleted == 0 {
		return err
	}
	also := fmt.Sprintf("; %d objects were deleted before", deleted)
	if errors.Is(err, context.DeadlineExceeded) { // which would be answered without the number
		return matcher.Errorf(matcher.CodeDeadline, "the request's deadline passed%s", also)
	}
	e, ok := errors.AsType[*matcher.Error](err)
	if !ok {
		return fmt.Errorf("%w%s", err, also)
	}
	counted := *e
	counted.Detail += also
	if e.Masked != "" {
		counted.Masked += also
	}
	return &counted
}

// deleteAll removes the objects of ids that are there and returns how many. It
// reads their records with one iterator, in the order of keys: a Get for each
// would read the filter of a whole table again and again.
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
	for _, id := range sortOnce(slices.Clone(ids)) {
		if err := tx.seek(it, objectKey(origin, id)); err != nil {
			return 0, err
		}
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

// seek finds the record of k with it, so that readRecord does not have to.
func (tx *Tx) seek(it *pebble.Iterator, k key) error {
	if _, own := tx.local[k]; own {
		return nil
	}
	if _, earlier := tx.group.overlay[k]; earlier || !tx.mayBeCommitted(k) {
		return nil
	}
	var rec []byte
	if it.SeekGE(k[:]) && bytes.Equal(it.Key(), k[:]) {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		rec = bytes.Clone(value)
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	tx.last = lookup{k, rec}
	return nil
}
