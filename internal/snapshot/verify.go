package snapshot

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// faultsMax is how many wrong files an error names.
const faultsMax = 100

// Verify compares the snapshot at name, a folder or a tar file, with its manifest. The error
// has a line for each file that is missing, changed or not in the manifest. progress, unless
// nil, receives the part that is done, from 0 to 1.
func Verify(ctx context.Context, name string, progress func(part float64)) (*Manifest, error) {
	return eachVerified(ctx, name, progress, func(_ File, in *summed) error { return in.discard() })
}

// eachVerified calls f with each file that the manifest names. f reads the whole file. It
// returns the faults of the snapshot, and ends at an error of f.
func eachVerified(ctx context.Context, name string, progress func(part float64), f func(file File, in *summed) error) (*Manifest, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	c := &comparison{ctx: ctx, use: f, progress: progress}
	if info.IsDir() {
		err = c.compareFolder(name)
	} else {
		err = c.compareTar(name)
	}
	if err = errors.Join(err, c.faults()); err != nil {
		return nil, err
	}
	return c.manifest, nil
}

// comparison compares the files of a snapshot with its manifest.
type comparison struct {
	ctx      context.Context
	use      func(file File, in *summed) error
	progress func(part float64)

	manifest *Manifest
	rest     map[string]File // of the manifest, without those that were read
	wrong    []string
	read     int64 // bytes
}

// begin is called with the manifest, before the first file.
func (c *comparison) begin(m *Manifest) {
	c.manifest, c.rest = m, make(map[string]File, len(m.Files))
	for _, f := range m.Files {
		c.rest[f.Path] = f
	}
}

func (c *comparison) addFault(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// faults returns all faults as one error, or nil.
func (c *comparison) faults() error {
	if c.manifest != nil {
		for _, f := range c.manifest.Files {
			if _, missing := c.rest[f.Path]; missing {
				c.addFault("%s is missing", f.Path)
			}
		}
	}
	var all []error
	for i, text := range c.wrong {
		if i == faultsMax {
			all = append(all, fmt.Errorf("%d more files are wrong", len(c.wrong)-i))
			break
		}
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// addFile compares a file with the manifest.
func (c *comparison) addFile(path string, in io.Reader) error {
	want, known := c.rest[path]
	if !known {
		c.addFault("%s is not in the manifest", path)
		return nil
	}
	s := newSummed(c.ctx, in, c.noteProgress)
	if err := c.use(want, s); err != nil {
		return err
	}
	delete(c.rest, path)
	switch found := s.file(path); {
	case found.Bytes != want.Bytes:
		c.addFault("%s was changed: it has %d bytes, and the manifest says %d", path, found.Bytes, want.Bytes)
	case found != want:
		c.addFault("%s was changed: its SHA-256 is %s, and the manifest says %s", path, found.SHA256, want.SHA256)
	}
	return nil
}

func (c *comparison) noteProgress(n int) {
	if c.read += int64(n); c.progress != nil && c.manifest.Bytes > 0 {
		c.progress(min(float64(c.read)/float64(c.manifest.Bytes), 1))
	}
}

func (c *comparison) compareFolder(dir string) error {
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not a complete snapshot: %w", dir, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	c.begin(m)
	return eachFile(dir, func(path string, in *os.File) error {
		if path == manifestName || path == sumName {
			return nil
		}
		return c.addFile(path, in)
	})
}

func (c *comparison) compareTar(name string) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	t := &tarReader{in: tar.NewReader(file), name: name}
	text, err := t.readFirst(manifestName)
	if err != nil {
		return err
	}
	sum, err := t.readFirst(sumName)
	if err != nil {
		return err
	}
	m, err := parseManifest(text, sum)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.begin(m)
	for {
		path, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.addFile(path, t.in)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			c.addFault("%s is cut: it ends within %s", name, t.at)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tarReader reads the regular files of a tar archive, whose names all begin with the same
// folder.
type tarReader struct {
	in     *tar.Reader
	name   string // of the archive
	prefix string // the folder, with a slash; empty before the first file
	at     string // the present file, or "the beginning"
}

// next returns the path of the next file below the folder, or io.EOF.
func (t *tarReader) next() (path string, err error) {
	for {
		h, err := t.in.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return "", err
		case err != nil:
			return "", fmt.Errorf("%s after %q: %w", t.name, t.at, err)
		case h.Typeflag == tar.TypeDir:
			continue
		}
		t.at = h.Name
		folder, path, ok := strings.Cut(h.Name, "/")
		if t.prefix == "" {
			t.prefix = folder
		}
		if !ok || folder != t.prefix || h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			return "", fmt.Errorf("%s: %.200q does not belong in a snapshot", t.name, h.Name)
		}
		return path, nil
	}
}

// readFirst reads the next file, which must have the given path.
func (t *tarReader) readFirst(want string) ([]byte, error) {
	path, err := t.next()
	if err == nil && path != want {
		err = fmt.Errorf("it begins with %.200q", t.at)
	}
	var text []byte
	if err == nil {
		text, err = readLimited(t.in)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not the tar file of a snapshot: %s is expected: %w", t.name, want, err)
	}
	return text, nil
}
