package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"nearside/matcher"
)

// reference is a reference of a match request.
type reference struct {
	Type matcher.ReferenceType `json:"type"`
	ID   string                `json:"id"`
	Data any                   `json:"data,omitempty"`
}

// references returns references one after the other, and io.EOF at the end.
type references interface {
	next() (*reference, error)
	close()
}

// takeReferences returns the next references, at most n.
func takeReferences(refs references, n int) ([]*reference, error) {
	var all []*reference
	for len(all) < n {
		r, err := refs.next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// oneReference returns one reference, a face of the server.
type oneReference struct{ left *reference }

func (o *oneReference) next() (*reference, error) {
	if o.left == nil {
		return nil, io.EOF
	}
	r := o.left
	o.left = nil
	return r, nil
}

func (o *oneReference) close() {}

// vectorReferences returns the rows of a vector file. The id of a reference is the
// number of its row.
type vectorReferences struct {
	*vectorFile
	path    string
	version uint32
	row     []byte
}

type rawDescriptor struct {
	Version uint32 `json:"version"`
	Data    string `json:"data"`
}

func (v *vectorReferences) next() (*reference, error) {
	number := strconv.FormatInt(v.rows.Row(), 10)
	if err := v.rows.Next(v.row); errors.Is(err, io.EOF) {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", v.path, err)
	}
	return &reference{matcher.RefRaw, number, rawDescriptor{v.version, base64.StdEncoding.EncodeToString(v.row)}}, nil
}

// textReferences returns the lines of a file of objects. The id of a reference is the
// id of the object, or its line number if it has none.
type textReferences struct {
	path  string
	lines source
	line  int64
	buf   []byte
}

func (t *textReferences) close() { t.lines.close() }

func (t *textReferences) next() (*reference, error) {
	for {
		t.line++
		var err error
		if t.buf, err = t.lines.appendLine(t.buf[:0]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("%s: line %d: %w", t.path, t.line, err)
		}
		r, err := parseReference(t.buf, "line "+strconv.FormatInt(t.line, 10))
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", t.path, t.line, err)
		}
		if r != nil {
			return r, nil
		}
	}
}

// parseReference makes a reference from the line of an object, or returns nil for a
// blank line. It does not check the descriptor; the server does.
func parseReference(line []byte, name string) (*reference, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, nil
	}
	var object struct {
		FaceID     string          `json:"face_id"`
		Descriptor json.RawMessage `json:"descriptor"`
	}
	if err := json.Unmarshal(line, &object); err != nil {
		return nil, err
	}
	if object.FaceID != "" {
		name = object.FaceID
	}
	switch {
	case len(object.Descriptor) == 0 || string(object.Descriptor) == "null":
		return nil, errors.New("descriptor: is missing")
	case object.Descriptor[0] == '"': // an SDK binary
		return &reference{matcher.RefSDK, name, object.Descriptor}, nil
	}
	return &reference{matcher.RefRaw, name, object.Descriptor}, nil
}
