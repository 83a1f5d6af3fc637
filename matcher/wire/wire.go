// Package wire reads and writes the bodies of requests and answers in JSON and
// MessagePack. It is the only user of sonic and msgp.
//
// A [Decoder] reads bodies. It parses both formats into a [tape], a flat list of
// nodes. One strict [binder] then turns the tape into a typed request. So the
// formats accept the same requests, and every fault names its path and value:
//
//	candidates[1].filters.list_id: must be a UUID, got "abc"
//
// A [Writer] appends values in either format. The Append functions use it to
// write the answers that docs/api.md describes.
//
// The result of a decoder shares no memory with the body.
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
	// depthMax is how deep a body may be nested; the outermost value has depth 1.
	depthMax = 32
	// nodesMax bounds the memory of one parsed body: an element is one node, a
	// field two. The largest sensible request needs a tenth of it.
	nodesMax  = 4 << 20
	nodeBytes = 32
	// limitDefault is the limit of a candidate set that does not give one.
	limitDefault = 5
)

// Limits bound requests (docs/api.md, Configuration and command line).
type Limits struct {
	References    int   // references of a match or of a raw match
	Candidates    int   // candidate sets of a match
	RawCandidates int   // candidates of a raw match
	Result        int   // limit of a candidate set
	Offset        int   // offset of a candidate set
	FilterValues  int   // values of one list in a filter; face_ids of a link; lists of a face
	LineBytes     int64 // an object's line in an export; 0: unlimited
}

// Decoder reads requests. It is safe for concurrent use.
//
// Its methods return *matcher.Error: CodeSyntax if the body cannot be parsed (the
// detail gives the byte offset), and CodeBadInput or a more specific code if the
// body does not fit the request.
type Decoder struct {
	Registry *matcher.Registry
	Limits   Limits
	Now      func() time.Time // the time that now-5m is relative to
	// MetaFields are the fields of meta that events can be filtered on.
	MetaFields []matcher.MetaField

	// Reserve is called before a body is parsed, with the number of bytes that
	// parsing needs in addition to the body. An error ends the decoding. Otherwise
	// release is called once the memory is no longer used. Reserve may be nil.
	Reserve func(bytes int64) (release func(), err error)
}

// decode parses body and passes its outermost value to bind, which must not keep
// any part of it.
func (d *Decoder) decode(f Format, body []byte, bind func(value) error) error {
	return clientError(d.parse(f, body, bind))
}

// parse is like decode, but returns faults of the parser and the binder unchanged.
func (d *Decoder) parse(f Format, body []byte, bind func(value) error) error {
	var nodes int
	var err error
	if f == MessagePack {
		nodes = countMessagePack(body)
	} else if body, nodes, err = checkJSON(body); err != nil {
		return err
	}
	if d.Reserve != nil {
		release, err := d.Reserve(int64(len(body)) + int64(min(nodes, nodesMax))*nodeBytes)
		if err != nil {
			return err
		}
		defer release()
	}
	t := newTape()
	defer t.release()
	fill := t.fillJSON
	if f == MessagePack {
		fill = t.fillMessagePack
	}
	if err := fill(body, nodes); err != nil {
		return err
	}
	return bind(t.root())
}

// bindJSON parses text and passes its outermost value to bind, which must not
// keep any part of it.
func (d *Decoder) bindJSON(text []byte, bind func(value) error) error {
	t := newTape()
	defer t.release()
	if err := t.parseJSON(text); err != nil {
		return err
	}
	return bind(t.root())
}

// clientError turns a fault into the error that clients see.
func clientError(err error) error {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.clientError()
	}
	return err
}
