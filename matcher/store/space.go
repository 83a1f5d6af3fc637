package store

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// The unit of space is the size of a memtable. A large memtable is faster. A small
// disk needs a small one, because the log, the tables written from memtables and the
// spare file each take a few units.
const (
	unitMin = 1 << 20
	unitMax = 64 << 20
)

// unitOf returns the unit, in bytes, for a file system of total bytes.
func unitOf(total uint64) int64 { return int64(min(max(total/64, unitMin), unitMax)) }

// diskUsage returns the free bytes and the size of dir's file system. If the file
// system does not report them, both are the largest int64.
func diskUsage(fs vfs.FS, dir string) (free, total uint64, err error) {
	u, err := fs.GetDiskUsage(dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return math.MaxInt64, math.MaxInt64, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("store: free space of %s: %w", dir, err)
	}
	return u.AvailBytes, u.TotalBytes, nil
}

// spare is a file that reserves disk space. Other programs may use up the disk after
// the free-space check of a commit. If the log then finds the disk full, the spare
// file is removed and its space lets the write succeed.
type spare struct {
	fs   vfs.FS
	path string
	size int64

	mu   sync.Mutex
	held bool
}

// hold creates the file, unless it exists.
func (s *spare) hold() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return nil
	}
	f, err := s.fs.Create(s.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = f.Preallocate(0, s.size)
	if !isFull(err) {
		err = nil // the file system cannot reserve space: only the free-space check remains
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.fs.Remove(s.path))
	}
	s.held = true
	return nil
}

// release removes the file and so frees its space. It returns false if the file does
// not exist or cannot be removed.
func (s *spare) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held {
		return false
	}
	s.held = false
	return s.fs.Remove(s.path) == nil
}

// diskSpace is the disk space that a group may use.
type diskSpace struct {
	free    uint64 // free bytes of the file system
	reserve uint64 // part of free that only deletes may use
	fault   error  // why nothing may be added now, or nil
}

// measureSpace returns the current disk space. It is called once per group.
func (s *Store) measureSpace() (diskSpace, error) {
	free, _, err := diskUsage(s.fs, s.opts.Dir)
	if err != nil {
		return diskSpace{}, err
	}
	r := diskSpace{free: free, reserve: s.guard.reserve}
	if fault := s.guard.flushFault.Load(); fault != nil {
		r.fault = *fault
	} else if free >= r.reserve { // below the reserve, admit refuses puts anyway
		r.fault = s.spare.hold()
	}
	return r, nil
}

// admit returns an error if the disk has too little space for a group of the given
// size. A byte is written up to three times before its first copy is deleted: to the
// log, a table, and by a compaction. grows tells whether the transaction adds data.
// Deletes may use the reserve, because they make space.
func (r diskSpace) admit(bytes int, grows bool) error {
	need := 3 * uint64(bytes)
	if grows {
		need += r.reserve
		if r.fault != nil && !isFull(r.fault) {
			return matcher.Errorf(matcher.CodeUnavailable, "the disk cannot be written: %w", r.fault)
		}
		if r.fault != nil {
			return matcher.Errorf(matcher.CodeFull, "the disk is full: %d bytes free, %w", r.free, r.fault).Mask("the disk is full")
		}
	}
	if r.free < need {
		return matcher.Errorf(matcher.CodeFull, "the disk is full: %d bytes free, this write needs %d", r.free, need).Mask("the disk is full")
	}
	return nil
}
