package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// digestResult is the digest of a part of the records, or an error.
type digestResult struct {
	digest digest
	err    error
}

// digestAll reads all records, on all cores, and returns their digest. It finds the
// same damage as loadRecords: Pebble verifies the checksum of every block, and the
// digest shows whether every record exists and is unchanged. A record that passes
// both checks and cannot be decoded was written by another program.
func digestAll(ctx context.Context, db *pebble.DB, p *poison) (total digest, err error) {
	cuts, err := keyCuts(db)
	if err != nil {
		return digest{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	workers := runtime.GOMAXPROCS(0)
	parts := make(chan digestResult, workers)
	for range workers {
		go func() {
			var d digest
			err := runHaltable(p, func() error {
				for i := next.Add(1); int(i) < len(cuts); i = next.Add(1) {
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
func (d *digest) addRange(ctx context.Context, db *pebble.DB, lower, upper []byte) (err error) {
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
// one that a digest does not include: metadata or the journal.
func (d *digest) addChecked(k, value []byte) error {
	kind, _, err := parseKey(k)
	if err != nil || kind == kindMeta || kind == kindJournal {
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
