package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// The journal has an entry per commit, written with it: what it did to the
// digest, then the keys of the objects that it touched and of the lists that
// it deleted. Lists that were put are not in it, for all lists are read anyway.

// kindJournal is the first byte of keys of the journal.
const kindJournal = 'J'

// journalKey is the key of the entry of a commit.
func journalKey(commit uint64) (k key) {
	k[0] = kindJournal
	binary.BigEndian.PutUint64(k[1:], commit)
	return k
}

// digestBytes is the size of a digest in an entry.
const digestBytes = 16

// appendJournal appends the entry of a commit.
func appendJournal(dst []byte, delta digest, changes []Change) []byte {
	dst = slices.Grow(dst, digestBytes+len(changes)*len(key{}))
	dst = binary.LittleEndian.AppendUint64(dst, delta.records)
	dst = binary.LittleEndian.AppendUint64(dst, delta.sum)
	for i := range changes {
		var k key
		switch c := &changes[i]; c.Kind {
		case PutObject:
			k = objectKey(c.Object.Origin, c.Object.ID)
		case DeleteObject:
			k = objectKey(c.Origin, c.ID)
		case DeleteList:
			k = makeKey(kindList, c.ID)
		case PutList:
			continue
		}
		dst = append(dst, k[:]...)
	}
	return dst
}

// readJournal returns the keys that the commits after from and up to to have
// touched, in order and each once. The error says why they are not known, or
// that there are too many.
func readJournal(ctx context.Context, db *pebble.DB, from, to state) (keys []key, err error) {
	if from.commits > to.commits {
		return nil, fmt.Errorf("they are of commit %d, but the last one is %d", from.commits, to.commits)
	}
	lower, upper := journalKey(from.commits+1), journalKey(to.commits+1)
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower[:], UpperBound: upper[:]})
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	at := from
	for it.First(); it.Valid(); it.Next() {
		if at.commits++; key(it.Key()) != journalKey(at.commits) {
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if len(value) < digestBytes || (len(value)-digestBytes)%len(key{}) != 0 {
			return nil, fmt.Errorf("the entry of commit %d has %d bytes", at.commits, len(value))
		}
		at.digest.join(digest{binary.LittleEndian.Uint64(value), binary.LittleEndian.Uint64(value[8:])})
		for k := range slices.Chunk(value[digestBytes:], len(key{})) {
			keys = append(keys, key(k))
		}
		if most := to.journalMax(); int64(len(keys)) > most {
			return nil, fmt.Errorf("more than %d changes came after commit %d, which they are of", most, from.commits)
		}
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	if at != to {
		return nil, fmt.Errorf("they are of commit %d, and what came after it does not lead to commit %d", from.commits, to.commits)
	}
	slices.SortFunc(keys, func(a, b key) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(keys), nil
}

// trim removes the entries up to a commit. When they come back, because that
// was not made durable, they do no harm.
func (s *Store) trim(commit uint64) error {
	lower, upper := journalKey(0), journalKey(commit+1)
	return apart(s.poison, func() error { return s.db.DeleteRange(lower[:], upper[:], pebble.NoSync) })
}
