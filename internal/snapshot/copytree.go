package snapshot

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// copyTo copies the snapshot in the folder from to the folder to, which it replaces, and
// verifies the sums of the copies. The copy is durable when it returns.
func (m *Manifest) copyTo(ctx context.Context, from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	t := newTree(to)
	for _, file := range m.Files {
		if err := copyFile(ctx, t, from, file); err != nil {
			return err
		}
	}
	if err := m.write(to); err != nil {
		return err
	}
	return t.sync()
}

func copyFile(ctx context.Context, t *tree, from string, file File) error {
	in, err := os.Open(filepath.Join(from, filepath.FromSlash(file.Path)))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	s := newSummed(ctx, in, nil)
	if err := t.write(file.Path, s); err != nil {
		return err
	}
	if s.file(file.Path) != file {
		return fmt.Errorf("%s was changed while it was copied", file.Path)
	}
	return nil
}

// tree is a folder in which files are written, with the folders that they need.
type tree struct {
	dir  string
	dirs map[string]bool // relative paths of folders that exist
	made []string        // the same, in the order of their creation
}

func newTree(dir string) *tree { return &tree{dir: dir, dirs: map[string]bool{}} }

// write writes a file durably; sync makes its name durable.
func (t *tree) write(name string, content *summed) error {
	if err := t.makeDir(path.Dir(name)); err != nil {
		return err
	}
	return writeSynced(filepath.Join(t.dir, filepath.FromSlash(name)), content)
}

func (t *tree) makeDir(dir string) error {
	if t.dirs[dir] {
		return nil
	}
	if dir != "." {
		if err := t.makeDir(path.Dir(dir)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(t.dir, filepath.FromSlash(dir)), 0o700); err != nil {
		return err
	}
	t.dirs[dir] = true
	t.made = append(t.made, dir)
	return nil
}

// sync makes the names of all files and folders durable.
func (t *tree) sync() error {
	for _, dir := range t.made {
		if err := syncDir(filepath.Join(t.dir, filepath.FromSlash(dir))); err != nil {
			return err
		}
	}
	return nil
}
