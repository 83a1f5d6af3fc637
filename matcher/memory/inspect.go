package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Sealed describes the segments in a folder.
type Sealed struct {
	Files int   // the manifest is not one of them
	Rows  int   // with those that were deleted since
	Bytes int64 // of the files
}

// InspectSegments describes the segments in dir and changes nothing; without a
// manifest there are none. The error names what is missing or damaged, but only
// a start reads what is in the files.
func InspectSegments(dir string) (Sealed, error) {
	var s Sealed
	mf, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	for i := range mf.chunks {
		f := &mf.chunks[i].segment
		info, err := os.Stat(filepath.Join(dir, f.name()))
		if err != nil {
			return s, fmt.Errorf("segments: %w", err)
		}
		s.Files++
		s.Rows += f.rows
		s.Bytes += info.Size()
	}
	return s, nil
}
