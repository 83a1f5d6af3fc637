package main

import (
	"io"

	"nearside/matcher"
)

// together joins all references into one of type together.
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
	parts, err := takeReferences(t.from, matcher.PartsMax+1)
	switch {
	case err != nil:
		return nil, err
	case len(parts) == 0:
		return nil, io.EOF
	case len(parts) > matcher.PartsMax:
		return nil, usagef("--together: must have at most %d references, got more", matcher.PartsMax)
	}
	return &reference{Type: matcher.RefTogether, ID: string(matcher.RefTogether), References: parts, Fuse: t.fuse}, nil
}
