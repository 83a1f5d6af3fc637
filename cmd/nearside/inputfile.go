package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"nearside/internal/coding"
	"nearside/internal/vectors"
)

// inputFormat is the format of a file of an import. Without vectors and table, the file
// has lines of JSON.
type inputFormat struct {
	vectors     bool           // whether it is a vector file
	format      vectors.Format // of a vector file
	table       string         // ".csv", ".parquet" or ""
	compression string         // ".gz", ".zst" or ""
}

// importFormats are the formats in messages.
const importFormats = ".ndjson, .csv, .parquet, .bvecs, .fvecs, .npy, each also with .gz or .zst, or -"

// inputFormatOf returns the format of a file by its name, or false if it is unknown.
func inputFormatOf(path string) (inputFormat, bool) {
	f := inputFormat{}
	if path == "-" {
		return f, true
	}
	extension := strings.ToLower(filepath.Ext(path))
	if extension == ".gz" || extension == ".zst" {
		f.compression = extension
		path = strings.TrimSuffix(path, filepath.Ext(path))
		extension = strings.ToLower(filepath.Ext(path))
	}
	switch extension {
	case ".ndjson":
		return f, true
	case ".csv", ".parquet":
		f.table = extension
		return f, true
	}
	f.format, f.vectors = vectors.FormatOf(path)
	return f, f.vectors
}

// hasRows reports whether the lines of the import are rows of a file, which have the
// descriptor version of --version.
func (f inputFormat) hasRows() bool { return f.vectors || f.table != "" }

// inputFile reads a file, and decompresses it if it is compressed.
type inputFile struct {
	io.Reader
	file    *os.File
	content io.Closer // decompresses the file
	count   int64     // bytes of the file that were read
}

// codings are the content codings of compressed files, by the end of their names.
var codings = map[string]coding.Coding{"": coding.Identity, ".gz": coding.Gzip, ".zst": coding.Zstd}

// openInput opens the file at path.
func openInput(path string, f inputFormat) (*inputFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := &inputFile{file: file}
	r, err := coding.NewFileReader(codings[f.compression], &countingReader{file, &in.count})
	if err != nil {
		closeRead(file)
		return nil, fmt.Errorf("%s: %w", path, decompressError(f, err))
	}
	in.Reader, in.content = r, r
	if f.compression != "" {
		in.Reader = &decompressor{r, f}
	}
	return in, nil
}

func (in *inputFile) close() {
	closeRead(in.content)
	closeRead(in.file)
}

// countingReader counts the bytes that are read.
type countingReader struct {
	io.Reader
	count *int64
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	*r.count += int64(n)
	return n, err
}

// decompressor distinguishes the errors of decompression from the end of the data.
type decompressor struct {
	io.Reader
	format inputFormat
}

func (d *decompressor) Read(b []byte) (int, error) {
	n, err := d.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = decompressError(d.format, err)
	}
	return n, err
}

// decompressError returns an error that no reader mistakes for the end of the file.
func decompressError(f inputFormat, err error) error {
	name := strings.TrimPrefix(f.compression, ".")
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the compressed data ends too early", name)
	}
	return fmt.Errorf("%s: %w", name, err)
}
