package server

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"nearside/matcher"
	"nearside/matcher/store"
)

const (
	objectBytes  = 512 // memory of an object beside what its line has, about
	blocksMax    = 16  // that wait to be decoded, or to be stored
	lineErrorMax = 100 // errors that the answer shows
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
