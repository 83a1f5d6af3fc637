package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"nearside/matcher"
	"nearside/matcher/store"
)

const (
	blockBytes   = 256 << 10 // room for one read of lines
	objectBytes  = 512       // memory of an object beside what its line has, about
	blocksMax    = 16        // that wait to be decoded, or to be stored
	lineErrorMax = 100       // errors that the answer shows
)

// lineBlock is a run of lines on its way through an import.
type lineBlock struct {
	text  []byte        // goes back to the reader when it was decoded
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

// lineReader splits a stream into blocks of whole lines.
type lineReader struct {
	in    io.Reader
	most  int         // bytes of a line; of a longer one more than that is kept, not all
	free  chan []byte // memory of blocks, to be used again
	rest  []byte      // the begin of a line whose end has not come
	count int         // lines given so far
}

// next returns the lines that the next read brings, nil when that is none.
// Lines are given also beside an error. At the end, io.EOF, what has no end is
// a line; a line that another error cut is dropped.
func (r *lineReader) next() (*lineBlock, error) {
	buf := r.memory(len(r.rest) + blockBytes)
	n, err := r.in.Read(buf[copy(buf, r.rest):])
	text := buf[:len(r.rest)+n]
	end := bytes.LastIndexByte(text, '\n') + 1
	if errors.Is(err, io.EOF) {
		end = len(text)
	}
	r.rest = append(r.rest[:0], text[end:]...)
	// With a "\r" that may not be part of the line.
	r.rest = r.rest[:min(len(r.rest), r.most+len("x\r"))]
	if text = text[:end]; len(text) == 0 {
		r.release(buf)
		return nil, err
	}
	b := &lineBlock{text: text, first: r.count + 1, done: make(chan struct{})}
	r.count += bytes.Count(text, []byte("\n"))
	if text[len(text)-1] != '\n' {
		r.count++
	}
	return b, err
}

// memory returns a slice of at least size bytes.
func (r *lineReader) memory(size int) []byte {
	select {
	case b := <-r.free:
		if b = b[:cap(b)]; len(b) >= size {
			return b
		}
	default:
	}
	return make([]byte, size)
}

// release takes memory back. It may be called by any goroutine.
func (r *lineReader) release(b []byte) {
	select {
	case r.free <- b:
	default:
	}
}

// lineDecoder makes objects of lines. It is used by several goroutines.
type lineDecoder struct {
	x       *exchange
	origin  matcher.Origin
	list    matcher.ID // that all objects are put into; zero: none
	release func([]byte)
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
	d.release(b.text)
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
