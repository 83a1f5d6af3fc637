package vectors

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
)

// csvTable reads a .csv file.
type csvTable struct {
	limit   *io.LimitedReader // bounds the memory of a row
	rowMax  int64             // in bytes
	in      *csv.Reader
	names   []string
	vector  int // index of the vector's column
	columns []int
	writer  vectorWriter
	row     int64
	err     error // from an earlier call of Next
}

// NewCSV returns a Table of a .csv file, whose first line has the names of the columns.
// Values are texts. An empty text means that the value is absent. A vector is a JSON array, or numbers
// separated by spaces, commas or semicolons. A row may have at most rowMax bytes.
func NewCSV(r io.Reader, rowMax int64) (Table, error) {
	t := &csvTable{limit: &io.LimitedReader{R: r, N: rowMax}, rowMax: rowMax}
	in := bufio.NewReaderSize(t.limit, 64<<10)
	if mark, _ := in.Peek(3); string(mark) == "\xef\xbb\xbf" { // the next read returns the error
		_, _ = in.Discard(3) // cannot fail after Peek
	}
	t.in = csv.NewReader(in)
	t.in.ReuseRecord = true
	header, err := t.in.Read()
	switch {
	case t.limit.N <= 0:
		return nil, fmt.Errorf("vectors: header must have at most %d bytes", rowMax)
	case errors.Is(err, io.EOF):
		return nil, errors.New("vectors: empty file; the first line must have the names of the columns")
	case err != nil:
		return nil, fmt.Errorf("vectors: header: %w", err)
	}
	for _, name := range header {
		name = strings.Clone(strings.TrimSpace(name))
		if name != "" && slices.Contains(t.names, name) {
			return nil, fmt.Errorf("vectors: header: column %q occurs twice", name)
		}
		t.names = append(t.names, name)
	}
	return t, nil
}

func (t *csvTable) Columns() []string { return t.names }
func (t *csvTable) Row() int64        { return t.row }
func (t *csvTable) Rows() int64       { return -1 }
func (t *csvTable) Close() error      { return nil }

func (t *csvTable) Select(vector VectorColumn, columns []string) (err error) {
	t.writer = vectorWriter{VectorColumn: vector}
	if t.vector, err = columnIndex(t, vector.Name); err != nil {
		return err
	}
	for _, name := range columns {
		i, err := columnIndex(t, name)
		if err != nil {
			return err
		}
		t.columns = append(t.columns, i)
	}
	return nil
}

// columnIndex returns the index of a column of t.
func columnIndex(t Table, name string) (int, error) {
	i := slices.Index(t.Columns(), name)
	if i < 0 || name == "" {
		return 0, fmt.Errorf("vectors: file has no column %q; its columns are %s", name, strings.Join(t.Columns(), ", "))
	}
	return i, nil
}

func (t *csvTable) Next(vector []byte, values []any) error {
	if t.err != nil {
		return t.err
	}
	t.limit.N = t.rowMax
	record, err := t.in.Read()
	switch {
	case t.limit.N <= 0:
		t.err = fmt.Errorf("vectors: row %d: must have at most %d bytes", t.row, t.rowMax)
		return t.err
	case errors.Is(err, csv.ErrFieldCount):
		t.row++
		return &RowError{Row: t.row - 1, Message: fmt.Sprintf("must have %d values, like the header, got %d", len(t.names), len(record))}
	case errors.Is(err, io.EOF):
		t.err = io.EOF
		return io.EOF
	case err != nil:
		t.err = fmt.Errorf("vectors: row %d: %w", t.row, err)
		return t.err
	}
	t.row++
	for i, column := range t.columns {
		values[i] = nil
		if text := record[column]; text != "" {
			values[i] = text
		}
	}
	t.writer.begin(vector)
	if err := t.writer.addText(record[t.vector]); err != nil {
		return &RowError{Row: t.row - 1, Column: t.writer.Name, Message: err.Error()}
	}
	return nil
}

// addText writes a vector that is given as text, and checks its length.
func (w *vectorWriter) addText(text string) error {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inner, "]"); !ok {
			return errors.New("must end with ] because it begins with [")
		}
	}
	text = strings.ReplaceAll(text, ";", ",")
	hasCommas := strings.Contains(text, ",")
	for list := range strings.SplitSeq(text, ",") {
		before := w.n
		for number := range strings.FieldsSeq(list) {
			if err := w.addNumber(number); err != nil {
				return err
			}
		}
		if hasCommas && w.n == before {
			return fmt.Errorf("value %d is missing", w.n)
		}
	}
	return w.end()
}

// addNumber writes a value that is given as text.
func (w *vectorWriter) addNumber(text string) error {
	bits := 64
	if w.Element == Float32 { // rounds once
		bits = 32
	}
	v, err := strconv.ParseFloat(text, bits)
	switch {
	case errors.Is(err, strconv.ErrRange) && w.Element == Float32:
		return fmt.Errorf("value %d: %s is beyond the range of float32 (±%.8g)", w.n, matcher.Shorten(text), math.MaxFloat32)
	case err != nil && !errors.Is(err, strconv.ErrRange), // add refuses a value that is too large
		strings.ContainsAny(text, "_xX"): // ParseFloat reads 1_0 and 0x1p-2, as in Go
		return fmt.Errorf("value %d must be a number, got %q", w.n, matcher.Shorten(text))
	}
	return w.add(v)
}
