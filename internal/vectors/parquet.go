package vectors

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// parquetTable reads a .parquet file, one row group after the other.
type parquetTable struct {
	file    *parquet.File
	data    io.ReaderAt // the bytes of file
	names   []string
	leaves  []*parquet.Column // by the index of the name
	writer  vectorWriter
	vector  *leafReader
	columns []*leafReader
	group   int   // index of the next row group
	left    int64 // rows of the current row group that were not read yet
	row     int64
	err     error // from an earlier call of Next
}

// NewParquet returns a Table of a .parquet file of size bytes. Members of groups have
// names such as location.city. A vector is a list of numbers, the bytes of a descriptor, or
// a text as in a .csv file. Only one page of each selected column is in memory. A page that
// says that it is larger than its column is refused, so damage cannot cost more memory than
// a valid file of the same size. The format limits a page to 2 GiB.
func NewParquet(r io.ReaderAt, size int64) (_ Table, err error) {
	defer recoverDamage(&err)
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	t := &parquetTable{file: file, data: r}
	for _, column := range file.Root().Columns() {
		t.addLeaves("", column)
	}
	for i, name := range t.names {
		if slices.Contains(t.names[:i], name) {
			return nil, fmt.Errorf("vectors: column %q occurs twice", name)
		}
	}
	return t, nil
}

// recoverDamage turns a panic of the parquet library into an error. The library panics on
// some damaged files.
func recoverDamage(err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("vectors: the file is damaged: %v", fault)
	}
}

// addLeaves adds the columns of values in a column of the file. A list has the name of
// the group around it.
func (t *parquetTable) addLeaves(prefix string, c *parquet.Column) {
	name := prefix + c.Name()
	inner := c
	for !inner.Leaf() && len(inner.Columns()) == 1 && (inner != c || isListGroup(c)) {
		inner = inner.Columns()[0]
	}
	if inner.Leaf() {
		t.names = append(t.names, name)
		t.leaves = append(t.leaves, inner)
		return
	}
	for _, member := range c.Columns() {
		t.addLeaves(name+".", member)
	}
}

// isListGroup reports whether a group is a list: it has one member, which is repeated.
func isListGroup(c *parquet.Column) bool {
	return len(c.Columns()) == 1 && c.Columns()[0].Repeated()
}

func (t *parquetTable) Columns() []string { return t.names }
func (t *parquetTable) Row() int64        { return t.row }
func (t *parquetTable) Rows() int64       { return t.file.NumRows() }

func (t *parquetTable) Select(vector VectorColumn, columns []string) error {
	t.writer = vectorWriter{VectorColumn: vector}
	i, err := columnIndex(t, vector.Name)
	if err != nil {
		return err
	}
	if t.vector, err = newLeafReader(vector.Name, t.leaves[i]); err != nil {
		return err
	}
	if err := t.vector.checkVector(); err != nil {
		return err
	}
	for _, name := range columns {
		i, err := columnIndex(t, name)
		if err != nil {
			return err
		}
		leaf, err := newLeafReader(name, t.leaves[i])
		if err != nil {
			return err
		}
		t.columns = append(t.columns, leaf)
	}
	return nil
}

func (t *parquetTable) Next(vector []byte, values []any) (err error) {
	if t.err != nil {
		return t.err
	}
	defer func() {
		if _, isRow := errors.AsType[*RowError](err); !isRow {
			t.err = err
		}
	}()
	defer recoverDamage(&err)
	for t.left == 0 {
		if err := t.nextGroup(); err != nil {
			return err
		}
	}
	t.left--
	t.row++
	for i, column := range t.columns {
		if err := column.readRow(); err != nil {
			return t.columnError(column, err)
		}
		values[i] = column.rowValue()
	}
	if err := t.vector.readRow(); err != nil {
		return t.columnError(t.vector, err)
	}
	t.writer.begin(vector)
	if err := t.vector.writeVector(&t.writer); err != nil {
		return &RowError{Row: t.row - 1, Column: t.vector.name, Message: err.Error()}
	}
	return nil
}

func (t *parquetTable) columnError(c *leafReader, err error) error {
	return fmt.Errorf("vectors: row %d: column %s: %w", t.row-1, c.name, err)
}

// nextGroup opens the next row group. It returns io.EOF after the last one.
func (t *parquetTable) nextGroup() error {
	groups := t.file.RowGroups()
	if t.group == len(groups) {
		return io.EOF
	}
	group := groups[t.group]
	t.group++
	t.left = group.NumRows()
	for _, leaf := range append([]*leafReader{t.vector}, t.columns...) {
		if err := leaf.close(); err != nil {
			return t.columnError(leaf, err)
		}
		if err := checkPages(t.data, t.file.Size(), metadataOf(t.file, t.group-1, leaf.column.Index())); err != nil {
			return t.columnError(leaf, err)
		}
		leaf.pages = group.ColumnChunks()[leaf.column.Index()].Pages()
	}
	return nil
}

func (t *parquetTable) Close() error {
	var err error
	if t.vector != nil {
		err = t.vector.close()
	}
	for _, leaf := range t.columns {
		err = errors.Join(err, leaf.close())
	}
	return err
}
