package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"nearside/matcher/store"
)

// formatNumber is the format of snapshots that this program writes, and the only one that
// it reads.
const formatNumber = 1

// Names in a snapshot.
const (
	manifestName = "MANIFEST.json"
	sumName      = "MANIFEST.sha256" // the sum of the manifest, in the form of sha256sum
	dataName     = "data"            // the copy of the data directory
)

// manifestBytesMax bounds the memory for a manifest, which needs about 130 bytes per file.
const manifestBytesMax = 64 << 20

// Manifest describes a snapshot and has the sums of its files.
type Manifest struct {
	Format     int       `json:"format"`
	Name       string    `json:"name"` // when it was made
	Created    time.Time `json:"create_time"`
	Scheduled  bool      `json:"scheduled"`   // made by the schedule, not by a request
	Version    string    `json:"version"`     // of the program that made it
	DataFormat int       `json:"data_format"` // of the data directory
	Commits    uint64    `json:"commits"`     // number of the last commit
	Records    uint64    `json:"records"`     // lists and objects
	Bytes      int64     `json:"bytes"`       // of all files
	Files      []File    `json:"files"`       // all but the manifest and its sum
}

// File is a file of a snapshot.
type File struct {
	Path   string `json:"path"` // relative, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hex
}

// write writes the manifest and its sum to the folder dir, durably.
func (m *Manifest) write(dir string) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if err := writeSynced(filepath.Join(dir, manifestName), bytes.NewReader(text)); err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir, sumName), strings.NewReader(sumLine(text)))
}

// sumLine returns the content of the file of the manifest's sum.
func sumLine(manifest []byte) string {
	return fmt.Sprintf("%x  %s\n", sha256.Sum256(manifest), manifestName)
}

// parseManifest reads a manifest and compares it with its sum.
func parseManifest(text, sum []byte) (*Manifest, error) {
	m := &Manifest{}
	if string(sum) != sumLine(text) {
		return nil, fmt.Errorf("%s does not have the sum that %s says: one of these files was changed", manifestName, sumName)
	}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	switch {
	case m.Format != formatNumber:
		return nil, fmt.Errorf("the snapshot has format %d, but this program reads format %d: use another version of nearside", m.Format, formatNumber)
	case m.DataFormat > store.FormatNumber:
		return nil, fmt.Errorf("the data in the snapshot has format %d, but this program reads formats up to %d: use a newer nearside", m.DataFormat, store.FormatNumber)
	}
	return m, m.check()
}

// check returns an error unless the paths of files are unique and within the folder data.
func (m *Manifest) check() error {
	seen := map[string]bool{}
	for i, f := range m.Files {
		_, err := hex.DecodeString(f.SHA256)
		switch {
		case path.Clean(f.Path) != f.Path || !strings.HasPrefix(f.Path, dataName+"/") || !filepath.IsLocal(f.Path):
			return fmt.Errorf("%s: files[%d].path: must be a path in the folder %s, got %.100q", manifestName, i, dataName, f.Path)
		case seen[f.Path]:
			return fmt.Errorf("%s: files[%d].path: %q is given twice", manifestName, i, f.Path)
		case err != nil || len(f.SHA256) != 2*sha256.Size:
			return fmt.Errorf("%s: files[%d].sha256: must have %d hex digits, got %.80q", manifestName, i, 2*sha256.Size, f.SHA256)
		}
		seen[f.Path] = true
	}
	return nil
}

// readManifest reads the manifest of the snapshot in the folder dir.
func readManifest(dir string) (*Manifest, error) {
	text, err := readSmall(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	sum, err := readSmall(filepath.Join(dir, sumName))
	if err != nil {
		return nil, err
	}
	return parseManifest(text, sum)
}

func readSmall(name string) (text []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readLimited(f)
}

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, manifestBytesMax+1))
	if err == nil && len(text) > manifestBytesMax {
		err = fmt.Errorf("%s has more than %d bytes", manifestName, manifestBytesMax)
	}
	return text, err
}

// writeSynced writes a new file that only its owner may read, and syncs it.
func writeSynced(name string, content io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{f}, content, make([]byte, pieceBytes))
	return errors.Join(err, f.Sync(), f.Close())
}

// onlyWriter hides ReadFrom, so that io.CopyBuffer uses the buffer.
type onlyWriter struct{ io.Writer }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
