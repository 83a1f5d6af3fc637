package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// Info describes a data directory without opening it.
type Info struct {
	Dir     string // absolute
	Exists  bool
	Format  int    // 0 if the directory has no format yet
	InUse   bool   // opened by this or another process
	Commits uint64 // lower bound of the number of acknowledged commits
	Bytes   int64  // disk space of all files, without snapshots, which share most of them
	Cache   string // directory of the [Cache], which may not exist; Bytes includes it
	Free    uint64 // free bytes of the file system
	Total   uint64 // size of the file system in bytes
	Damage  string // what a verification has found, if writes are refused because of it; else empty
	// Fault is the reason why the directory cannot be opened or created: a
	// different format, files of other programs, obvious damage or missing
	// permission. For missing permission it wraps the system's error. A nil Fault
	// does not prove that the directory is undamaged: only Open reads everything.
	Fault error
}

// Inspect describes the data directory dir. It changes nothing.
func Inspect(dir string) (Info, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Info{}, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	info := Info{Dir: abs, Cache: filepath.Join(abs, nameSegments)}
	st, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		info.Fault = canMake(abs)
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
	if info.Fault = canWrite(abs); info.Fault != nil {
		return info, nil
	}
	state, fault := inspectDir(vfs.Default, abs)
	info.Fault = fault
	if state == dirOurs {
		info.Format, _ = readFormat(vfs.Default, abs) // inspectDir returned the error as fault
		if text, found := readMarker(vfs.Default, abs); found {
			info.Damage = fmt.Sprintf("data directory %s is damaged, as its file %s says: %s", abs, nameDamaged, text)
		}
		if info.Commits, err = readCommitted(vfs.Default, abs); err != nil && fault == nil {
			info.Fault = damageError(abs, err)
		}
	}
	if info.Free, info.Total, err = diskUsage(vfs.Default, abs); err != nil {
		return info, err
	}
	if info.Bytes, err = diskBytes(abs); err != nil {
		return info, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	info.InUse, err = isLocked(abs)
	return info, err
}

// canWrite returns an error if this process cannot create files in dir.
func canWrite(dir string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("store: data directory %s cannot be used: %w", dir, err)
	}
	return nil
}

// virtualSystems are file systems of the kernel that hold no data. Faccessat does
// not report that some of their folders cannot be written to.
var virtualSystems = []int64{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC,
}

// nameBytesMax is the longest name that Linux allows in a folder.
const nameBytesMax = 255

// canMake returns an error if this process cannot create dir, which does not exist.
func canMake(dir string) error {
	above, err := dir, error(nil)
	for ; above != filepath.Dir(above); above = filepath.Dir(above) {
		if _, missing := os.Lstat(above); !errors.Is(missing, fs.ErrNotExist) {
			break
		}
		if len(filepath.Base(above)) > nameBytesMax {
			err = unix.ENAMETOOLONG
		}
	}
	if _, missing := os.Stat(above); missing != nil { // a symbolic link to a file that does not exist
		return fmt.Errorf("store: data directory %s cannot be created: the symbolic link %s leads nowhere: %w", dir, above, missing)
	}
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, above, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}
	var system unix.Statfs_t
	if err == nil && unix.Statfs(above, &system) == nil && slices.Contains(virtualSystems, system.Type) {
		err = unix.EPERM // faccessat does not report it for these file systems
	}
	if err != nil {
		return fmt.Errorf("store: data directory %s cannot be created in %s: %w", dir, above, err)
	}
	return nil
}

// diskBytes returns the disk space of all files in dir but snapshots and lost+found. It ignores files that are
// removed while it runs.
func diskBytes(dir string) (int64, error) {
	sum := int64(0)
	dir, err := filepath.EvalSymlinks(dir) // WalkDir does not follow the first one
	if err != nil {
		return 0, ignoreGone(err)
	}
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch name {
		case filepath.Join(dir, SnapshotsDir), filepath.Join(dir, lostFound):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // a symbolic link: SkipDir would skip the rest of dir
		}
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

// isLocked reports whether this or another process holds the lock of dir.
func isLocked(dir string) (bool, error) {
	if _, ok := openDirs.Load(dir); ok {
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
