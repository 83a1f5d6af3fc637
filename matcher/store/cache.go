package store

import (
	"context"
	"fmt"

	"nearside/matcher"
)

// Cache keeps a copy of the applier's state on disk. A start from this copy is
// faster than a start from all records. The records are authoritative: the copy can
// always be deleted, and it is not used if it does not fit the records.
//
// # Why no change can be missing
//
// A mark identifies a commit N and the digest of all records after it. The writer
// captures the applier between two commits, so the copy sealed with the mark is the
// state after N. Every later commit writes a journal entry together with its records
// and its number. The entry holds the keys that the commit changed and the change of
// the digest. Open requires an entry for each number from N+1 to the last commit,
// and requires that the mark's digest plus these changes is the digest of the last
// commit. Then it reads the records of all these keys again. The chain is broken if
// a commit has no entry, if entries were trimmed, or if the cache belongs to another
// directory or to a different history of this directory. In these cases Open reads
// everything from the records.
type Cache interface {
	// Restore sets the empty applier to the state in which the copy in dir was
	// captured, and returns its mark. If there is no copy, it returns nil and no
	// error. After an error, which names the damage, the applier is empty. Restore
	// verifies every byte before its first use. It calls progress repeatedly.
	Restore(ctx context.Context, dir string, progress Progress) (mark []byte, err error)
	// Records returns the number of lists and objects that the applier has.
	Records() uint64
	// ListCount returns the number of lists that the applier has.
	ListCount() int
	// Discard empties the applier after Restore.
	Discard()
	// Capture captures the current state of the applier. It is called between two
	// commits and is fast. The returned function may run while the applier
	// continues to work, but not concurrently with itself or with Drop.
	Capture() Seal
	// Drop removes the copy in dir, if there is one.
	Drop(dir string) error
}

// Progress receives how many of the total records the applier has. The calls do not
// overlap. If a cache turns out to be unusable, the number starts again from zero.
type Progress func(done, total uint64)

// Seal replaces the copy in dir with the captured state, atomically and durably.
// Before it writes, it calls room with the number of bytes, and returns the error of
// room, if any.
type Seal func(ctx context.Context, dir string, mark []byte, room func(bytes int64) error) error

// mark identifies the state that a cache contains.
type mark struct {
	instance matcher.ID // ID of the data directory
	state    state
}

func (m mark) append(dst []byte) []byte { return m.state.append(append(dst, m.instance[:]...)) }

func decodeMark(b []byte) (m mark, err error) {
	if len(b) < len(m.instance) {
		return m, fmt.Errorf("mark of the segments: must have at least %d bytes, got %d", len(m.instance), len(b))
	}
	m.instance = matcher.ID(b)
	if m.state, err = decodeState(b[len(m.instance):]); err != nil {
		return m, fmt.Errorf("mark of the segments: %w", err)
	}
	return m, nil
}
