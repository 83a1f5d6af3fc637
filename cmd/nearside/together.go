package main

import (
	"io"

	"nearside/matcher"
)

// typeTogether is the type of a reference that consists of several references.
const typeTogether matcher.ReferenceType = "together"

// togetherMax is the maximum number of its references (docs/api.md, References).
const togetherMax = 32

// together joins all references into one.
type together struct {
	from references
	fuse string // "": the server's default
	done bool
}

func (t *together) close() { t.from.close() }

func (t *together) next() (*reference, error) {
	if t.done {
		return nil, io.EOF
	}
	t.done = true
	parts, err := takeReferences(t.from, togetherMax+1)
	switch {
	case err != nil:
		return nil, err
	case len(parts) == 0:
		return nil, io.EOF
	case len(parts) > togetherMax:
		return nil, usagef("--together: must have at most %d references, got more", togetherMax)
	}
	return &reference{Type: typeTogether, ID: string(typeTogether), References: parts, Fuse: t.fuse}, nil
}
