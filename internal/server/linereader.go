package server

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

const (
	blockBytes = 256 << 10 // of the buffer for one read of lines
	// restMax is the size up to which the beginning of a line is copied to a
	// buffer of its own, and above which it stays where it was read.
	restMax = freeBytes / 2
)

// lineReader splits a stream into blocks of whole lines. While it waits for
// input it holds only the beginning of a line.
type lineReader struct {
	in    io.Reader
	most  int         // bytes of a line; of a longer one more than that is kept, not all
	rest  []byte      // the beginning of a line whose end has not come
	count int         // lines given so far
	wait  func()      // waits for input; nil: reads wait
	room  *importRoom // for blocks; nil: needs none
	hold  holder      // nil: needs none
}

// holder reserves memory for a buffer of size bytes, in place of the one before,
// or gives back what it does not need. It waits if it must and may; ok tells
// whether the memory is reserved.
type holder func(size int, mayWait bool) (ok bool, err error)

// next reads once and returns the complete lines, or nil if there are none.
// Lines are returned also beside an error. At the end, io.EOF, what has no line
// end is a line; a line that another error cut is dropped.
func (r *lineReader) next() (*lineBlock, error) {
	if r.wait != nil {
		r.wait()
	}
	buf, err := r.buffer()
	if err != nil {
		return nil, err
	}
	if err := r.room.take(cap(buf)); err != nil {
		return nil, err
	}
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
		r.keep(text)
		r.room.give(cap(buf))
		return nil, err
	}
	r.rest = nil
	if len(text) > end {
		r.rest = bytes.Clone(text[end:min(len(text), end+r.lineMax())])
	}
	if r.hold != nil {
		_, _ = r.hold(cap(r.rest), false) // less than before
	}
	return r.block(text[:end]), err
}

// lineMax is how many bytes of a line are kept. With a "\r" that may not be
// part of the line, it tells a line that is too long.
func (r *lineReader) lineMax() int { return r.most + len("x\r") }

// buffer returns a buffer that begins with rest and has room for more.
func (r *lineReader) buffer() ([]byte, error) {
	switch spare := cap(r.rest) - len(r.rest); {
	case len(r.rest) > restMax && spare > 0:
		return r.rest, nil
	case len(r.rest) > restMax:
		size := max(min(2*cap(r.rest), r.lineMax()+restMax), cap(r.rest)+restMax)
		if r.hold != nil {
			if _, err := r.hold(size, true); err != nil {
				return nil, err
			}
		}
		larger := append(make([]byte, 0, size), r.rest...)
		releaseLines(r.rest)
		r.rest = nil
		return larger, nil
	}
	if r.hold != nil {
		if ok, err := r.hold(blockBytes, false); err != nil {
			return nil, err
		} else if !ok { // a smaller one needs no reservation
			return append(make([]byte, 0, freeBytes), r.rest...), nil
		}
	}
	return append(linePool.Get().(*[blockBytes]byte)[:0], r.rest...), nil
}

// keep keeps text, the beginning of a line in a buffer of its own.
func (r *lineReader) keep(text []byte) {
	if len(text) > r.lineMax() {
		text = text[:r.lineMax()]
	}
	r.rest = text
	if len(text) <= restMax {
		r.rest = append(make([]byte, 0, len(text)+len(text)/4), text...)
		releaseLines(text)
	}
	if r.hold != nil {
		_, _ = r.hold(cap(r.rest), false) // not more than before
	}
}

// block makes a block of whole lines. The room for the whole buffer is taken.
func (r *lineReader) block(text []byte) *lineBlock {
	size := cap(text)
	if len(text) <= size/4 { // it is not worth the whole buffer
		small := bytes.Clone(text)
		releaseLines(text)
		text = small
		r.room.give(size - cap(small))
		size = cap(small)
	}
	b := &lineBlock{text: text, room: size, first: r.count + 1, done: make(chan struct{})}
	r.count += bytes.Count(text, []byte("\n"))
	if text[len(text)-1] != '\n' {
		r.count++
	}
	return b
}

var linePool = sync.Pool{New: func() any { return new([blockBytes]byte) }}

// releaseLines takes the memory of a block back. It may be called by any
// goroutine.
func releaseLines(b []byte) {
	if cap(b) == blockBytes {
		linePool.Put((*[blockBytes]byte)(b[:blockBytes]))
	}
}
