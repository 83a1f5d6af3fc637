package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"nearside/internal/vectors"
	"nearside/matcher"
)

// referenceTypes are the values of --reference.
var referenceTypes = []matcher.ReferenceType{
	matcher.RefFace, matcher.RefEvent, matcher.RefAttribute,
	matcher.RefFaceExternalID, matcher.RefEventExternalID, matcher.RefEventTrackID,
}

func joinTypes(types []matcher.ReferenceType) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// references opens the inputs, and returns the number of references per request. The
// caller closes the references.
func (c *matchCmd) references(s *system, server *client) (_ references, batch int, err error) {
	all := &sequence{}
	defer func() {
		if err != nil {
			all.close()
		}
	}()
	if err := c.checkInputs(); err != nil {
		return nil, 0, err
	}
	var config *serverConfig // one id needs no configuration
	if len(c.Inputs) > 1 || c.idOf(c.Inputs[0]) == nil {
		if config, err = server.config(s.ctx); err != nil {
			return nil, 0, err
		}
	}
	for _, input := range c.Inputs {
		next, err := c.openInput(s, input, config)
		if err != nil {
			return nil, 0, err
		}
		all.rest = append(all.rest, next)
	}
	if config == nil {
		return all, 1, nil
	}
	return all, min(batchReferences, config.referencesMax), nil
}

// idOf returns the reference that an argument names, or nil if it is a file.
func (c *matchCmd) idOf(input string) *reference {
	t := matcher.ReferenceType(c.Reference)
	id, err := matcher.ParseID(input)
	switch {
	case t != "" && err != nil: // the server checks ids of objects
		return &reference{Type: t, ID: input}
	case err != nil:
		return nil
	case t == "" && c.Type == matcher.BodyDescriptor.String():
		t = matcher.RefEvent
	case t == "":
		t = matcher.RefFace
	}
	return &reference{Type: t, ID: id.String()}
}

// checkInputs checks what can be checked before a request.
func (c *matchCmd) checkInputs() error {
	withStdin := false
	for _, input := range c.Inputs {
		if c.idOf(input) != nil {
			continue
		}
		format, isVectors := vectors.FormatOf(input)
		switch {
		case isVectors && format == vectors.Ivecs:
			return usagef("%s: .ivecs files hold row numbers, not descriptors", input)
		case isVectors && c.Version == 0:
			return usagef("%s: vectors need --version, their descriptor version", input)
		case !isVectors && input != "-" && strings.ToLower(filepath.Ext(input)) != ".ndjson":
			return usagef("%s: must be an id or one of .ndjson, .bvecs, .fvecs, .npy, -", input)
		case input == "-" && withStdin:
			return usagef("-: the standard input can be read only once")
		}
		withStdin = withStdin || input == "-"
	}
	return nil
}

// openInput opens one argument.
func (c *matchCmd) openInput(s *system, input string, config *serverConfig) (references, error) {
	if ref := c.idOf(input); ref != nil {
		return &oneReference{ref}, nil
	}
	format, isVectors := vectors.FormatOf(input)
	if !isVectors {
		j := job{path: input}
		if err := j.checkFile(nil, matcher.Faces); err != nil {
			return nil, err
		}
		in := s.stdin
		if input == "-" {
			in = untilInterrupted(s.ctx, in)
		}
		lines, err := j.openSource(s.ctx, nil, matcher.Faces, in)
		if err != nil {
			return nil, err
		}
		return &textReferences{path: input, lines: lines, descriptor: c.Type + "_descriptor"}, nil
	}
	v, err := versionOf(c.Version, config)
	if err != nil {
		return nil, err
	}
	if v.Type.String() != c.Type {
		return nil, fmt.Errorf("--version: must be of type %s, got %d of type %s", c.Type, v.Number, v.Type)
	}
	file, err := openVectors(input, inputFormat{vectors: true, format: format}, v)
	if err != nil {
		return nil, err
	}
	(&job{path: input, note: file.rows.Conversion()}).showNote(s)
	return &vectorReferences{vectorFile: file, path: input, version: v.Number, row: make([]byte, v.Size())}, nil
}

// sequence returns the references of several inputs, one input after the other.
type sequence struct{ rest []references }

func (q *sequence) next() (*reference, error) {
	for len(q.rest) > 0 {
		ref, err := q.rest[0].next()
		if !errors.Is(err, io.EOF) {
			return ref, err
		}
		q.rest[0].close()
		q.rest = q.rest[1:]
	}
	return nil, io.EOF
}

func (q *sequence) close() {
	for _, refs := range q.rest {
		refs.close()
	}
	q.rest = nil
}
