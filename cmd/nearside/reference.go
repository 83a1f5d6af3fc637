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

	// Only for matcher.RefTogether.
	References []*reference `json:"references,omitempty"`
	Fuse       string       `json:"fuse,omitempty"`
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

// oneReference returns one reference.
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
	return &reference{Type: matcher.RefRaw, ID: number, Data: rawDescriptor{v.version, base64.StdEncoding.EncodeToString(v.row)}}, nil
}

// textReferences returns the lines of a file of objects. The id of a reference is the
// id of the object, or its line number if it has none.
type textReferences struct {
	path  string
	lines source
	line  int64
	buf   []byte

	descriptor string // the name of the descriptor in events
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
		r, err := t.parse("line " + strconv.FormatInt(t.line, 10))
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", t.path, t.line, err)
		}
		if r != nil {
			return r, nil
		}
	}
}

// parse makes a reference from the line of an object, or returns nil for a blank line.
// name is its id if the object has none. It does not check the descriptor; the server
// does.
func (t *textReferences) parse(name string) (*reference, error) {
	if len(bytes.TrimSpace(t.buf)) == 0 {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(t.buf, &object); err != nil {
		return nil, err
	}
	descriptor, idFields := object["descriptor"], []string{"face_id", "attribute_id"}
	if isAbsent(descriptor) { // an event
		descriptor, idFields = object[t.descriptor], []string{"event_id"}
	}
	if isAbsent(descriptor) {
		return nil, errors.New("descriptor: is missing")
	}
	for _, field := range idFields {
		var id string
		if json.Unmarshal(object[field], &id) == nil && id != "" { // otherwise the name stays
			name = id
		}
	}
	r := &reference{Type: matcher.RefRaw, ID: name, Data: descriptor}
	if descriptor[0] == '"' { // an SDK binary
		r.Type = matcher.RefSDK
	}
	return r, nil
}

// isAbsent reports whether a field is missing or null.
func isAbsent(value json.RawMessage) bool { return value == nil || string(value) == "null" }
