package store

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// The unit of space is the size of a memtable: large for speed, small on a
// small disk, because the log, the tables made of it and the spare file each
// take a few units.
const (
	unitMin = 1 << 20
	unitMax = 64 << 20
)

// unitOf returns the unit for a file system of total bytes.
func unitOf(total uint64) int64 { return int64(min(max(total/64, unitMin), unitMax)) }

// diskUsage returns the free and all bytes of dir's file system; a file system
// that cannot tell has no end.
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

// spare is a file that holds back disk space. The free-space check before each
// commit cannot see what other programs take a moment later: when the log then
// finds the disk full, the space of this file lets it go on.
type spare struct {
	fs   vfs.FS
	path string
	size int64

	mu   sync.Mutex
	held bool
}

// hold makes the file, when it is not there yet.
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
		err = nil // a file system that cannot reserve space: the check alone must do
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.fs.Remove(s.path))
	}
	s.held = true
	return nil
}

// release gives the space back to the disk; false when there was none.
func (s *spare) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held {
		return false
	}
	s.held = false
	return s.fs.Remove(s.path) == nil
}

func (s *spare) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// room tells how much a group may still write.
type room struct {
	free    uint64 // bytes of the file system that are free
	reserve uint64 // of them, not to be used by writes that add something
	fault   error  // why nothing may be added now
}

// measure looks at the disk. It is asked once per group.
func (s *Store) measure() (room, error) {
	free, _, err := diskUsage(s.fs, s.opts.Dir)
	if err != nil {
		return room{}, err
	}
	r := room{free: free, reserve: s.guard.reserve}
	if flush := s.guard.flush.Load(); flush != nil {
		r.fault = *flush
	} else if free >= r.reserve { // else admit refuses puts anyway
		r.fault = s.spare.hold()
	}
	return r, nil
}

// admit refuses a transaction for which the disk has no room. A byte is
// written up to three times before the first copy is given up: log, table,
// compaction. Deletes may use the reserve: they are the way out.
func (r room) admit(bytes int, grows bool) error {
	need := 3 * uint64(bytes)
	if grows {
		need += r.reserve
		if r.fault != nil && !isFull(r.fault) {
			return matcher.Errorf(matcher.CodeUnavailable, "the disk cannot be written: %w", r.fault)
		}
		if r.fault != nil {
			return matcher.Errorf(matcher.CodeFull, "the disk is full: %d bytes free, %w", r.free, r.fault)
		}
	}
	if r.free < need {
		return matcher.Errorf(matcher.CodeFull, "the disk is full: %d bytes free, this write needs %d", r.free, need)
	}
	return nil
}
