package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nearside/matcher"
)

// manifestName is the file that describes the other files of a complete export. It is
// written last, so a folder without it is not complete.
const manifestName = "manifest.json"

// manifestFormat is the newest format of a complete export that this version can read.
const manifestFormat = 1

// listsFile is the file of the lists of a complete export.
const listsFile = "lists.ndjson"

// originFile returns the name of the file with the objects of an origin.
func originFile(o matcher.Origin) string { return o.String() + ".ndjson" }

// movedFiles returns the names of the files of a complete export, in the order in which
// they are imported. Lists are first, because an import of faces creates missing lists
// without their data.
func movedFiles() []string {
	names := []string{listsFile}
	for o := range matcher.Origins {
		names = append(names, originFile(o))
	}
	return names
}

// manifest describes the files of a complete export.
type manifest struct {
	Format     int         `json:"format"`
	CreateTime time.Time   `json:"create_time"`
	Files      []movedFile `json:"files"`
}

// movedFile is a file with one object per line.
type movedFile struct {
	Name    string `json:"name"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"` // of the content, in hex
}

// readManifest reads the manifest of a folder, and checks that this version can import it.
func readManifest(dir string) (*manifest, error) {
	path := filepath.Join(dir, manifestName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w; %s is not a folder of nearside export --all, or the export was not completed", err, dir)
	}
	if err != nil {
		return nil, err
	}
	var head struct{ Format int }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case head.Format > manifestFormat:
		return nil, fmt.Errorf("%s: format: must be at most %d, got %d; a newer version of nearside has written it", path, manifestFormat, head.Format)
	case head.Format < 1:
		return nil, fmt.Errorf("%s: format: must be an integer from 1 to %d, got %d", path, manifestFormat, head.Format)
	}
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := m.checkNames(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// checkNames checks that the manifest has each file once and no others.
func (m *manifest) checkNames() error {
	var faults []error
	seen := map[string]bool{}
	for i, f := range m.Files {
		switch {
		case !slices.Contains(movedFiles(), f.Name):
			faults = append(faults, fmt.Errorf("files[%d].name: must be one of %q, got %q", i, movedFiles(), matcher.Shorten(f.Name)))
		case seen[f.Name]:
			faults = append(faults, fmt.Errorf("files[%d].name: %s is given twice", i, f.Name))
		}
		seen[f.Name] = true
	}
	for _, name := range movedFiles() {
		if !seen[name] {
			faults = append(faults, fmt.Errorf("files: %s is missing", name))
		}
	}
	return errors.Join(faults...)
}

// checkFiles compares all files of the folder with the manifest. It returns all
// differences together.
func (m *manifest) checkFiles(dir string) error {
	var faults []error
	for _, want := range m.Files {
		path := filepath.Join(dir, want.Name)
		got, err := sumFile(path)
		switch {
		case err != nil:
			faults = append(faults, err)
		case got.Bytes != want.Bytes:
			faults = append(faults, fmt.Errorf("%s: must have %d bytes as in %s, got %d", path, want.Bytes, manifestName, got.Bytes))
		case got.SHA256 != want.SHA256:
			faults = append(faults, fmt.Errorf("%s: the sha256 must be %s as in %s, got %s", path, matcher.Shorten(want.SHA256), manifestName, got.SHA256))
		case got.Objects != want.Objects:
			faults = append(faults, fmt.Errorf("%s: must have %d objects as in %s, got %d", path, want.Objects, manifestName, got.Objects))
		}
	}
	return errors.Join(faults...)
}

func sumFile(path string) (movedFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return movedFile{}, err
	}
	defer closeRead(file)
	sum := newLineSum(filepath.Base(path))
	if _, err := io.Copy(sum, file); err != nil {
		return movedFile{}, err
	}
	return sum.file(), nil
}

// lineSum is a writer that computes the entry of a manifest for what is written to it.
type lineSum struct {
	counts movedFile
	hash   hash.Hash
}

func newLineSum(name string) *lineSum { return &lineSum{movedFile{Name: name}, sha256.New()} }

// Write implements io.Writer. It does not fail.
func (s *lineSum) Write(b []byte) (int, error) {
	for _, c := range b {
		if c == '\n' {
			s.counts.Objects++
		}
	}
	s.counts.Bytes += int64(len(b))
	return s.hash.Write(b)
}

// file returns the entry.
func (s *lineSum) file() movedFile {
	f := s.counts
	f.SHA256 = hex.EncodeToString(s.hash.Sum(nil))
	return f
}
