package vectors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Table reads a file whose rows have a vector and other values: .csv or .parquet. It is
// not safe for concurrent use.
type Table interface {
	// Columns returns the names of the columns in the order of the file. A name may be
	// empty; such a column cannot be read.
	Columns() []string
	// Select chooses the columns that Next reads. It is called once, before Next.
	Select(vector VectorColumn, columns []string) error
	// Next reads the next row. It fills vector, whose length must be that of the column's
	// rows, and sets values to those of the columns: nil if the row has no value, or a
	// string, bool, int64, float64 or []any of them. At the end of the file it returns
	// io.EOF, not wrapped. After a [*RowError], the next call reads the next row.
	Next(vector []byte, values []any) error
	// Row returns the number of rows read so far, with those that had a RowError.
	Row() int64
	// Rows returns the number of rows of the file; -1 if it is unknown.
	Rows() int64
	Close() error
}

// VectorColumn is the column of a table that has the vectors.
type VectorColumn struct {
	Name    string
	Element Element // Uint8 or Float32: the type to which values are converted
	Dim     int
}

// RowError reports a value that cannot be read. The following rows can still be read.
type RowError struct {
	Row     int64  // from 0
	Column  string // "": the row as a whole
	Message string
}

func (e *RowError) Error() string { return fmt.Sprintf("vectors: row %d: %s", e.Row, e.Detail()) }

// Detail returns the text of the error without the row.
func (e *RowError) Detail() string {
	if e.Column == "" {
		return e.Message
	}
	return fmt.Sprintf("column %s: %s", e.Column, e.Message)
}

// vectorWriter writes the values of one vector after the other.
type vectorWriter struct {
	VectorColumn
	dst []byte
	n   int
}

// begin starts a vector.
func (w *vectorWriter) begin(dst []byte) {
	if len(dst) != w.Dim*w.Element.Size() {
		panic(fmt.Sprintf("vectors: the buffer for a vector must have %d bytes, got %d", w.Dim*w.Element.Size(), len(dst)))
	}
	w.dst, w.n = dst, 0
}

// add appends a value. Values after the last one are only counted.
func (w *vectorWriter) add(v float64) error {
	i := w.n
	w.n++
	switch {
	case w.Element == Uint8 && !(v >= 0 && v <= math.MaxUint8 && v == math.Trunc(v)):
		return fmt.Errorf("value %d must be an integer from 0 to 255, got %g", i, v)
	case w.Element == Float32 && math.IsInf(float64(float32(v)), 0) && !math.IsInf(v, 0):
		return fmt.Errorf("value %d: %g is beyond the range of float32 (±%.8g)", i, v, math.MaxFloat32)
	case i >= w.Dim:
	case w.Element == Uint8:
		w.dst[i] = byte(v)
	default:
		binary.LittleEndian.PutUint32(w.dst[4*i:], math.Float32bits(float32(v)))
	}
	return nil
}

// addBytes writes a vector that is given as the bytes of its values.
func (w *vectorWriter) addBytes(b []byte) error {
	if len(b) != len(w.dst) {
		return fmt.Errorf("must have %d bytes, which are %d %s, got %d", len(w.dst), w.Dim, w.Element, len(b))
	}
	copy(w.dst, b)
	w.n = w.Dim
	return nil
}

// end checks the number of values.
func (w *vectorWriter) end() error {
	if w.n != w.Dim {
		return fmt.Errorf("must have %d values, got %d", w.Dim, w.n)
	}
	return nil
}
