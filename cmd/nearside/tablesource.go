package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"nearside/internal/vectors"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// tableFile is an open table with a plan for its columns.
type tableFile struct {
	vectors.Table
	*tablePlan
	in     *inputFile
	data   []byte // the vector of the current row
	values []any  // the values of the current row, one for each field
}

// openTable opens the table, whose vectors must fit version v.
func (j *job) openTable(v *matcher.Version, o matcher.Origin) (*tableFile, error) {
	in, err := openInput(j.path, j.inputFormat)
	if err != nil {
		return nil, err
	}
	t := &tableFile{in: in}
	if j.table == ".csv" {
		t.Table, err = vectors.NewCSV(in, int64(lineBytesMax))
	} else {
		t.Table, err = j.openParquet(in)
	}
	if err == nil {
		t.tablePlan, err = j.columns.plan(t.Columns(), o)
	}
	if err == nil {
		element := vectors.Float32
		if v.Encoding == matcher.Uint8 {
			element = vectors.Uint8
		}
		err = t.Select(vectors.VectorColumn{Name: t.vector, Element: element, Dim: v.Length}, t.columnNames())
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("%s: %w", j.path, err)
	}
	t.data, t.values = make([]byte, v.Size()), make([]any, len(t.fields))
	return t, nil
}

func (t *tableFile) close() {
	if t.Table != nil {
		closeRead(t.Table)
	}
	t.in.close()
}

// next reads the next row.
func (t *tableFile) next() error { return t.Next(t.data, t.values) }

// openParquet opens a .parquet file. Its parts are read in any order, so a compressed
// file is first written to a temporary file, which has no name.
func (j *job) openParquet(in *inputFile) (vectors.Table, error) {
	if j.compression == "" {
		return vectors.NewParquet(in.file, j.bytes)
	}
	file, err := os.CreateTemp("", "nearside-*.parquet")
	if err != nil {
		return nil, err
	}
	size := int64(0)
	if err = os.Remove(file.Name()); err == nil {
		size, err = io.Copy(file, in)
	}
	var t vectors.Table
	if err == nil {
		t, err = vectors.NewParquet(file, size)
	}
	if err != nil {
		closeRead(file)
		return nil, err
	}
	return &closingTable{t, file}, nil
}

// closingTable is a table that closes its file.
type closingTable struct {
	vectors.Table
	file *os.File
}

func (t *closingTable) Close() error {
	err := t.Table.Close()
	closeRead(t.file)
	return err
}

// rowsChecked is the number of rows of a table of which one must be readable. The first
// row alone may have no vector.
const rowsChecked = 100

// checkTable checks the columns and the first rows of the table.
func (j *job) checkTable(v *matcher.Version, o matcher.Origin) error {
	t, err := j.openTable(v, o)
	if err != nil {
		return err
	}
	defer t.close()
	j.note = t.note()
	var first error
	for range rowsChecked {
		err := t.next()
		_, isRow := errors.AsType[*vectors.RowError](err)
		switch {
		case err == nil:
			return nil
		case first == nil && !errors.Is(err, io.EOF):
			first = err
		}
		if !isRow { // also the end
			break
		}
	}
	if first != nil {
		return fmt.Errorf("%s: %w", j.path, first)
	}
	return nil
}

func (j *job) openTableSource(hash string, v *matcher.Version, o matcher.Origin) (source, error) {
	t, err := j.openTable(v, o)
	if err != nil {
		return nil, err
	}
	s := &tableSource{
		tableFile: t, bytes: j.bytes, idField: o.Singular() + "_id",
		descriptor: descriptorField(v, o), version: v.Number,
	}
	if hash != "" {
		s.name = "nearside:" + hash + ":"
	}
	hasID := t.idAt >= 0
	for i := range t.fields {
		f := &t.fields[i]
		hasID = hasID || f.group == "" && f.name == s.idField
		s.hasExternal = s.hasExternal || f.group == "" && f.name == "external_id"
	}
	s.rowNames = !hasID && !s.hasExternal
	return s, nil
}

// tableSource turns the rows of a table into objects.
type tableSource struct {
	*tableFile
	bytes       int64  // size of the file
	name        string // the text before the row from which an ID is derived; empty: objects have no ID
	idField     string
	descriptor  string // the field of the descriptor
	version     uint32
	hasExternal bool // whether a column has the field external_id
	rowNames    bool // whether the row becomes the external_id
}

// offset estimates the position in a .parquet file from the number of its rows, because
// its parts are not read in order.
func (s *tableSource) offset() int64 {
	if rows := s.Rows(); rows > 0 {
		return int64(float64(s.bytes) * float64(s.Row()) / float64(rows))
	}
	return s.in.count
}

func (s *tableSource) appendLine(dst []byte) ([]byte, error) {
	start, row := len(dst), s.Row()
	err := s.next()
	if fault, ok := errors.AsType[*vectors.RowError](err); ok {
		return dst, skippedLineError(fault.Detail())
	}
	if err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	if dst, err = s.appendNames(dst, row); err != nil {
		return dst[:start], err
	}
	dst = s.appendFields(dst)
	dst = appendKey(dst, s.descriptor)
	dst = appendDescriptor(dst, s.version, s.data)
	return append(dst, "}\n"...), nil
}

// appendKey appends the key of a member.
func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(wire.AppendValue(dst, wire.JSON, key), ':')
}

// appendNames appends the id and the external_id that do not come from columns of their
// own.
func (s *tableSource) appendNames(dst []byte, row int64) ([]byte, error) {
	number := strconv.FormatInt(row, 10)
	hasID, external := false, ""
	for i := range s.fields {
		if f := &s.fields[i]; f.group == "" && f.name == s.idField {
			hasID = !isMissing(s.values[i])
		}
	}
	id := s.name + number
	if s.idAt >= 0 && !isMissing(s.values[s.idAt]) {
		text := textOf(s.values[s.idAt])
		given, err := matcher.ParseID(text)
		switch {
		case err == nil:
			hasID = true
			dst = wire.AppendValue(appendKey(dst, s.idField), wire.JSON, given)
		case s.hasExternal:
			return dst, skippedLineError(fmt.Sprintf("column %s: %v, because another column has the external_id", s.fields[s.idAt].column, err))
		default:
			external = text
		}
	}
	if !hasID && s.name != "" {
		dst = wire.AppendValue(appendKey(dst, s.idField), wire.JSON, matcher.NameID(id))
	}
	if s.rowNames {
		external = number
	}
	if external != "" {
		dst = wire.AppendValue(appendKey(dst, "external_id"), wire.JSON, external)
	}
	return dst, nil
}

// appendFields appends the fields that come from columns of their own.
func (s *tableSource) appendFields(dst []byte) []byte {
	open := "" // the group whose object is open
	for i := range s.fields {
		f := &s.fields[i]
		if i == s.idAt || isMissing(s.values[i]) {
			continue
		}
		if f.group != open {
			if open != "" {
				dst = append(dst, '}')
			}
			dst = append(appendKey(dst, f.group), '{')
			open = f.group
		}
		dst = f.form.appendJSON(appendKey(dst, f.name), s.values[i])
	}
	if open != "" {
		dst = append(dst, '}')
	}
	return dst
}
