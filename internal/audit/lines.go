package audit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// reader reads the lines of a file.
type reader struct {
	in   *bufio.Reader
	next int64 // offset of the next line
	long []byte
}

func newReader(f io.ReaderAt, begin, end int64) *reader {
	return &reader{in: bufio.NewReaderSize(io.NewSectionReader(f, begin, end-begin), 64<<10), next: begin}
}

// read returns the next line without its newline, and its offset. The text is valid until
// the next call. A line of more than lineMax bytes is cut, so it is not a valid line. complete
// is false if the newline is missing. At the end, the error is io.EOF.
func (r *reader) read() (text []byte, at int64, complete bool, err error) {
	at = r.next
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.next += int64(len(part))
		switch {
		case err == nil && len(r.long) == 0:
			return bytes.TrimSuffix(part, []byte("\n")), at, true, nil
		case errors.Is(err, bufio.ErrBufferFull), err == nil, errors.Is(err, io.EOF):
			if len(r.long) <= lineMax {
				r.long = append(r.long, part...)
			}
		default:
			return nil, at, false, err
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && r.next == at {
			return nil, at, false, io.EOF
		}
		return bytes.TrimSuffix(r.long, []byte("\n")), at, err == nil, nil
	}
}

// seekWindow is the size below which seek reads all lines.
const seekWindow = 64 << 10

// seek returns the offset of the first line whose number is at least seq, or end if there
// is none. Bytes that are no line are skipped.
func seek(f io.ReaderAt, end int64, seq uint64) (int64, error) {
	low, high := int64(0), end // all lines that begin before low have smaller numbers
	for high-low > seekWindow {
		middle := low + (high-low)/2
		r := newReader(f, middle, high)
		if _, _, _, err := r.read(); err != nil && !errors.Is(err, io.EOF) { // the rest of a line
			return 0, err
		}
		l, at, err := r.nextLine()
		switch {
		case err == nil && l.head.Seq < seq:
			low = at + int64(len(l.text)) + 1
		case err == nil || errors.Is(err, io.EOF):
			high = middle
		default:
			return 0, err
		}
	}
	r := newReader(f, low, end)
	for {
		l, at, err := r.nextLine()
		switch {
		case errors.Is(err, io.EOF):
			return end, nil
		case err != nil:
			return 0, err
		case l.head.Seq >= seq:
			return at, nil
		}
	}
}

// nextLine returns the next line and its offset. It skips bytes that are no line. The line
// is valid until the next read.
func (r *reader) nextLine() (line, int64, error) {
	for {
		text, at, _, err := r.read()
		if err != nil {
			return line{}, at, err
		}
		if l, err := parseLine(text); err == nil {
			return l, at, nil
		}
	}
}
