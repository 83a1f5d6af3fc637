package erase

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"nearside/matcher"
	"nearside/matcher/store"
)

// PackIDs returns IDs as a Request has them.
func PackIDs(ids []matcher.ID) []byte {
	packed := make([]byte, 0, len(ids)*len(matcher.ID{}))
	for _, id := range ids {
		packed = append(packed, id[:]...)
	}
	return packed
}

// unpackIDs returns the IDs of a Request, sorted and without repetitions.
func unpackIDs(packed []byte) []matcher.ID {
	var ids []matcher.ID
	for id := range slices.Chunk(packed, len(matcher.ID{})) {
		ids = append(ids, matcher.ID(id))
	}
	slices.SortFunc(ids, matcher.ID.Compare)
	return slices.Compact(ids)
}

// collect writes the targets with the descriptors that they have now.
func (j *job) collect(ctx context.Context) error {
	versions := map[uint32]bool{}
	return writeTargets(j.dir, func(write func(*target) error) error {
		add := func(t *target) error {
			for _, d := range t.Descriptors {
				versions[d.Version] = true
			}
			return write(t)
		}
		if err := j.addAll(ctx, add); err != nil {
			return err
		}
		return j.writeSteps(versions) // before the file of the targets is complete
	})
}

// addAll calls add with every target.
func (j *job) addAll(ctx context.Context, add func(*target) error) error {
	if j.request.Account == nil {
		for _, id := range unpackIDs(j.request.IDs) {
			if err := errors.Join(ctx.Err(), add(j.targetOf(j.request.Origin, id))); err != nil {
				return err
			}
		}
		return nil
	}
	for o := range matcher.Origins {
		ids, err := j.Memory.IDs(ctx, o, &matcher.Filter{Account: j.request.Account}, nil)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := errors.Join(ctx.Err(), add(j.targetOf(o, id))); err != nil {
				return err
			}
		}
	}
	return j.addLists(add)
}

// addLists adds the lists of the account.
func (j *job) addLists(add func(*target) error) error {
	const pageSize = 1000
	var after *matcher.ID
	for {
		lists, _ := j.Memory.Lists(j.request.Account, matcher.Page{Size: pageSize, After: after})
		for _, l := range lists {
			if err := add(&target{List: true, ID: l.ID, Existed: true}); err != nil {
				return err
			}
		}
		if len(lists) < pageSize {
			return nil
		}
		after = &lists[len(lists)-1].ID
	}
}

// targetOf returns an object as it is now. An object that does not exist is a target, too,
// because files may still have it.
func (j *job) targetOf(o matcher.Origin, id matcher.ID) *target {
	object, ok := j.Memory.Get(o, id, nil, true)
	if !ok { // an expired attribute, or no object
		return &target{Origin: o, ID: id, Existed: j.Memory.Has(o, id)}
	}
	t := &target{Origin: o, ID: id, Existed: true}
	for _, d := range object.Descriptors {
		if !d.IsZero() {
			t.Descriptors = append(t.Descriptors, d)
		}
	}
	return t
}

// delete deletes all targets, in batches.
func (j *job) delete(ctx context.Context) error {
	var batch []*target
	flush := func() error {
		err := j.deleteBatch(ctx, batch)
		batch = batch[:0]
		return err
	}
	size := 0
	err := readTargets(filepath.Join(j.dir, nameTargets), func(t *target) error {
		if t.List {
			return j.deleteList(ctx, t.ID)
		}
		if len(batch) == store.DeleteBatch || size >= batchBytes || len(batch) > 0 && batch[0].Origin != t.Origin {
			size = 0
			if err := flush(); err != nil {
				return err
			}
		}
		batch = append(batch, t)
		for _, d := range t.Descriptors {
			size += len(d.Data)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// deleteBatch deletes targets of one origin. A target that was changed since it was
// collected is written to the changed ones before it is deleted.
func (j *job) deleteBatch(ctx context.Context, batch []*target) error {
	if len(batch) == 0 {
		return nil
	}
	origin := batch[0].Origin
	_, err := j.Store.DeleteObjects(ctx, origin, func() ([]matcher.ID, error) {
		var ids []matcher.ID
		var changed []*target
		for _, t := range batch {
			if !j.Memory.Has(origin, t.ID) {
				continue
			}
			ids = append(ids, t.ID)
			if now := j.targetOf(origin, t.ID); !slices.EqualFunc(now.Descriptors, t.Descriptors, sameDescriptor) {
				changed = append(changed, now)
			}
		}
		if len(changed) > 0 {
			return ids, appendChanged(j.dir, changed)
		}
		return ids, nil
	})
	return err
}

func sameDescriptor(a, b matcher.Descriptor) bool {
	return a.Version == b.Version && string(a.Data) == string(b.Data)
}

func (j *job) deleteList(ctx context.Context, id matcher.ID) error {
	err := j.Store.DeleteList(ctx, nil, id, nil)
	if matcher.CodeOf(err) == matcher.CodeListNotFound { // deleted before a restart
		return nil
	}
	return err
}

// sortedIDs returns the IDs of the objects among the targets, sorted, by origin.
func (j *job) sortedIDs() (ids [matcher.Origins][]matcher.ID, err error) {
	err = readTargets(filepath.Join(j.dir, nameTargets), func(t *target) error {
		if !t.List {
			ids[t.Origin] = append(ids[t.Origin], t.ID)
		}
		return nil
	})
	for o := range ids {
		slices.SortFunc(ids[o], matcher.ID.Compare)
	}
	return ids, err
}

func contains(sorted []matcher.ID, id matcher.ID) bool {
	_, found := slices.BinarySearchFunc(sorted, id, matcher.ID.Compare)
	return found
}
