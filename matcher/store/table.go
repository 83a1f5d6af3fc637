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

// A group of at least tableBytes is written as a table that Pebble ingests. Through
// the log every byte would be written three times: to the log, from memtable to table,
// and by the first compaction. For a smaller group, one sync of the log is cheaper than
// writing a file, its directory entry and the manifest, and small tables would cause
// compactions. tableBytes must be less than the records of a large group of an import
// (internal/server/importgroup.go). These have 2.2 MiB with descriptors of 512 bytes. With
// 256 bytes they have 1.5 MiB, so they go through the log.
const tableBytes = 2 << 20

// tableSyncBytes is the number of bytes after which the kernel is asked to start
// writing a table to disk, so that the final sync is short.
const tableSyncBytes = 1 << 20

func (s *Store) tablePath() string { return s.fs.PathJoin(s.opts.Dir, nameTable) }

// ingest makes ops durable as a table, all or none. If it returns an error and the
// store is not poisoned, none is durable. If it is unknown whether they are
// durable, it poisons the store.
func (s *Store) ingest(ops []op) error {
	path := s.tablePath()
	err := s.writeTable(path, ops)
	if err == nil {
		// Pebble links the table into its directory, syncs the directory, then
		// records the table in a log or a manifest. Errors of these two halt.
		if err = s.db.Ingest(context.Background(), []string{path}); err == nil {
			return nil
		}
		if !isFull(err) {
			s.poison.fail(fmt.Errorf("ingest: %w", err))
			return err
		}
	}
	// If the file cannot be removed, the next table replaces it or the next Open removes it.
	if removeErr := s.fs.Remove(path); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		s.opts.Warn("store: an unused table cannot be removed", "error", removeErr)
	}
	if isFull(err) {
		return matcher.Errorf(matcher.CodeFull, "the disk is full: %w", err)
	}
	return matcher.Errorf(matcher.CodeUnavailable, "the disk cannot be written: %w", err)
}

// writeTable writes a table that holds, for each key of ops, the last op. It does
// not use the guard: Pebble does not see errors of this file, and they do no harm.
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
		if i+1 < len(order) && order[i+1].begin == at.begin && ops[order[i+1].index].key == op.key {
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
	return cmp.Or(err, w.Close()) // Close syncs; after an error it only closes
}

// opRef refers to an op, for sorting.
type opRef struct {
	begin uint64 // first bytes of the key
	index int    // in ops
}

// keyOrder returns ops sorted by key. Ops of the same key keep their order.
func keyOrder(ops []op) []opRef {
	order := make([]opRef, len(ops))
	for i := range ops {
		order[i] = opRef{binary.BigEndian.Uint64(ops[i].key[:]), i}
	}
	slices.SortFunc(order, func(a, b opRef) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Or(bytes.Compare(ops[a.index].key[:], ops[b.index].key[:]), cmp.Compare(a.index, b.index))
	})
	return order
}
