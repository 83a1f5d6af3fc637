package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FormatNumber is the format of data directories that this program writes. It is
// also the only format that it reads.
const FormatNumber = 1

// Names in a data directory.
const (
	nameFormat    = "FORMAT"
	nameFormatNew = "FORMAT.new" // FORMAT of a directory that is being created
	nameDatabase  = "pebble"
	nameLock      = "LOCK" // in nameDatabase
	nameCommitted = "COMMITTED"
	nameSpare     = "SPARE"
	nameTable     = "INGEST" // a table that is written and then ingested
	nameRestoring = "RESTORING"
)

// SnapshotsDir is the default name of the folder of snapshots in a data directory. The
// store ignores it, also in a directory that is otherwise empty.
const SnapshotsDir = "snapshots"

// lostFound is a folder in the root of a file system. Often, only root may read it.
const lostFound = "lost+found"

// dirState tells whether a data directory was created completely.
type dirState int

const (
	dirNew  dirState = iota // empty, or its creation did not finish: nothing was ever stored
	dirOurs                 // FORMAT exists
)

// inspectDir returns the state of dir, or an error that explains why dir cannot be
// used. It changes nothing.
func inspectDir(fs vfs.FS, dir string) (dirState, error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	slices.Sort(names)
	switch {
	case slices.Contains(names, nameRestoring):
		return 0, fmt.Errorf("store: data directory %s is incomplete: a restore into it did not finish; restore again", dir)
	case slices.Contains(names, nameFormat):
		return dirOurs, checkFormat(fs, dir)
	case slices.Contains(names, nameFormatNew):
		return dirNew, nil
	}
	for _, name := range names {
		switch name {
		case lostFound, SnapshotsDir:
			continue
		case nameCommitted, nameID:
			return 0, damageError(dir, fmt.Errorf("the file %s is missing", nameFormat))
		case nameDatabase:
		default:
			return 0, fmt.Errorf("store: %s is not empty and is not a nearside data directory: it has %s, but no file %s; choose another directory", dir, name, nameFormat)
		}
		inside, err := fs.List(fs.PathJoin(dir, name))
		if err != nil {
			return 0, fmt.Errorf("store: data directory %s: %w", dir, err)
		}
		if len(inside) > 0 && !slices.Equal(inside, []string{nameLock}) {
			return 0, damageError(dir, fmt.Errorf("the file %s is missing", nameFormat))
		}
	}
	return dirNew, nil
}

// checkFormat reads FORMAT and returns an error unless it is FormatNumber.
func checkFormat(fs vfs.FS, dir string) error {
	n, err := readFormat(fs, dir)
	switch {
	case err != nil:
		return damageError(dir, err)
	case n > FormatNumber:
		return fmt.Errorf("store: data directory %s has format %d, but this program supports formats up to %d: use a newer nearside; nothing was changed", dir, n, FormatNumber)
	}
	return nil
}

func formatText() string { return fmt.Sprintf("nearside %d\n", FormatNumber) }

func readFormat(fs vfs.FS, dir string) (int, error) {
	b, err := readFile(fs, fs.PathJoin(dir, nameFormat))
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(strings.TrimSuffix(string(b), "\n"), "nearside ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return 0, fmt.Errorf("the file %s must contain \"nearside %d\", got %.40q", nameFormat, FormatNumber, b)
	}
	return n, nil
}

// damageError returns an error that says that dir is damaged and what to do. For
// causes that are not damage, such as missing permission, it says only that dir
// cannot be read.
func damageError(dir string, cause error) error {
	if isAccessFault(cause) {
		return fmt.Errorf("store: data directory %s cannot be read: %w", dir, cause)
	}
	return fmt.Errorf("store: data directory %s is damaged: %s%w; nothing was changed: restore it from a copy, or move it away and import the data again", dir, oneLine(cause), silentError{cause})
}

// isAccessFault reports whether files could not be read for a reason that is not damage.
func isAccessFault(err error) bool {
	for _, e := range []error{fs.ErrPermission, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// oneLine returns the text of err in one line, without the marker that Pebble adds for
// internal use.
func oneLine(err error) string {
	return strings.NewReplacer("\n<corruption detail carrier>", "", "\n", "; ").Replace(err.Error())
}

// openDirs holds the data directories that this process has open. isLocked needs
// it: opening and closing a LOCK file would release this process's own lock.
var openDirs sync.Map // absolute path -> struct{}

// lockDir locks dir against other processes.
func lockDir(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(fs.PathJoin(dir, nameDatabase), fs)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), strings.Contains(err.Error(), "lock held"): // the first error means another process, the second this process
		return nil, fmt.Errorf("store: data directory %s is in use by another nearside: stop it, or choose another directory", dir)
	default:
		return nil, fmt.Errorf("store: data directory %s cannot be locked: %w", dir, err)
	}
}

// createDatabase creates the database of a new directory. It creates FORMAT last:
// a directory without FORMAT never stored anything.
func createDatabase(g *guardFS, dir string, o *pebble.Options) error {
	fs := g.FS
	database := fs.PathJoin(dir, nameDatabase)
	names, err := fs.List(database)
	if err != nil {
		return err
	}
	if err := writeFile(fs, fs.PathJoin(dir, nameFormatNew), formatText()); err != nil {
		return err
	}
	for _, name := range names { // left by a creation that did not finish
		if name != nameLock {
			if err := fs.RemoveAll(fs.PathJoin(database, name)); err != nil {
				return err
			}
		}
	}
	o.ErrorIfNotExists = false
	db, err := openPebble(database, o, g.poison)
	if err != nil {
		return err
	}
	if err := runHaltable(g.poison, db.Close); err != nil {
		return err
	}
	if err := writeFile(fs, fs.PathJoin(dir, nameCommitted), committedText(0)); err != nil {
		return err
	}
	if err := fs.Rename(fs.PathJoin(dir, nameFormatNew), fs.PathJoin(dir, nameFormat)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// makeDir creates a directory and its missing parents, durably.
func makeDir(fs vfs.FS, dir string) error {
	parent := filepath.Dir(dir)
	if _, err := fs.Stat(dir); err == nil || parent == dir {
		return err
	}
	if err := makeDir(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	return b, errors.Join(err, f.Close())
}

func writeFile(fs vfs.FS, path, text string) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(fs, filepath.Dir(path))
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
