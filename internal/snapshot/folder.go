package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"nearside/matcher"
)

// Folder is a folder with snapshots. Its methods are safe for concurrent use.
type Folder struct {
	dir     string
	staging string

	mu sync.Mutex // held while names are taken or given up
}

// NewFolder returns the folder dir, which need not exist. staging is a folder on the file
// system of the data directory, where snapshots are made; nothing else may be there.
func NewFolder(dir, staging string) *Folder { return &Folder{dir: dir, staging: staging} }

// Dir returns the path of the folder.
func (f *Folder) Dir() string { return f.dir }

// Info is a snapshot in a Folder.
type Info struct {
	Manifest // without Files; only Name is set if Damage is not nil
	Dir      string
	Damage   error // why the manifest cannot be read
}

// Endings of the names of snapshots that are not complete. Such names begin with a dot.
const (
	suffixNew = ".new" // being copied from another file system
	suffixOld = ".old" // being deleted
)

func (f *Folder) hidden(name, suffix string) string { return filepath.Join(f.dir, "."+name+suffix) }

// Clean removes what an interrupted call of Create or Delete has left. It must not be
// called at the same time as these.
func (f *Folder) Clean() error {
	err := os.RemoveAll(f.staging)
	entries, listErr := os.ReadDir(f.dir)
	if listErr != nil && !errors.Is(listErr, fs.ErrNotExist) {
		err = errors.Join(err, listErr)
	}
	for _, e := range entries {
		name, hidden := strings.CutPrefix(e.Name(), ".")
		base := strings.TrimSuffix(strings.TrimSuffix(name, suffixNew), suffixOld)
		if hidden && base != name && CheckName(base) == nil {
			err = errors.Join(err, os.RemoveAll(filepath.Join(f.dir, e.Name())))
		}
	}
	return err
}

// List returns all snapshots, the oldest first. Folders that are no snapshots are left out.
func (f *Folder) List() ([]Info, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	var all []Info
	for _, e := range entries {
		if info, ok := f.read(e.Name()); ok {
			all = append(all, info)
		}
	}
	slices.SortStableFunc(all, func(a, b Info) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// Find returns a snapshot, or CodeTaskNotFound.
func (f *Folder) Find(name string) (Info, error) {
	if info, ok := f.read(name); ok {
		return info, nil
	}
	return Info{}, notFound(name)
}

// Has reports whether there is a snapshot with a name.
func (f *Folder) Has(name string) bool {
	_, ok := f.read(name)
	return ok
}

func notFound(name string) error {
	return matcher.Errorf(matcher.CodeTaskNotFound, "name: there is no snapshot %.80q", name)
}

// read returns the snapshot with a name; ok is false if there is none.
func (f *Folder) read(name string) (info Info, ok bool) {
	if CheckName(name) != nil {
		return info, false
	}
	info.Dir = filepath.Join(f.dir, name)
	m, err := readManifest(info.Dir)
	if err != nil {
		if _, data := os.Stat(filepath.Join(info.Dir, dataName)); data != nil {
			return info, false
		}
		info.Name, info.Damage = name, err
		return info, true
	}
	info.Manifest = *m
	info.Name, info.Files = name, nil // somebody may have renamed the folder
	return info, true
}

// Delete deletes a snapshot, or returns CodeTaskNotFound. Readers of the snapshot get an
// error.
func (f *Folder) Delete(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := f.Find(name)
	if err != nil {
		return err
	}
	old := f.hidden(name, suffixOld)
	err = os.RemoveAll(old)
	if err == nil {
		err = os.Rename(info.Dir, old) // from now on, it does not look complete
	}
	if err == nil {
		err = errors.Join(syncDir(f.dir), os.RemoveAll(old))
	}
	if err != nil {
		return fmt.Errorf("snapshots: deleting %s: %w", name, err)
	}
	return nil
}

// Prune deletes the oldest scheduled snapshots until at most keep of them are left, and
// returns their names. Others are never deleted, nor counted.
func (f *Folder) Prune(keep int) (deleted []string, err error) {
	all, err := f.List()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i Info) bool { return !i.Scheduled })
	for len(all) > keep {
		if err := f.Delete(all[0].Name); err != nil {
			return deleted, err
		}
		deleted = append(deleted, all[0].Name)
		all = all[1:]
	}
	return deleted, nil
}
