package server

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"sync"

	"nearside/matcher"
)

const (
	blockBytes = 256 << 10 // size of the buffer for one read
	// lineFree is how many bytes of an unfinished line an import may hold without a
	// reservation.
	lineFree = 32 << 10
	// restMax is the size up to which the beginning of a line is copied to a small
	// buffer. A longer beginning stays in the buffer that it was read into.
	restMax = lineFree / 2
	// restSpare is the minimum free space of a small buffer. restRead is the minimum
	// free space for a read into it. So small reads copy few bytes.
	restSpare = 1 << 10
	restRead  = restSpare / 4
)

// lineReader splits a stream into blocks of whole lines. While it waits for
// input it holds only the beginning of a line.
type lineReader struct {
	in           io.Reader
	origin       matcher.Origin
	lineBytesMax int         // limit of a line; only the first keptMax bytes of a longer line are kept
	rest         []byte      // the beginning of a line whose end has not arrived
	count        int         // lines returned so far
	wait         func()      // waits for input; nil: Read waits
	texts        *importRoom // for buffers; may be nil
	lines        *importRoom // for the lines of blocks; may be nil
	reserveRest  reserveFunc // reserves memory for rest; may be nil
}

// reserveFunc changes a reservation so that it covers a buffer of size bytes. It waits
// for memory only if mayWait is true. ok reports whether the memory is reserved.
type reserveFunc func(size int, mayWait bool) (ok bool, err error)

// nextBlock reads once and returns the complete lines, or nil if no line is
// complete. It can return lines together with an error. At io.EOF the last line needs
// no line end. At other errors an incomplete line is dropped.
func (r *lineReader) nextBlock() (*lineBlock, error) {
	if r.wait != nil {
		r.wait()
	}
	size, err := r.bufferSize()
	if err != nil {
		return nil, err
	}
	taken, err := r.texts.reserve(size)
	if err != nil {
		return nil, err
	}
	buf := r.buffer(size)
	old := len(buf)
	n, err := r.in.Read(buf[old:cap(buf)])
	text := buf[:old+n]
	end := old + bytes.LastIndexByte(text[old:], '\n') + 1
	switch {
	case errors.Is(err, io.EOF):
		end = len(text)
	case end == old: // the bytes before old have no line end
		end = 0
	}
	if end == 0 {
		r.keepRest(text)
		r.texts.release(taken)
		return nil, err
	}
	r.rest = nil
	if len(text) > end {
		r.rest = bytes.Clone(text[end:min(len(text), end+r.keptMax())])
	}
	if r.reserveRest != nil {
		_, _ = r.reserveRest(cap(r.rest), false) // succeeds: it is less than before
	}
	b, roomErr := r.newBlock(text[:end], taken)
	return b, cmp.Or(roomErr, err)
}

// keptMax returns how many bytes of a line are kept: enough to detect that the line
// is too long, even if the last byte is a "\r" that belongs to the line end.
func (r *lineReader) keptMax() int { return r.lineBytesMax + len("x\r") }

// bufferSize returns the capacity of the buffer for the next read and reserves its
// memory.
func (r *lineReader) bufferSize() (int, error) {
	switch spare := cap(r.rest) - len(r.rest); {
	case len(r.rest) > 0 && spare >= restRead:
		return cap(r.rest), nil // the buffer of rest
	case len(r.rest) > restMax:
		size := max(min(2*cap(r.rest), r.keptMax()+restMax), cap(r.rest)+restMax)
		if r.reserveRest != nil {
			if _, err := r.reserveRest(size, true); err != nil {
				return 0, err
			}
		}
		return size, nil
	case r.reserveRest != nil:
		if ok, err := r.reserveRest(blockBytes, false); err != nil {
			return 0, err
		} else if !ok {
			return lineFree, nil
		}
	}
	return blockBytes, nil
}

// buffer returns a buffer of that capacity that begins with r.rest.
func (r *lineReader) buffer(size int) []byte {
	if size == cap(r.rest) {
		return r.rest
	}
	var buf []byte
	if size == blockBytes {
		buf = linePool.Get().(*[blockBytes]byte)[:0]
	} else {
		buf = make([]byte, 0, size)
	}
	buf = append(buf, r.rest...)
	releaseLines(r.rest)
	r.rest = nil
	return buf
}

// keepRest keeps text, the beginning of a line. A short text is copied to a small
// buffer with a quarter more space, unless it is in one already.
func (r *lineReader) keepRest(text []byte) {
	if len(text) > r.keptMax() {
		text = text[:r.keptMax()]
	}
	r.rest = text
	if size := len(text) + len(text)/4 + restSpare; len(text) <= restMax && cap(text) > size {
		r.rest = append(make([]byte, 0, size), text...)
		releaseLines(text)
	}
	if r.reserveRest != nil {
		_, _ = r.reserveRest(cap(r.rest), false) // succeeds: it is not more than before
	}
}

// newBlock returns a block of whole lines. taken is the reservation of r.texts for
// their buffer. It waits until there is room in r.lines.
func (r *lineReader) newBlock(text []byte, taken int) (*lineBlock, error) {
	if len(text) <= cap(text)/4 { // a whole buffer would waste memory
		small := bytes.Clone(text)
		releaseLines(text)
		text = small
		if keep := min(cap(small), taken); keep < taken {
			r.texts.release(taken - keep)
			taken = keep
		}
	}
	lines := bytes.Count(text, []byte("\n"))
	if text[len(text)-1] != '\n' {
		lines++
	}
	room, err := r.lines.reserve(objectsBound(r.origin, len(text), lines))
	if err != nil {
		releaseLines(text)
		r.texts.release(taken)
		return nil, err
	}
	b := &lineBlock{text: text, textRoom: taken, room: room, first: r.count + 1, done: make(chan struct{})}
	r.count += lines
	return b, nil
}

var linePool = sync.Pool{New: func() any { return new([blockBytes]byte) }}

// releaseLines returns a buffer to linePool if it is one of its buffers.
func releaseLines(b []byte) {
	if cap(b) == blockBytes {
		linePool.Put((*[blockBytes]byte)(b[:blockBytes]))
	}
}
