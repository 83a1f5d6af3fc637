package store

import (
	"fmt"
	"runtime/debug"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// pebbleOptions returns the options for opening the database, both read-only and for
// writing.
func pebbleOptions(fs *guardFS, lock *pebble.Lock, unit, total int64) *pebble.Options {
	o := &pebble.Options{
		FS:      fs,
		Lock:    lock,
		Cleaner: noRecycling{},
		// The newest format has log sync chunks. They distinguish damage in the
		// middle of the last log from an incomplete record at its end.
		FormatMajorVersion:          pebble.FormatNewest,
		ErrorIfNotExists:            true, // otherwise a lost manifest would look like an empty database
		Logger:                      fatalLogger{fs.poison},
		MemTableSize:                uint64(unit),
		MemTableStopWritesThreshold: 4,
		// The applier serves reads from memory, so many tables in level 0 cost
		// little, and a delayed compaction saves work. Level 0 must stay a small
		// part of the disk: Pebble starts compactions at half of this number, when
		// level 0 has 1/64 of the disk. A compaction that waits for disk space must
		// not stop writes.
		L0CompactionThreshold: int(min(max(total/32/unit, 4), 128)),
		L0StopWritesThreshold: 500,
		LBaseMaxBytes:         max(unit, 16<<20),
		MaxOpenFiles:          500,
		CacheSize:             32 << 20,
		// The manifest is written again as soon as it has more edits than tables. So an
		// erasure can replace it, see Rewrite. The largest limit that still allows this is
		// less than the size of any manifest.
		MaxManifestFileSize: 1,
		NumPrevManifest:     1,
		EventListener: &pebble.EventListener{
			BackgroundError: func(error) {},
			DataCorruption:  func(pebble.DataCorruptionInfo) {}, // the read returns the error
		},
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = max(unit/4, 2<<20) << min(i, 3)
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		// Descriptors do not compress: Snappy saves 3 % of SIFT vectors.
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	return o
}

// runHaltable runs f in a separate goroutine, because guardFS may halt it. It returns
// the error of f, a panic of f as an error, or the fault that poisoned the store.
func runHaltable(p *poison, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("pebble: %v\n%s", r, debug.Stack())
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-p.done:
		select {
		case err := <-done: // another goroutine was halted, and f has ended
			if err != nil {
				return err
			}
		default:
		}
		return p.err
	}
}

// openPebble opens the database. o.Lock must be the lock of path.
func openPebble(path string, o *pebble.Options, p *poison) (db *pebble.DB, err error) {
	err = runHaltable(p, func() (err error) {
		db, err = pebble.Open(path, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}
