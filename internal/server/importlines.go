package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"nearside/matcher"
	"nearside/matcher/store"
)

const (
	blockBytes   = 256 << 10 // of the buffer for one read of lines
	objectBytes  = 512       // memory of an object beside what its line has, about
	blocksMax    = 16        // that wait to be decoded, or to be stored
	lineErrorMax = 100       // errors that the answer shows
)

// lineBlock is a run of lines on its way through an import.
type lineBlock struct {
	text  []byte        // goes back with releaseLines when it was decoded
	room  int           // bytes taken of the importRoom, given back when the lines are stored
	first int           // number of the first line, from 1
	done  chan struct{} // closed when the fields below are set

	bytes   int // of memory, about
	lines   []store.ImportLine
	numbers []int       // of lines
	errors  []lineError // of the other lines, the first lineErrorMax
	faults  int         // how many those are
	err     error       // of the block: our own mistake
}

// lineError is why a line was rejected.
type lineError struct {
	line   int
	detail string
}

// lineReader splits a stream into blocks of whole lines. While it waits for
// input it holds only the beginning of a line.
type lineReader struct {
	in    io.Reader
	most  int             // bytes of a line; of a longer one more than that is kept, not all
	rest  []byte          // the beginning of a line whose end has not come
	count int             // lines given so far
	wait  func()          // waits for input; nil: reads wait
	room  *importRoom     // for blocks; nil: needs none
	grow  func(int) error // called before rest gets that many bytes; nil: nothing
}

// next returns the lines that the next read brings, nil when there are none.
// Lines are returned also beside an error. At the end, io.EOF, what has no line
// end is a line; a line that another error cut is dropped.
func (r *lineReader) next() (*lineBlock, error) {
	if r.wait != nil {
		r.wait()
	}
	size := len(r.rest) + blockBytes
	if err := r.room.take(size); err != nil {
		return nil, err
	}
	buf := lineMemory(size)
	n, err := r.in.Read(buf[copy(buf, r.rest):])
	text := buf[:len(r.rest)+n]
	end := bytes.LastIndexByte(text, '\n') + 1
	if errors.Is(err, io.EOF) {
		end = len(text)
	}
	if failed := r.keep(text[end:]); failed != nil {
		return nil, failed
	}
	if text = text[:end]; len(text) == 0 {
		releaseLines(buf)
		r.room.give(size)
		return nil, err
	}
	if len(text) <= blockBytes/4 { // it is not worth the whole buffer
		text = bytes.Clone(text)
		releaseLines(buf)
		r.room.give(size - len(text))
		size = len(text)
	}
	b := &lineBlock{text: text, room: size, first: r.count + 1, done: make(chan struct{})}
	r.count += bytes.Count(text, []byte("\n"))
	if text[len(text)-1] != '\n' {
		r.count++
	}
	return b, err
}

// keep keeps the beginning of a line.
func (r *lineReader) keep(begin []byte) error {
	begin = begin[:min(len(begin), r.most+len("x\r"))] // with a "\r" that may not be part of the line
	size := cap(r.rest)
	switch {
	case len(begin) == 0:
		size = 0
	case len(begin) > size:
		size = min(max(2*len(begin), 512), r.most+len("x\r"))
	}
	if size == cap(r.rest) {
		r.rest = append(r.rest[:0], begin...)
		return nil
	}
	if r.grow != nil {
		if err := r.grow(size); err != nil {
			return err
		}
	}
	r.rest = nil
	if size > 0 {
		r.rest = append(make([]byte, 0, size), begin...)
	}
	return nil
}

var linePool = sync.Pool{New: func() any { return new([blockBytes]byte) }}

// lineMemory returns a slice of size bytes or more.
func lineMemory(size int) []byte {
	if size <= blockBytes {
		return linePool.Get().(*[blockBytes]byte)[:]
	}
	return make([]byte, size)
}

// releaseLines takes memory back that was of lineMemory. It may be called by any
// goroutine.
func releaseLines(b []byte) {
	if cap(b) == blockBytes {
		linePool.Put((*[blockBytes]byte)(b[:blockBytes]))
	}
}

// lineDecoder makes objects of lines. It is used by several goroutines.
type lineDecoder struct {
	x      *exchange
	origin matcher.Origin
	list   matcher.ID // that all objects are put into; zero: none
}

// decode fills b.
func (d lineDecoder) decode(b *lineBlock) {
	defer close(b.done)
	defer func() {
		if p := recover(); p != nil {
			b.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	number := b.first
	for line := range bytes.Lines(b.text) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		in, err := d.line(line)
		switch {
		case err != nil:
			b.reject(number, err)
		case in.Object != nil:
			b.lines = append(b.lines, in)
			b.numbers = append(b.numbers, number)
		}
		number++
	}
	b.bytes = len(b.text) + len(b.lines)*objectBytes
	releaseLines(b.text)
	b.text = nil
}

// line decodes one line; a blank one gives no object.
func (d lineDecoder) line(line []byte) (store.ImportLine, error) {
	if most := d.x.limits.LineBytes; int64(len(line)) > most {
		return store.ImportLine{}, matcher.Errorf(matcher.CodeTooLarge, "the line is longer than the limit of %d bytes", most)
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return store.ImportLine{}, nil
	}
	in, err := d.x.limits.Decoder.Line(d.origin, line)
	if err == nil {
		err = d.x.complete(in)
	}
	if err != nil {
		return store.ImportLine{}, err
	}
	return store.ImportLine{Object: &in.Object, HasLists: in.HasLists, AddList: d.list}, nil
}

func (b *lineBlock) reject(line int, err error) {
	b.faults++
	if len(b.errors) < lineErrorMax {
		b.errors = append(b.errors, lineError{line, asError(err).Detail})
	}
}
