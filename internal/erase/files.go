package erase

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// dirFile is an open file of the data directory or of a snapshot.
type dirFile struct {
	*os.File
	name    string // relative to the folder
	written bool   // a table that is not part of the database: it may be incomplete
}

// dirFiles are all files of a folder as of one moment. They are open, so that their
// content stays readable when the database removes them: what they had at that moment is
// in a newer file, too.
type dirFiles struct {
	all []dirFile
}

// openAttempts is how often openDir lists the folder, because files may vanish after they
// were listed.
const openAttempts = 20

// lostFound is a folder in the root of a file system. Often, only root may read it.
const lostFound = "lost+found"

// openDir opens all files below dir, except those that skip selects. dir may be a symbolic
// link, or a file. used reports whether
// a file, given by its name relative to dir, is complete; nil: all are.
func openDir(dir string, skip func(path string) bool, used func(name string) bool) (*dirFiles, error) {
	dir, err := filepath.EvalSymlinks(dir) // WalkDir does not follow the first one
	if err != nil {
		return nil, err
	}
	for range openAttempts {
		files := &dirFiles{}
		if err = files.open(dir, skip, used); err == nil {
			return files, nil
		}
		files.close()
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("files vanish faster than they can be opened: %w", err)
}

func (f *dirFiles) open(dir string, skip func(path string) bool, used func(name string) bool) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission) && d != nil && d.Name() == lostFound:
			return fs.SkipDir
		case err != nil:
			return err
		case skip != nil && skip(path):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file, so it cannot be searched", path)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		f.all = append(f.all, dirFile{File: file, name: name, written: used != nil && !used(name)})
		return nil
	})
}

// realPath returns path as an absolute path without symbolic links.
func realPath(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}

// realName is [realPath] for the folder of path. The last element may be a symbolic link,
// and need not exist.
func realName(path string) string {
	return filepath.Join(realPath(filepath.Dir(path)), filepath.Base(path))
}

func (f *dirFiles) close() {
	for i := range f.all {
		_ = f.all[i].Close() // it was only read
	}
}
