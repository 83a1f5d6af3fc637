package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// objectReader reads JSON values: the elements of one array, or values one after the
// other.
type objectReader struct {
	limit   *io.LimitedReader // bounds the memory of a value
	in      *bufio.Reader
	decoder *json.Decoder // of in; nil: nothing was read yet
	array   bool
}

func newObjectReader(in io.Reader) *objectReader {
	limit := &io.LimitedReader{R: in}
	return &objectReader{limit: limit, in: bufio.NewReader(limit)}
}

// next returns the next value, and io.EOF at the end.
func (o *objectReader) next() (json.RawMessage, error) {
	o.limit.N = int64(lineBytesMax)
	value, err := o.read()
	switch {
	case err == nil || errors.Is(err, errEnd):
		if err != nil {
			err = io.EOF
		}
		return value, err
	case o.limit.N <= 0:
		return nil, fmt.Errorf("is longer than %d bytes", lineBytesMax)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the JSON ends too early")
	}
	return nil, err
}

// errEnd is the end of the input after a complete value.
var errEnd = errors.New("end")

func (o *objectReader) read() (value json.RawMessage, err error) {
	if o.decoder == nil {
		if err := o.start(); err != nil {
			return nil, err
		}
	}
	if !o.array {
		if err = o.decoder.Decode(&value); errors.Is(err, io.EOF) {
			err = errEnd
		}
		return value, err
	}
	if o.decoder.More() {
		return value, o.decoder.Decode(&value)
	}
	if _, err := o.decoder.Token(); err != nil { // the bracket
		return nil, err
	}
	if _, err := o.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("nothing may follow the array")
	}
	return nil, errEnd
}

// start skips a byte order mark, and the bracket of an array.
func (o *objectReader) start() error {
	if mark, _ := o.in.Peek(3); string(mark) == "\xef\xbb\xbf" { // the next read returns the error
		_, _ = o.in.Discard(3) // cannot fail after Peek
	}
	first := byte(' ')
	for first == ' ' || first == '\t' || first == '\r' || first == '\n' {
		var err error
		if first, err = o.in.ReadByte(); errors.Is(err, io.EOF) {
			return errEnd
		} else if err != nil {
			return err
		}
	}
	if err := o.in.UnreadByte(); err != nil {
		return err
	}
	o.decoder = json.NewDecoder(o.in)
	if o.array = first == '['; o.array {
		_, err := o.decoder.Token()
		return err
	}
	return nil
}
