package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nearside/matcher/store"
)

// Restore makes a data directory in dir of the snapshot at name, a folder or a tar file. It
// first verifies the whole snapshot, as Verify does, and then verifies each file again while
// it writes it. dir must not exist, or be empty: only the default folder of snapshots may be
// there. If the restore does not finish, the data directory cannot be used, and another
// restore begins anew.
func Restore(ctx context.Context, name, dir string, progress func(part float64)) (*Manifest, error) {
	if err := checkTarget(dir); err != nil {
		return nil, err
	}
	half := func(from float64) func(float64) {
		if progress == nil {
			return nil
		}
		return func(part float64) { progress(from + part/2) }
	}
	if _, err := Verify(ctx, name, half(0)); err != nil {
		return nil, err
	}
	if err := prepareTarget(dir); err != nil {
		return nil, err
	}
	t := newTree(dir)
	m, err := eachVerified(ctx, name, half(0.5), func(file File, in *summed) error {
		return t.write(strings.TrimPrefix(file.Path, dataName+"/"), in)
	})
	if err == nil {
		err = t.sync()
	}
	if err == nil {
		err = store.EndRestore(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("the restore into %s did not finish: %w", dir, err)
	}
	return m, nil
}

// kept reports whether a restore leaves an entry of the data directory as it is.
func kept(name string) bool { return name == "lost+found" || name == store.SnapshotsDir }

// checkTarget returns an error unless a data directory can be restored in dir.
func checkTarget(dir string) error {
	names, err := targetNames(dir)
	if err != nil || len(names) == 0 || store.IsRestoring(dir) {
		return err
	}
	return fmt.Errorf("%s must be empty, but it has %s: restore into another directory, or move the old one away", dir, names[0])
}

// prepareTarget creates dir, and removes what an interrupted restore has left there.
func prepareTarget(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return err
	}
	if err := store.BeginRestore(dir); err != nil {
		return err
	}
	names, err := targetNames(dir)
	for _, name := range names {
		if !store.IsRestoreMark(name) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
	return err
}

// targetNames returns the names in dir that a restore does not keep.
func targetNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return slices.DeleteFunc(names, kept), nil
}
