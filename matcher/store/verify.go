package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// digestResult is the digest of a part of the records, or an error.
type digestResult struct {
	digest digest
	err    error
}

// verifyShare is a divisor: one worker per verifyShare cores verifies the records in the
// background, so that requests keep most of the processors and of the disk.
const verifyShare = 4

// verifier verifies the records after a start from the cache, while the store is open.
// The start itself reads only the lists and the records that the journal names.
type verifier struct {
	store *Store
	want  state            // of the snapshot
	snap  *pebble.Snapshot // the records before the first write
	cuts  [][]byte         // see keyCuts
	ended chan struct{}    // closed when the verification has ended
}

// newVerifier returns a verifier of the records that the database has now.
func newVerifier(s *Store) (*verifier, error) {
	cuts, err := keyCuts(s.db)
	if err != nil {
		return nil, err
	}
	return &verifier{store: s, want: s.state, snap: s.db.NewSnapshot(), cuts: cuts, ended: make(chan struct{})}, nil
}

// runVerifier is the verifier's goroutine. Damage poisons the store: the applier has all
// objects and goes on to serve them, but nothing is written to a damaged directory. The
// marker keeps it so after a restart.
func (v *verifier) runVerifier(ctx context.Context) {
	defer close(v.ended)
	s, start := v.store, time.Now()
	if s.opts.beforeVerify != nil {
		s.opts.beforeVerify()
	}
	workers := max(1, runtime.GOMAXPROCS(0)/verifyShare)
	found, err := digestAll(ctx, v.snap, v.cuts, workers, s.poison)
	if s.poison.fault() != nil {
		return // Pebble was halted, so the snapshot cannot be closed
	}
	if closing := runHaltable(s.poison, v.snap.Close); err == nil {
		err = closing
	}
	if err == nil {
		err = v.want.digest.check(found)
	}
	switch {
	case err == nil:
		s.acceptWrites()
		s.opts.Verified(found.records, time.Since(start))
	case ctx.Err() != nil: // the store is closing; the next start verifies again
	case isAccessFault(err):
		s.opts.Warn("store: the database cannot be verified; the next start tries again", "dir", s.opts.Dir, "error", err)
	default:
		s.refuseWrites(oneLine(err))
	}
}

// digestAll reads all records with a number of workers, and returns their digest. It
// finds the same damage as loadRecords: Pebble verifies the checksum of every block, and
// the digest shows whether every record exists and is unchanged. A record that passes
// both checks and cannot be decoded was written by another program.
func digestAll(ctx context.Context, db pebble.Reader, cuts [][]byte, workers int, p *poison) (total digest, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	parts := make(chan digestResult, workers)
	for range workers {
		go func() {
			var d digest
			err := runHaltable(p, func() error {
				for i := next.Add(1); int(i) < len(cuts); i = next.Add(1) {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					if err := d.addRange(ctx, db, cuts[i-1], cuts[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				parts <- digestResult{err: err} // without d: a halted goroutine may still use it
				cancel()
				return
			}
			parts <- digestResult{digest: d}
		}()
	}
	for range workers {
		part := <-parts
		total.addDelta(part.digest)
		err = cmp.Or(err, part.err) // the first error; later ones are cancellations
	}
	return total, err
}

// keyCuts returns sorted keys that divide the records into parts, which workers read
// independently. The first and the last key are nil: no bound. It cuts evenly within
// each kind, for random IDs, whose tables may span the whole range. It also cuts
// where tables begin, for ascending IDs, whose tables do not overlap.
func keyCuts(db *pebble.DB) ([][]byte, error) {
	levels, err := db.SSTables()
	if err != nil {
		return nil, err
	}
	var cuts [][]byte
	for _, tables := range levels {
		for i := range tables {
			cuts = append(cuts, tables[i].Smallest.UserKey)
		}
	}
	perKind := min(4*runtime.GOMAXPROCS(0), 256) // enough parts that no core waits long for another
	for _, kind := range originKinds {
		for i := range perKind {
			k := makeKey(kind, matcher.ID{byte(i * 256 / perKind)})
			cuts = append(cuts, k[:])
		}
	}
	slices.SortFunc(cuts, bytes.Compare)
	cuts = slices.CompactFunc(cuts, bytes.Equal)
	return append(slices.Insert(cuts, 0, nil), nil), nil
}

// addRange adds the records from lower, inclusive, to upper, exclusive. nil means no
// bound.
func (d *digest) addRange(ctx context.Context, db pebble.Reader, lower, upper []byte) (err error) {
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	n := 0
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := d.addChecked(it.Key(), value); err != nil {
			return err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return it.Error()
}

// addChecked checks the kind and the version of a record and adds it, unless it is
// one that a digest does not include: metadata, the journal or a value.
func (d *digest) addChecked(k, value []byte) error {
	kind, _, err := parseKey(k)
	if err != nil || kind == kindMeta || kind == kindJournal || kind == kindValue || kind == kindAudit {
		return err
	}
	version := byte(recordVersion)
	if origin, ok := originOf(kind); ok {
		version = recordVersions[origin]
	} else if kind != kindList {
		return fmt.Errorf("key %x has an unknown kind", k)
	}
	r := decoder{rest: value}
	if r.version(version); r.err != nil {
		return fmt.Errorf("key %x: %w", k, r.err)
	}
	d.addRecord(key(k), value)
	return nil
}
