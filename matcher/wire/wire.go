// Package wire is the form of requests and answers on the wire: JSON and
// MessagePack, in and out. It is the only user of sonic and msgp.
//
// A [Decoder] reads bodies. Both formats are parsed into one [tape], a flat
// list of nodes, and one strict binder makes typed requests of it; so the
// formats cannot differ, and every fault names its path and value:
//
//	candidates[1].filters.list_id: "abc" is not a UUID
//
// A [Writer] appends values in either format; the Append functions write the
// answers of API.md with it.
//
// What a decoder returns shares no memory with the body that it was given.
package wire

import (
	"errors"
	"time"

	"nearside/matcher"
)

// Format is an encoding of bodies.
type Format uint8

// The formats.
const (
	JSON Format = iota
	MessagePack
)

// MediaType returns the name of f in Content-Type and Accept.
func (f Format) MediaType() string {
	return [...]string{"application/json", "application/msgpack"}[f]
}

const (
	// depthMax is how deep a body may be nested; the outermost value is 1.
	depthMax = 32
	// nodesMax bounds the memory of one parsed body: a value is one node of
	// 32 bytes, a field two. The largest sensible request has a tenth of it.
	nodesMax = 4 << 20
	// limitDefault is the limit of a candidate set that gives none.
	limitDefault = 5
)

// Limits are the most that a request may ask for (API.md 6).
type Limits struct {
	References    int // references of a match or of a raw match
	Candidates    int // candidate sets of a match
	RawCandidates int // candidates of a raw match
	Result        int // limit of a candidate set
	FilterValues  int // values of one list in a filter; face_ids of a link; lists of a face
}

// Decoder reads requests. It is safe for concurrent use.
//
// Its methods return *matcher.Error: CodeSyntax when the body cannot be
// parsed (the detail gives the byte offset), CodeBadInput and the codes that
// they name when it does not fit.
type Decoder struct {
	Registry *matcher.Registry
	Limits   Limits
	Now      func() time.Time // what now-5m counts from
	// MetaFields are the fields of meta that events can be filtered on.
	MetaFields []matcher.MetaField
}

// decode parses body and hands its outermost value to bind, which must keep
// nothing of it.
func (d *Decoder) decode(f Format, body []byte, bind func(value) error) error {
	t := newTape()
	defer t.release()
	parse := t.parseJSON
	if f == MessagePack {
		parse = t.parseMessagePack
	}
	err := parse(body)
	if err == nil {
		err = bind(t.root())
	}
	return clientError(err)
}

// bindJSON hands the outermost value of text to bind, which must keep nothing
// of it.
func (d *Decoder) bindJSON(text []byte, bind func(value) error) error {
	t := newTape()
	defer t.release()
	if err := t.parseJSON(text); err != nil {
		return err
	}
	return bind(t.root())
}

// clientError turns a fault of the binder into the error that clients see.
func clientError(err error) error {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.clientError()
	}
	return err
}
