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

// reference is one of a match request.
type reference struct {
	Type matcher.ReferenceType `json:"type"`
	ID   string                `json:"id"`
	Data any                   `json:"data,omitempty"`
}

// references gives what is looked for, one after the other; io.EOF ends it.
type references interface {
	next() (*reference, error)
	close()
}

// take returns the next references, at most n.
func take(refs references, n int) ([]*reference, error) {
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

// oneReference is a face of the server.
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

// vectorReferences are the rows of a vector file, named by their number.
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

// textReferences are the lines of a file of objects, named by their id, or by
// their line when they have none.
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

// parseReference makes a reference of an object's line; nil for a blank one.
// What its descriptor is worth, the server says.
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
