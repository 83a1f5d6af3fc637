// Package vectors reads files of vectors row by row: .bvecs, .fvecs and
// .ivecs, and .npy arrays of uint8, float16, float32 or float64. It also reads .csv and
// .parquet files, whose rows have other values beside a vector; see [Table].
//
// A [Reader] uses buffers of limited size, whatever sizes the header of a file
// claims. All rows of a file have the same dimension. A Reader returns a row as the
// little-endian bytes of its values, which is the encoding of descriptors. It rounds
// other floating-point values to the nearest float32.
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

// DimMax is the largest dimension of a row.
const DimMax = matcher.LengthMax

// Element is the type of the values of a row.
type Element uint8

// The types of values.
const (
	Uint8 Element = iota
	Float32
	Int32
)

// String returns "uint8", "float32" or "int32".
func (e Element) String() string { return [...]string{"uint8", "float32", "int32"}[e] }

// Size returns the number of bytes of a value.
func (e Element) Size() int { return [...]int{1, 4, 4}[e] }

// Format is a file format.
type Format uint8

// The formats.
const (
	Bvecs Format = iota // per row: int32 dimension, then uint8 values
	Fvecs               // per row: int32 dimension, then float32 values
	Ivecs               // per row: int32 dimension, then int32 values
	Npy                 // NumPy, versions 1 to 3, in C order; a one-dimensional array is one row
)

// String returns the file extension, with the dot.
func (f Format) String() string { return [...]string{".bvecs", ".fvecs", ".ivecs", ".npy"}[f] }

// FormatOf returns the format of a file by its extension, in upper or lower case. It
// returns false if the extension is unknown.
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
	rows    int64 // number of rows in the header; -1 if the format has no header
	row     int64 // number of rows read
	offset  int64 // number of bytes read
	err     error // from an earlier call of Next

	from *npyType // type of the values in the file; nil if they need no conversion
	raw  []byte   // a row of the file before its conversion
}

// NewReader returns a Reader of the file r. It reads the beginning of the file,
// up to and including the dimension of the rows. An empty file is an error; only a
// .npy file may have no rows.
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
		return nil, fmt.Errorf("vectors: row 0 at byte 0: dimension must be 1 to %d, got %d", DimMax, dim)
	}
	in.dim = int(dim)
	return in, nil
}

// Dim returns the number of values of every row, 1 to DimMax.
func (r *Reader) Dim() int { return r.dim }

// Element returns the type of the values.
func (r *Reader) Element() Element { return r.element }

// Conversion returns a sentence that describes the conversion of the values, or "" if
// they need no conversion.
func (r *Reader) Conversion() string {
	switch {
	case r.from == nil:
		return ""
	case r.from.size > 4:
		return r.from.name + " values are rounded to float32"
	}
	return r.from.name + " values are converted to float32"
}

// RowSize returns the number of bytes of a row that Next writes.
func (r *Reader) RowSize() int { return r.dim * r.element.Size() }

// Row returns the number of rows read so far.
func (r *Reader) Row() int64 { return r.row }

// Next reads the next row into dst, whose length must be RowSize. At the end of the
// file it returns io.EOF, not wrapped. An error names the zero-based row and the
// offset in bytes at which the row begins. Later calls return the same error, except
// after a [*ValueError]: then the next call reads the next row.
func (r *Reader) Next(dst []byte) error {
	if len(dst) != r.RowSize() {
		panic(fmt.Sprintf("vectors: the buffer for a row must have %d bytes, got %d", r.RowSize(), len(dst)))
	}
	if r.err != nil {
		return r.err
	}
	if r.from == nil {
		r.err = r.readRow(dst)
		return r.err
	}
	if r.err = r.readRow(r.raw); r.err != nil {
		return r.err
	}
	if column, ok := r.from.convert(dst, r.raw); !ok {
		return &ValueError{Row: r.row - 1, Column: column, Value: r.from.value(r.raw[column*r.from.size:])}
	}
	return nil
}

// readRow reads the bytes of a row, without conversion.
func (r *Reader) readRow(dst []byte) error {
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
			return fail("dimension must be %d, as in the rows before, got %d", r.dim, dim)
		}
		n, _ := r.in.Discard(4) // cannot fail after Peek
		r.offset += int64(n)
	}
	n, err := io.ReadFull(r.in, dst)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if r.rows >= 0 {
			return fail("file ends after %d of its %d bytes, but the header has %d rows", n, len(dst), r.rows)
		}
		return fail("file ends after %d of its %d bytes", n, len(dst))
	case err != nil:
		return fail("%w", err)
	}
	r.offset += int64(n)
	r.row++
	return nil
}

// checkEnd returns an error if the file has bytes after the number of rows in its
// header. Otherwise they would be ignored silently.
func (r *Reader) checkEnd() error {
	_, err := r.in.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fmt.Errorf("vectors: after row %d: %w", r.row, err)
	}
	return fmt.Errorf("vectors: byte %d: file must end after the %d rows of its header", r.offset, r.rows)
}

// Int32s decodes a row of an .ivecs file.
func Int32s(row []byte) []int32 {
	all := make([]int32, len(row)/4)
	for i := range all {
		all[i] = int32(binary.LittleEndian.Uint32(row[4*i:]))
	}
	return all
}
