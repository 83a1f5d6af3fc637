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

// formatNumber is the format of data directories that this program writes, and
// the only one that it reads.
const formatNumber = 1

// Names in a data directory.
const (
	nameFormat    = "FORMAT"
	nameFormatNew = "FORMAT.new" // FORMAT of a directory whose creation has not ended
	nameDatabase  = "pebble"
	nameLock      = "LOCK" // in nameDatabase
	nameCommitted = "COMMITTED"
	nameSpare     = "SPARE"
	nameTable     = "INGEST" // a table on its way into the database
)

// dirState is what a data directory is.
type dirState int

const (
	dirNew  dirState = iota // empty, or its creation was cut short: nothing was ever stored
	dirOurs                 // FORMAT is there
)

// inspectDir says what dir is, or why it cannot be used. It changes nothing.
func inspectDir(fs vfs.FS, dir string) (dirState, error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	slices.Sort(names)
	switch {
	case slices.Contains(names, nameFormat):
		return dirOurs, checkFormat(fs, dir)
	case slices.Contains(names, nameFormatNew):
		return dirNew, nil
	}
	for _, name := range names {
		switch name {
		case "lost+found": // a file system of its own
			continue
		case nameCommitted:
			return 0, damaged(dir, fmt.Errorf("the file %s is missing", nameFormat))
		case nameDatabase:
		default:
			return 0, fmt.Errorf("store: %s is not empty and no data directory of nearside: it has no file %s, but %s; choose another directory", dir, nameFormat, name)
		}
		inside, err := fs.List(fs.PathJoin(dir, name))
		if err != nil {
			return 0, fmt.Errorf("store: data directory %s: %w", dir, err)
		}
		if len(inside) > 0 && !slices.Equal(inside, []string{nameLock}) {
			return 0, damaged(dir, fmt.Errorf("the file %s is missing", nameFormat))
		}
	}
	return dirNew, nil
}

// checkFormat reads FORMAT and returns an error unless it is formatNumber.
func checkFormat(fs vfs.FS, dir string) error {
	n, err := readFormat(fs, dir)
	switch {
	case err != nil:
		return damaged(dir, err)
	case n > formatNumber:
		return fmt.Errorf("store: data directory %s has format %d, this program knows formats up to %d: use a newer nearside; nothing was changed", dir, n, formatNumber)
	}
	return nil
}

func formatText() string { return fmt.Sprintf("nearside %d\n", formatNumber) }

func readFormat(fs vfs.FS, dir string) (int, error) {
	b, err := readFile(fs, fs.PathJoin(dir, nameFormat))
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(strings.TrimSuffix(string(b), "\n"), "nearside ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return 0, fmt.Errorf("the file %s says %.40q, not \"nearside %d\"", nameFormat, b, formatNumber)
	}
	return n, nil
}

// damaged says that dir cannot be used, and what to do. Faults that are not of
// the data say so instead.
func damaged(dir string, cause error) error {
	for _, e := range []error{fs.ErrPermission, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(cause, e) {
			return fmt.Errorf("store: data directory %s cannot be read: %w", dir, cause)
		}
	}
	// One line, without a mark that Pebble makes for its own use.
	text := strings.NewReplacer("\n<corruption detail carrier>", "", "\n", "; ").Replace(cause.Error())
	return fmt.Errorf("store: data directory %s is damaged: %s%w; nothing was changed: restore it from a copy, or move it away and import the data again", dir, text, hidden{cause})
}

// opened names the data directories that this process has open. Looking at a
// LOCK file, and closing it, would drop the process's own lock of it.
var opened sync.Map // absolute path -> struct{}

// lockDir takes the lock that keeps other processes out.
func lockDir(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(fs.PathJoin(dir, nameDatabase), fs)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), strings.Contains(err.Error(), "lock held"): // another process, this one
		return nil, fmt.Errorf("store: data directory %s is in use by another nearside: stop that one, or choose another directory", dir)
	default:
		return nil, fmt.Errorf("store: data directory %s cannot be locked: %w", dir, err)
	}
}

// create makes the database of a new directory. FORMAT comes last: as long as
// it is not there, nothing was ever stored.
func create(g *guardFS, dir string, o *pebble.Options) error {
	fs := g.FS
	database := fs.PathJoin(dir, nameDatabase)
	names, err := fs.List(database)
	if err != nil {
		return err
	}
	if err := writeFile(fs, fs.PathJoin(dir, nameFormatNew), formatText()); err != nil {
		return err
	}
	for _, name := range names { // left by a creation that was cut short
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
	if err := apart(g.poison, db.Close); err != nil {
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

// makeDir makes a directory and those above it, durably.
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
