package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Summary describes the segments in a folder.
type Summary struct {
	Files int   // without the manifest
	Rows  int   // including rows deleted since
	Bytes int64 // total size of the files
}

// Inspect describes the segments in dir and changes nothing. Without a manifest, it
// reports no segments. The error names a missing or damaged file. The contents of
// segments are verified only at a start.
func Inspect(dir string) (Summary, error) {
	var s Summary
	mf, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	for i := range mf.chunks {
		f := &mf.chunks[i].segment
		info, err := os.Stat(filepath.Join(dir, fileName(f)))
		if err != nil {
			return s, fmt.Errorf("segments: %w", err)
		}
		s.Files++
		s.Rows += f.Rows
		s.Bytes += info.Size()
	}
	return s, nil
}
