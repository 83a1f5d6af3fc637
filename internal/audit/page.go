package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Query selects lines of a page.
type Query struct {
	From, To       time.Time // of the lines, From included; zero: no limit
	Key, Operation string    // empty: any
	After          uint64    // the number of the line before the page
	Size           int       // largest number of lines
	Bytes          int       // after that many bytes, a page has no further line; 0: no limit
}

// Page is a part of the audit.
type Page struct {
	Lines [][]byte // JSON, in the order of their numbers
	// After is the number of the last line that was read for the page. More says that lines
	// may follow it.
	After uint64
	More  bool
	Head  Head // of the whole audit
	bytes int  // of Lines
}

// pageBytes is how much one call of Page reads.
const pageBytes = 64 << 20

// Page returns the next lines that q selects. It reads at most 64 MiB, so a page may have
// fewer lines than wanted, although More is set. Lines that were added meanwhile may be
// missing. Their hashes are not checked.
func (l *Log) Page(ctx context.Context, q Query) (Page, error) {
	s := l.Settings()
	p := Page{After: q.After, Head: l.Head()}
	if s.File == "" {
		return p, nil
	}
	names, err := rotatedFiles(s.File)
	if err != nil {
		return p, fmt.Errorf("audit: %w", err)
	}
	budget := int64(pageBytes)
	for _, name := range names[firstFile(names, q):] {
		if err := p.readFile(ctx, name, q, &budget); err != nil || p.More {
			return p, err
		}
	}
	return p, p.readFile(ctx, s.File, q, &budget)
}

// firstFile returns the place of the first rotated file that may have lines of q: the next
// one begins too late.
func firstFile(names []string, q Query) int {
	first := 0
	for i, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		l, _, err := newReader(f, 0, 1<<62).nextLine()
		begins, known := timeOf(l.content)
		_ = f.Close() // only read
		if err != nil || !known {
			continue
		}
		if l.head.Seq > q.After+1 && (q.From.IsZero() || begins.After(q.From)) {
			break
		}
		first = i
	}
	return first
}

// readFile adds the lines of a file.
func (p *Page) readFile(ctx context.Context, name string, q Query, budget *int64) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was removed or renamed meanwhile
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	from, err := seek(f, info.Size(), p.After+1)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r := newReader(f, from, info.Size())
	for n := 0; ; n++ {
		l, at, err := r.nextLine()
		switch {
		case errors.Is(err, io.EOF):
			*budget -= info.Size() - from
			return nil
		case err != nil:
			return fmt.Errorf("audit: %w", err)
		case len(p.Lines) == q.Size, r.next-from > *budget, q.Bytes > 0 && p.bytes >= q.Bytes:
			p.More = true
			return nil
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if at+int64(len(l.text)) >= info.Size() { // its newline may not be written yet
			return nil
		}
		p.After = l.head.Seq
		if q.selects(&l) {
			p.Lines = append(p.Lines, slices.Clone(l.text))
			p.bytes += len(l.text)
		}
	}
}

// fields are the fields of a line that a query compares.
type fields struct {
	Key       string `json:"key"`
	Operation string `json:"operation"`
}

// selects reports whether a line belongs to the page.
func (q *Query) selects(l *line) bool {
	at, known := timeOf(l.content)
	if !known || !q.From.IsZero() && at.Before(q.From) || !q.To.IsZero() && !at.Before(q.To) {
		return false
	}
	if q.Key == "" && q.Operation == "" {
		return true
	}
	if q.Operation != "" && !bytes.Contains(l.content, appendText(nil, `,"operation":`, q.Operation)) {
		return false
	}
	var f fields
	if err := json.Unmarshal(l.text, &f); err != nil {
		return false
	}
	return (q.Key == "" || f.Key == q.Key) && (q.Operation == "" || f.Operation == q.Operation)
}
