package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// A group of tableBytes or more is written as a table that Pebble takes in. The
// log would write every byte three times: itself, memtable to table, and the
// first compaction. Below, one sync of the log is cheaper than a file, its
// place in the directory and the manifest; and small tables make compactions.
const tableBytes = 4 << 20

// tableSyncBytes is after how many bytes the disk is told to begin writing a
// table, so that the sync at its end is short.
const tableSyncBytes = 1 << 20

func (s *Store) tablePath() string { return s.fs.PathJoin(s.opts.Dir, nameTable) }

// ingest makes ops durable as a table, all or none. It returns an error when
// there are none, and poisons when it is not known.
func (s *Store) ingest(ops []op) error {
	path := s.tablePath()
	err := s.writeTable(path, ops)
	if err == nil {
		// Pebble links the table into its directory, syncs that, then names it
		// in a log or a manifest. Faults of these two halt.
		if err = s.db.Ingest(context.Background(), []string{path}); err == nil {
			return nil
		}
		if !isFull(err) {
			s.poison.fail(fmt.Errorf("ingest: %w", err))
			return err
		}
	}
	// When it stays: the next table, or the next Open, removes it.
	if removeErr := s.fs.Remove(path); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		s.opts.Warn("store: a table that was not used cannot be removed", "error", removeErr)
	}
	if isFull(err) {
		return matcher.Errorf(matcher.CodeFull, "the disk is full: %w", err)
	}
	return matcher.Errorf(matcher.CodeUnavailable, "the disk cannot be written: %w", err)
}

// writeTable writes a file that holds, for each key of ops, its last one. It
// is not behind the guard: Pebble does not see its faults, and here they do no
// harm.
func (s *Store) writeTable(path string, ops []op) error {
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: tableSyncBytes})
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.tables)
	order := keyOrder(ops)
	for i, at := range order {
		op := &ops[at.index]
		if i+1 < len(order) && ops[order[i+1].index].key == op.key {
			continue
		}
		if op.rec == nil {
			err = w.Delete(op.key[:])
		} else {
			err = w.Set(op.key[:], op.rec)
		}
		if err != nil {
			break
		}
	}
	return cmp.Or(err, w.Close()) // Close syncs; after an error it closes only
}

// place is an op in the order of keys.
type place struct {
	begin uint64 // of the key
	index int
}

// keyOrder returns the places of ops by key, those of one key as they come.
func keyOrder(ops []op) []place {
	order := make([]place, len(ops))
	for i := range ops {
		order[i] = place{binary.BigEndian.Uint64(ops[i].key[:]), i}
	}
	slices.SortFunc(order, func(a, b place) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Or(bytes.Compare(ops[a.index].key[:], ops[b.index].key[:]), cmp.Compare(a.index, b.index))
	})
	return order
}
