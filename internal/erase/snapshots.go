package erase

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// checkSnapshots searches the folder of snapshots for the targets. Snapshots that have one
// are deleted, or listed in the report.
func (j *job) checkSnapshots(ctx context.Context) error {
	if j.Snapshots == nil {
		return nil
	}
	entries, err := os.ReadDir(j.Snapshots.Dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, links := range []bool{false, true} { // links to deleted snapshots lead nowhere then
		for _, entry := range entries {
			if isLink := entry.Type()&fs.ModeSymlink != 0; isLink == links {
				if err := j.checkSnapshot(ctx, entry.Name(), isLink); err != nil {
					return fmt.Errorf("%s: %w", entry.Name(), err)
				}
			}
		}
	}
	return nil
}

// checkSnapshot searches a snapshot, or another entry of the folder of snapshots, such as a
// file that somebody has put there. Others are never deleted, nor are links. A client may
// delete a snapshot meanwhile.
func (j *job) checkSnapshot(ctx context.Context, name string, isLink bool) error {
	path := filepath.Join(j.Snapshots.Dir(), name)
	places, err := j.countInSnapshot(ctx, path)
	if err != nil {
		if _, gone := os.Stat(path); errors.Is(gone, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if places == 0 {
		return nil
	}
	in := inFile
	if !isLink && j.Snapshots.Has(name) {
		in = inSnapshot
	}
	if in == inSnapshot && j.request.Snapshots {
		if err := j.Snapshots.Delete(name); err != nil {
			return fmt.Errorf("the snapshot cannot be deleted: %w", err)
		}
		j.report.Snapshots = append(j.report.Snapshots, name)
		return nil
	}
	file, err := filepath.Rel(j.Dir, realName(path))
	if err != nil {
		return err
	}
	j.report.addRemain(Remain{File: file, In: in, Found: "id", Count: places})
	return nil
}

// countInSnapshot returns how many places of a snapshot have an ID or a descriptor of a
// target. Descriptors that existing objects have do not count, because the IDs decide.
func (j *job) countInSnapshot(ctx context.Context, folder string) (places int, err error) {
	files, err := openDir(folder, nil, nil)
	if err != nil {
		return 0, err
	}
	defer files.close()
	counted := *j // its report is not changed
	err = counted.searchTargets(ctx, files, (*pass).searchRecords, func(p *pass, _ *dirFile, found *findings) {
		for tag, n := range found.raw {
			if p.wanted[tag].descriptor == nil || !p.wanted[tag].shared {
				places += n
			}
		}
		for tag, kinds := range found.decoded {
			for _, n := range kinds {
				if p.wanted[tag].descriptor == nil || !p.wanted[tag].shared {
					places += n
				}
			}
		}
	})
	return places, errors.Join(err, ctx.Err())
}
