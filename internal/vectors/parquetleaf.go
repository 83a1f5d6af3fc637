package vectors

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// leafReader reads the values of a column, row by row.
type leafReader struct {
	name   string
	column *parquet.Column
	list   bool
	*leafType

	pages  parquet.Pages // of the current row group
	page   parquet.Page
	values parquet.ValueReader // of page; nil: the next page must be read
	buffer []parquet.Value
	n, at  int             // buffer[at:n] are the values that were not used yet
	ended  bool            // whether the page has no more values than those in buffer
	row    []parquet.Value // the values of the current row
}

func newLeafReader(name string, c *parquet.Column) (*leafReader, error) {
	l := &leafReader{name: name, column: c, list: c.MaxRepetitionLevel() == 1, buffer: make([]parquet.Value, 512)}
	if c.MaxRepetitionLevel() > 1 {
		return nil, fmt.Errorf("vectors: column %s must be a value or a list of values, got lists in lists", name)
	}
	if l.leafType = leafTypeOf(c.Type()); l.leafType == nil {
		return nil, fmt.Errorf("vectors: column %s has the type %s, which is not supported", name, c.Type())
	}
	return l, nil
}

// checkVector returns an error if the column cannot have vectors.
func (l *leafReader) checkVector() error {
	if l.list && l.number != nil || !l.list && l.bytes {
		return nil
	}
	got := l.column.Type().String()
	if l.list {
		got = "a list of " + got
	}
	return fmt.Errorf("vectors: column %s must be a list of numbers, bytes or text, got %s", l.name, got)
}

// readRow reads the values of the next row. They share memory with the page, so that they
// are valid until the next call.
func (l *leafReader) readRow() error {
	l.row = l.row[:0]
	for {
		more, err := l.fill(len(l.row) > 0)
		switch {
		case err != nil:
			return err
		case !more && len(l.row) == 0:
			return errors.New("the column has fewer rows than the file")
		case !more || len(l.row) > 0 && l.buffer[l.at].RepetitionLevel() == 0:
			return nil
		}
		l.row = append(l.row, l.buffer[l.at])
		l.at++
		if !l.list {
			return nil
		}
	}
}

// fill makes sure that the buffer has a value, and returns false at the end of the row
// group. If keep is true, the row has values of the current page, which are cloned before
// the page is released.
func (l *leafReader) fill(keep bool) (more bool, err error) {
	for l.at == l.n {
		if l.values == nil {
			if l.page, err = l.pages.ReadPage(); errors.Is(err, io.EOF) {
				l.page = nil
				return false, nil
			} else if err != nil {
				l.page = nil
				return false, err
			}
			l.values, l.ended = l.page.Values(), false
		}
		if l.ended {
			if keep {
				for i := range l.row {
					l.row[i] = l.row[i].Clone()
				}
			}
			l.releasePage()
			continue
		}
		n, err := l.values.ReadValues(l.buffer)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		l.at, l.n, l.ended = 0, n, err != nil
	}
	return true, nil
}

func (l *leafReader) releasePage() {
	if l.page != nil {
		parquet.Release(l.page)
	}
	l.page, l.values = nil, nil
}

func (l *leafReader) close() error {
	l.releasePage()
	l.at, l.n = 0, 0
	if l.pages == nil {
		return nil
	}
	pages := l.pages
	l.pages = nil
	return pages.Close()
}

// rowValue returns the value of the row: nil, a simple value, or a list.
func (l *leafReader) rowValue() any {
	if len(l.row) == 1 && l.row[0].IsNull() { // also an empty list
		return nil
	}
	if !l.list {
		return l.simpleValue(l.row[0])
	}
	all := make([]any, len(l.row))
	for i, v := range l.row {
		if !v.IsNull() {
			all[i] = l.simpleValue(v)
		}
	}
	return all
}

// simpleValue returns the value of an element. Old programs write texts without their
// type, so bytes are a text if they can be one.
func (l *leafReader) simpleValue(v parquet.Value) any {
	value := l.value(v)
	if b, ok := value.(rawBytes); ok {
		value = nil
		if utf8.Valid(b) {
			value = string(b)
		}
	}
	return value
}

// writeVector writes the vector of the row.
func (l *leafReader) writeVector(w *vectorWriter) error {
	switch {
	case len(l.row) == 1 && l.row[0].IsNull():
		return errors.New("has no vector")
	case !l.list:
		value := l.value(l.row[0])
		if text, ok := value.(string); ok {
			return w.addText(text)
		}
		return w.addBytes(value.(rawBytes))
	}
	for i := range l.row {
		if l.row[i].IsNull() {
			return fmt.Errorf("value %d is missing", i)
		}
		if err := w.add(l.number(l.row[i])); err != nil {
			return err
		}
	}
	return w.end()
}
