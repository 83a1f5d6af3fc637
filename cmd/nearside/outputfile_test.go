package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"nearside/internal/coding"
)

// TestWriteCompressed: the end of a name decides how a file is compressed. The content has
// several pieces, one of them incomplete, or is empty.
func TestWriteCompressed(t *testing.T) {
	for name, open := range map[string]func(io.Reader) (io.ReadCloser, error){
		"x.ndjson":     func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil },
		"x.ndjson.gz":  func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }, // of the standard library
		"x.ndjson.ZST": func(r io.Reader) (io.ReadCloser, error) { return coding.NewFileReader(coding.Zstd, r) },
	} {
		for _, content := range []string{"", strings.Repeat("a line of the export\n", 5*outputPiece/40)} {
			var file bytes.Buffer
			err := writeCompressed(name, &file, func(w io.Writer) error {
				_, err := io.Copy(w, strings.NewReader(content))
				return err
			})
			if err != nil {
				t.Fatal(name, err)
			}
			if size := file.Len(); name != "x.ndjson" && content != "" && size > len(content)/10 {
				t.Errorf("%s: %d bytes of %d", name, size, len(content))
			}
			in, err := open(&file)
			if err != nil {
				t.Fatal(name, err)
			}
			if got, err := io.ReadAll(in); err != nil || string(got) != content {
				t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(content), err)
			}
		}
	}
}

// TestWriteCompressedFails: errors of both sides are returned, and nothing marks the end of
// a file that is not complete.
func TestWriteCompressedFails(t *testing.T) {
	cut, full := errors.New("cut"), errors.New("full")
	var file bytes.Buffer
	if err := writeCompressed("x.gz", &file, func(io.Writer) error { return cut }); !errors.Is(err, cut) || file.Len() != 0 {
		t.Errorf("%v, %d bytes", err, file.Len())
	}
	if err := writeCompressed("x.gz", fullFile{full}, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); !errors.Is(err, full) {
		t.Error(err)
	}
}

// fullFile is a file that cannot be written.
type fullFile struct{ err error }

func (f fullFile) Write([]byte) (int, error) { return 0, f.err }
