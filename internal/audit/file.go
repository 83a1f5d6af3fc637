package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"
)

// The current file has the configured name. A rotated file has the number of its first line
// in addition, with 16 digits, so its name never changes and the order of names is that of
// the lines.

// rotatedForm is the part of the name of a rotated file after that of the current one.
var rotatedForm = regexp.MustCompile(`^\.\d{16,20}(\.\d+)?$`)

// rotatedFiles returns the rotated files that belong to a current file, in order.
func rotatedFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var names []string
	base := filepath.Base(path)
	for _, e := range entries {
		if name := e.Name(); len(name) > len(base) && name[:len(base)] == base && rotatedForm.MatchString(name[len(base):]) {
			names = append(names, filepath.Join(filepath.Dir(path), name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// openCurrent opens or creates the current file and locks it.
func openCurrent(path string) (f *os.File, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: another process writes this file", path)
		}
		return nil, fmt.Errorf("%s: lock: %w", path, err)
	}
	return f, nil
}

// rotate renames the current file and begins a new one. The caller holds l.mu.
func (l *Log) rotate() error {
	l.retire(l.file)
	l.file = nil
	if err := l.moveAway(l.path, l.first); err != nil {
		return err
	}
	f, err := openCurrent(l.path)
	if err != nil {
		return err
	}
	l.file, l.size, l.first = f, 0, 0
	return nil
}

// moveAway gives a file the name of a rotated one.
func (l *Log) moveAway(path string, first uint64) error {
	if first == 0 { // it has no line
		first = l.head.Seq + 1
	}
	name := fmt.Sprintf("%s.%016d", path, first)
	for n, free := 1, name; ; n++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			name = free
			break
		}
		free = fmt.Sprintf("%s.%d", name, n)
	}
	l.renamed = true
	return os.Rename(path, name)
}

// retire leaves a file to the background work, which syncs and closes it. The file is not
// locked any more, so that it can be opened again at once.
func (l *Log) retire(f *os.File) {
	if f != nil {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // it does not fail for an open file
		l.old = append(l.old, f)
		l.unkept = true
	}
}

// syncDir syncs the folder of a file.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
