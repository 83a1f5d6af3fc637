// Package vectors reads files of vectors row by row: .bvecs, .fvecs and
// .ivecs, and two-dimensional .npy arrays of uint8 or float32.
//
// A [Reader] holds one buffer of fixed size, whatever a file claims about
// itself. All rows of a file have the same dimension. A row is handed over as
// the bytes of its values, little-endian, which is the form of a descriptor.
package vectors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"nearside/matcher"
)

// DimMax is the highest dimension of a file.
const DimMax = matcher.LengthMax

// Element is the type of the values.
type Element uint8

// The types of values.
const (
	Uint8 Element = iota
	Float32
	Int32
)

// String returns "uint8", "float32" or "int32".
func (e Element) String() string { return [...]string{"uint8", "float32", "int32"}[e] }

// Size is the number of bytes of a value.
func (e Element) Size() int { return [...]int{1, 4, 4}[e] }

// Format is a file format.
type Format uint8

// The formats.
const (
	Bvecs Format = iota // per row: int32 dimension, then uint8 values
	Fvecs               // ... float32 values
	Ivecs               // ... int32 values
	Npy                 // NumPy, versions 1 to 3, in C order
)

// String returns the extension, with its dot.
func (f Format) String() string { return [...]string{".bvecs", ".fvecs", ".ivecs", ".npy"}[f] }

// FormatOf tells the format of a file by its extension, in any case.
func FormatOf(name string) (Format, bool) {
	extension := strings.ToLower(filepath.Ext(name))
	for f := Bvecs; f <= Npy; f++ {
		if f.String() == extension {
			return f, true
		}
	}
	return 0, false
}

// Reader reads one file. It is not safe for concurrent use.
type Reader struct {
	in      *bufio.Reader
	element Element
	dim     int
	prefix  bool  // each row begins with its dimension
	rows    int64 // rows that the header promises, -1 without one
	row     int64 // rows read
	offset  int64 // bytes read
	err     error // of an earlier Next
}

// NewReader reads the beginning of r, up to where the dimension is known. A
// file without any row has none, which is an error unless it is .npy.
func NewReader(r io.Reader, f Format) (*Reader, error) {
	in := &Reader{in: bufio.NewReaderSize(r, 256<<10), rows: -1}
	if f == Npy {
		if err := in.readNpyHeader(); err != nil {
			return nil, fmt.Errorf("vectors: npy header: %w", err)
		}
		return in, nil
	}
	in.prefix = true
	in.element = [...]Element{Bvecs: Uint8, Fvecs: Float32, Ivecs: Int32}[f]
	head, err := in.in.Peek(4)
	switch {
	case errors.Is(err, io.EOF) && len(head) == 0:
		return nil, errors.New("vectors: empty file")
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("vectors: row 0 at byte 0: file ends after %d of the 4 bytes of its dimension", len(head))
	case err != nil:
		return nil, fmt.Errorf("vectors: %w", err)
	}
	dim := int32(binary.LittleEndian.Uint32(head))
	if dim < 1 || dim > DimMax {
		return nil, fmt.Errorf("vectors: row 0 at byte 0: dimension %d is not in 1..%d", dim, DimMax)
	}
	in.dim = int(dim)
	return in, nil
}

// Dim is the number of values of every row, 1..DimMax.
func (r *Reader) Dim() int { return r.dim }

// Element is the type of the values.
func (r *Reader) Element() Element { return r.element }

// RowSize is the number of bytes that Next writes.
func (r *Reader) RowSize() int { return r.dim * r.element.Size() }

// Row is the number of rows that were read.
func (r *Reader) Row() int64 { return r.row }

// Offset is the number of bytes of the file that were read.
func (r *Reader) Offset() int64 { return r.offset }

// Next reads a row into dst, whose length must be RowSize. At the end of the
// file it returns io.EOF itself. Errors name the row, from 0, and the offset
// in bytes at which it begins, and are returned again by later calls.
func (r *Reader) Next(dst []byte) error {
	if len(dst) != r.RowSize() {
		panic(fmt.Sprintf("vectors: buffer of %d bytes for rows of %d", len(dst), r.RowSize()))
	}
	if r.err == nil {
		r.err = r.next(dst)
	}
	return r.err
}

func (r *Reader) next(dst []byte) error {
	start := r.offset
	fail := func(format string, args ...any) error {
		return fmt.Errorf("vectors: row %d at byte %d: %w", r.row, start, fmt.Errorf(format, args...))
	}
	if r.row == r.rows {
		return r.checkEnd()
	}
	if r.prefix {
		head, err := r.in.Peek(4)
		switch {
		case errors.Is(err, io.EOF) && len(head) == 0:
			return io.EOF
		case errors.Is(err, io.EOF):
			return fail("file ends after %d of the 4 bytes of its dimension", len(head))
		case err != nil:
			return fail("%w", err)
		}
		if dim := int32(binary.LittleEndian.Uint32(head)); int(dim) != r.dim {
			return fail("dimension %d, where the rows before have %d", dim, r.dim)
		}
		n, _ := r.in.Discard(4) // just peeked
		r.offset += int64(n)
	}
	n, err := io.ReadFull(r.in, dst)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if r.rows >= 0 {
			return fail("file ends after %d of its %d bytes; the header promises %d rows", n, len(dst), r.rows)
		}
		return fail("file ends after %d of its %d bytes", n, len(dst))
	case err != nil:
		return fail("%w", err)
	}
	r.offset += int64(n)
	r.row++
	return nil
}

// checkEnd refuses bytes after the rows that a header promised: they would
// be lost without a word.
func (r *Reader) checkEnd() error {
	_, err := r.in.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fmt.Errorf("vectors: after row %d: %w", r.row, err)
	}
	return fmt.Errorf("vectors: byte %d: file goes on after the %d rows that its header promises", r.offset, r.rows)
}

// Int32s decodes a row of an .ivecs file.
func Int32s(row []byte) []int32 {
	all := make([]int32, len(row)/4)
	for i := range all {
		all[i] = int32(binary.LittleEndian.Uint32(row[4*i:]))
	}
	return all
}
