package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Tail returns the last lines of a file, at most n, and the head of its last line. It does
// not check their hashes.
func Tail(name string, n uint64) (lines [][]byte, head Head, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, Head{}, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, Head{}, err
	}
	if head, err = lastHead(f, info.Size()); err != nil {
		return nil, Head{}, fmt.Errorf("%s: %w", name, err)
	}
	from, err := seek(f, info.Size(), max(head.Seq, n)-n+1)
	if err != nil {
		return nil, Head{}, err
	}
	for r := newReader(f, from, info.Size()); ; {
		l, _, err := r.nextLine()
		if errors.Is(err, io.EOF) {
			return lines[max(0, len(lines)-int(min(n, uint64(len(lines))))):], head, nil
		}
		if err != nil {
			return nil, Head{}, err
		}
		lines = append(lines, slices.Clone(l.text))
	}
}

// lastHead returns the head of the last line of a file.
func lastHead(f *os.File, size int64) (Head, error) {
	for window := int64(seekWindow); ; window *= 4 {
		begin := max(size-window, 0)
		r := newReader(f, begin, size)
		head, found := Head{}, false
		for {
			l, _, err := r.nextLine()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return Head{}, err
			}
			head, found = l.head, true
		}
		if found {
			return head, nil
		}
		if begin == 0 {
			return Head{}, errors.New("has no line of an audit")
		}
	}
}
