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

// The journal has one entry for each commit, written atomically with it. An entry
// holds the change of the digest, the keys of the objects that the commit put or
// deleted, and the keys of the lists that it deleted. It does not hold lists that
// were put, because a start reads all lists anyway.

// kindJournal is the first byte of the keys of the journal.
const kindJournal = 'J'

// journalKey returns the key of the entry of a commit.
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

// readJournal returns the keys in the entries of the commits after from, up to and
// including to. The keys are sorted and unique. It fails if entries are missing,
// if they do not lead from the digest of from to the digest of to, or if there are
// too many keys.
func readJournal(ctx context.Context, db *pebble.DB, from, to state) (keys []key, err error) {
	if from.commits > to.commits {
		return nil, fmt.Errorf("the segments contain commit %d, but the last commit of the database is %d", from.commits, to.commits)
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
			return nil, fmt.Errorf("the journal entry of commit %d has an invalid length of %d bytes", at.commits, len(value))
		}
		at.digest.addDelta(digest{binary.LittleEndian.Uint64(value), binary.LittleEndian.Uint64(value[8:])})
		for k := range slices.Chunk(value[digestBytes:], len(key{})) {
			keys = append(keys, key(k))
		}
		if limit := to.journalMax(); int64(len(keys)) > limit {
			return nil, fmt.Errorf("the segments contain commit %d, and the journal has more than %d changes after it", from.commits, limit)
		}
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	if at != to {
		return nil, fmt.Errorf("the segments contain commit %d, and the journal does not lead from there to commit %d", from.commits, to.commits)
	}
	slices.SortFunc(keys, func(a, b key) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(keys), nil
}

// trimJournal removes the entries up to and including a commit. The removal is not
// synced: entries that reappear after a power loss do no harm.
func (s *Store) trimJournal(commit uint64) error {
	lower, upper := journalKey(0), journalKey(commit+1)
	return runHaltable(s.poison, func() error { return s.db.DeleteRange(lower[:], upper[:], pebble.NoSync) })
}
