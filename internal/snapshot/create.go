package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
)

// Source is what a snapshot is made of.
type Source interface {
	// CopyTo makes a copy of the data directory in dir, which does not exist.
	CopyTo(ctx context.Context, dir string) (store.Copy, error)
}

// Request says which snapshot Create makes.
type Request struct {
	Name      string // as CheckName requires
	Scheduled bool
	Version   string             // of the program
	Progress  func(part float64) // receives the part that is done, from 0 to 1
}

// Shares of the parts of Create in its progress. They are estimates.
const (
	copyShare = 0.5
	sumShare  = 0.3
)

// Create makes a snapshot. It is complete and durable when Create returns. After an error,
// or when ctx ends, nothing is left of it; after the end of the process, Clean removes the
// rest. CodeTaskExists means that the name is taken, CodeFull that there is too little disk
// space.
//
// The snapshot is made next to the data directory, where files can be linked. If the folder
// is on another file system, it is copied there afterwards, while the store does not know of
// it any more. One call may run at a time.
func (f *Folder) Create(ctx context.Context, source Source, r Request) (*Manifest, error) {
	if err := CheckName(r.Name); err != nil {
		return nil, err
	}
	if err := f.checkFree(r.Name); err != nil {
		return nil, err
	}
	m, err := f.create(ctx, source, r)
	err = errors.Join(err, os.RemoveAll(f.staging))
	switch {
	case err == nil:
		return m, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return nil, matcher.Errorf(matcher.CodeFull, "snapshot %s: the disk is full: %w", r.Name, err)
	default:
		return nil, fmt.Errorf("snapshot %s: %w", r.Name, err)
	}
}

// checkFree returns CodeTaskExists if the name is taken.
func (f *Folder) checkFree(name string) error {
	_, err := os.Lstat(filepath.Join(f.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("snapshots: %w", err)
	}
	return matcher.Errorf(matcher.CodeTaskExists, "name: there is already a snapshot %q", name)
}

func (f *Folder) create(ctx context.Context, source Source, r Request) (*Manifest, error) {
	if err := os.RemoveAll(f.staging); err != nil {
		return nil, err
	}
	if err := os.Mkdir(f.staging, 0o700); err != nil {
		return nil, err
	}
	created := time.Now().UTC()
	copied, err := source.CopyTo(ctx, filepath.Join(f.staging, dataName))
	if err != nil {
		return nil, err
	}
	r.Progress(copyShare)
	m := &Manifest{
		Format: formatNumber, Name: r.Name, Created: created, Scheduled: r.Scheduled, Version: r.Version,
		DataFormat: store.FormatNumber, Commits: copied.Commits, Records: copied.Records,
	}
	if err := m.sumFiles(ctx, f.staging); err != nil {
		return nil, err
	}
	r.Progress(copyShare + sumShare)
	if err := m.write(f.staging); err != nil {
		return nil, err
	}
	if err := syncDir(f.staging); err != nil {
		return nil, err
	}
	return m, f.install(ctx, m)
}

// sumFiles adds all files in dir to m.
func (m *Manifest) sumFiles(ctx context.Context, dir string) error {
	return eachFile(dir, func(path string, in *os.File) error {
		s := newSummed(ctx, in, nil)
		if err := s.discard(); err != nil {
			return err
		}
		m.Files = append(m.Files, s.file(path))
		m.Bytes += s.bytes
		return nil
	})
}

// install moves the complete snapshot from the staging folder to its name.
func (f *Folder) install(ctx context.Context, m *Manifest) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	ready := f.staging
	if !f.canRename() {
		ready = f.hidden(m.Name, suffixNew)
		if err := m.copyTo(ctx, f.staging, ready); err != nil {
			return errors.Join(err, os.RemoveAll(ready))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.checkFree(m.Name); err != nil {
		return errors.Join(err, os.RemoveAll(ready))
	}
	if err := os.Rename(ready, filepath.Join(f.dir, m.Name)); err != nil {
		return errors.Join(err, os.RemoveAll(ready))
	}
	return syncDir(f.dir)
}

// canRename reports whether a folder can be renamed from the staging folder to f. It tries
// that, because two mounts of one file system, or two of its subvolumes, cannot. Clean removes
// the probe, too, if the process ends meanwhile.
func (f *Folder) canRename() bool {
	probe := filepath.Join(f.staging, "probe")
	if err := os.Mkdir(probe, 0o700); err != nil {
		return false
	}
	to := f.hidden("probe", suffixNew)
	err := os.Rename(probe, to)
	_ = os.Remove(probe) // one of them exists, and is empty
	_ = os.Remove(to)
	return err == nil
}
