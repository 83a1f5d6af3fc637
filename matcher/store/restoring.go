package store

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A data directory that is being restored has a file nameRestoring. Open refuses it, so
// that a restore that did not finish is not taken for a complete directory.

// BeginRestore marks dir as incomplete, durably.
func BeginRestore(dir string) error {
	return writeFile(vfs.Default, filepath.Join(dir, nameRestoring), "this data directory is incomplete: a restore is in progress, or did not finish\n")
}

// IsRestoring reports whether dir is marked as incomplete.
func IsRestoring(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, nameRestoring))
	return err == nil
}

// IsRestoreMark reports whether a file with this name marks a directory as incomplete.
func IsRestoreMark(name string) bool { return name == nameRestoring }

// EndRestore removes the mark from dir, whose files are durable.
func EndRestore(dir string) error {
	return errors.Join(os.Remove(filepath.Join(dir, nameRestoring)), syncDir(vfs.Default, dir))
}
