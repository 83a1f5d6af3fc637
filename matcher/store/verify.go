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

// counted is what a part of the records adds up to.
type counted struct {
	digest digest
	err    error
}

// countAll reads all records, on all cores, and returns their digest. It finds
// what load finds: Pebble verifies the checksum of every block on the way, the
// digest tells whether every record is there and as it was written, and then
// only what another program wrote cannot be decoded.
func countAll(ctx context.Context, db *pebble.DB, p *poison) (total digest, err error) {
	cuts, err := keyCuts(db)
	if err != nil {
		return digest{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	workers := runtime.GOMAXPROCS(0)
	parts := make(chan counted, workers)
	for range workers {
		go func() {
			var d digest
			err := apart(p, func() error {
				for i := next.Add(1); int(i) < len(cuts); i = next.Add(1) {
					if err := d.addRange(ctx, db, cuts[i-1], cuts[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				parts <- counted{err: err} // not d: who was halted may still add to it
				cancel()
				return
			}
			parts <- counted{digest: d}
		}()
	}
	for range workers {
		part := <-parts
		total.join(part.digest)
		err = cmp.Or(err, part.err) // the first one, not that others were told to end
	}
	return total, err
}

// keyCuts returns keys in order, from the first to the end (both nil), between
// which lie parts of the records to be read by themselves. It cuts evenly
// within each kind, for IDs at random, whose tables may span all of them, and
// where tables begin, for IDs that ascend, whose tables do not overlap.
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
	perKind := min(4*runtime.GOMAXPROCS(0), 256) // so many that no core waits for another for long
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

// addRange adds the records from lower to before upper; nil: no bound.
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
		if err := d.count(it.Key(), value); err != nil {
			return err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return it.Error()
}

// count adds a record, if it is one of those that a digest is about.
func (d *digest) count(k, value []byte) error {
	kind, _, err := parseKey(k)
	if err != nil || kind == kindMeta || kind == kindJournal {
		return err
	}
	version := byte(recordVersion)
	if origin, ok := originOf(kind); ok {
		version = recordVersions[origin]
	} else if kind != kindList {
		return fmt.Errorf("key %x is of no known kind", k)
	}
	r := decoder{rest: value}
	if r.version(version); r.err != nil {
		return fmt.Errorf("key %x: %w", k, r.err)
	}
	d.add(key(k), value)
	return nil
}
