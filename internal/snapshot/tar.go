package snapshot

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteTar writes the snapshot as a tar archive, the manifest first. All names begin with
// the name of the snapshot. It compares the sums of files while it sends them, and fails
// at a file that was changed.
func (i *Info) WriteTar(ctx context.Context, w io.Writer) error {
	m, err := readManifest(i.Dir)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, name := range []string{manifestName, sumName} {
		text, err := readSmall(filepath.Join(i.Dir, name))
		if err != nil {
			return err
		}
		if err := out.WriteHeader(i.header(name, int64(len(text)))); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	buffer := make([]byte, pieceBytes)
	for _, file := range m.Files {
		if err := i.writeFile(ctx, out, file, buffer); err != nil {
			return err
		}
	}
	return out.Close()
}

func (i *Info) header(name string, bytes int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: i.Name + "/" + name, Size: bytes, Mode: 0o600, ModTime: i.Created}
}

func (i *Info) writeFile(ctx context.Context, out *tar.Writer, file File, buffer []byte) error {
	in, err := os.Open(filepath.Join(i.Dir, filepath.FromSlash(file.Path)))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	if err := out.WriteHeader(i.header(file.Path, file.Bytes)); err != nil {
		return err
	}
	s := newSummed(ctx, in, nil)
	if _, err := io.CopyBuffer(onlyWriter{out}, s, buffer); err != nil {
		return fmt.Errorf("snapshot %s: %s: %w", i.Name, file.Path, err)
	}
	if s.file(file.Path) != file {
		return fmt.Errorf("snapshot %s: %s was changed", i.Name, file.Path)
	}
	return nil
}
