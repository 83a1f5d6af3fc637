package store

import (
	"context"
	"fmt"

	"nearside/matcher"
)

// Cache keeps a copy of the applier's state on disk, from which a start is
// faster than from all records. It is never the truth: deleting it is always
// safe, and what does not fit the records is not used.
//
// # Why no change can be missing
//
// A mark names a commit N and the digest of all records after it. The writer
// captures the applier between two commits, so what is sealed with the mark is
// the state after N. Every later commit writes, together with its records and
// its own number, an entry of the journal with the keys that it touched and
// what it did to the digest. Opening demands an entry for each number from N+1
// to the last commit, and that the mark's digest and those differences add up
// to the digest of the last commit. Then it reads the records of all these
// keys again. A commit without an entry, a cache of another directory or of
// another past of this one, and entries that were trimmed all break the chain,
// and everything is read from the records.
type Cache interface {
	// Restore makes the applier, which is empty, what it was when the copy in
	// dir was captured, and returns its mark. Without a copy it returns nil and
	// no error. After an error, which names what is damaged, the applier is
	// empty. Every byte is verified before its first use.
	Restore(ctx context.Context, dir string) (mark []byte, err error)
	// Records returns how many lists and objects the applier has.
	Records() uint64
	// Discard makes the applier empty again, after Restore.
	Discard()
	// Capture takes hold of the applier's state of this moment; it is called
	// between two commits and is quick. What it returns may be called while
	// the applier goes on; not beside itself or Drop.
	Capture() Seal
	// Drop removes the copy in dir, if there is one.
	Drop(dir string) error
}

// Seal replaces the copy in dir, atomically and durably. It asks room before it
// writes so many bytes and ends with its error, if any.
type Seal func(ctx context.Context, dir string, mark []byte, room func(bytes int64) error) error

// mark says what a cache is a copy of.
type mark struct {
	instance matcher.ID // of the data directory
	state    state
}

func (m mark) append(dst []byte) []byte { return m.state.append(append(dst, m.instance[:]...)) }

func decodeMark(b []byte) (m mark, err error) {
	if len(b) < len(m.instance) {
		return m, fmt.Errorf("the mark has %d bytes only", len(b))
	}
	m.instance = matcher.ID(b)
	m.state, err = decodeState(b[len(m.instance):])
	return m, err
}
