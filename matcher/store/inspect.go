package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// Info describes a data directory without opening it.
type Info struct {
	Dir     string // absolute
	Exists  bool
	Format  int    // 0: none yet
	InUse   bool   // by this or another process
	Commits uint64 // answered ones, at least
	Bytes   int64  // on disk, all files
	Cache   string // folder of the [Cache], which may not be there; part of Bytes
	Free    uint64 // bytes of the file system
	Total   uint64 // bytes of the file system
	// Fault says what stands in the way of opening it: another format,
	// somebody else's files, obvious damage. nil does not mean that all is
	// well: only Open reads everything.
	Fault error
}

// Inspect describes the data directory dir and touches nothing.
func Inspect(dir string) (Info, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Info{}, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	info := Info{Dir: abs, Cache: filepath.Join(abs, nameSegments)}
	st, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return info, nil
	}
	if err != nil {
		return info, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	info.Exists = true
	if !st.IsDir() {
		info.Fault = fmt.Errorf("store: %s is not a directory", abs)
		return info, nil
	}
	state, fault := inspectDir(vfs.Default, abs)
	info.Fault = fault
	if state == dirOurs {
		info.Format, _ = readFormat(vfs.Default, abs) // its error is in Fault
		if info.Commits, err = readCommitted(vfs.Default, abs); err != nil && fault == nil {
			info.Fault = damaged(abs, err)
		}
	}
	if info.Free, info.Total, err = diskUsage(vfs.Default, abs); err != nil {
		return info, err
	}
	if info.Bytes, err = diskBytes(abs); err != nil {
		return info, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	info.InUse, err = locked(abs)
	return info, err
}

// diskBytes sums what the files of dir take on disk. Files that vanish
// meanwhile are nobody's fault.
func diskBytes(dir string) (int64, error) {
	sum := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512
		} else {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// locked reports whether somebody holds the lock of dir.
func locked(dir string) (bool, error) {
	if _, ok := opened.Load(dir); ok {
		return true, nil
	}
	f, err := os.Open(filepath.Join(dir, nameDatabase, nameLock))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	return lock.Type != unix.F_UNLCK, nil
}
