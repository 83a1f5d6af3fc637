package store

import (
	"fmt"
	"runtime/debug"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// pebbleOptions are what reading and writing have in common.
func pebbleOptions(fs *guardFS, lock *pebble.Lock, unit, total int64) *pebble.Options {
	o := &pebble.Options{
		FS:   fs,
		Lock: lock,
		// The newest format, for its log sync chunks: with them damage in the
		// middle of the last log is told from its torn end.
		FormatMajorVersion:          pebble.FormatNewest,
		ErrorIfNotExists:            true, // else a lost manifest would mean an empty database
		Logger:                      fatalLogger{fs.poison},
		MemTableSize:                uint64(unit),
		MemTableStopWritesThreshold: 4,
		// Reads come from memory: many tables in level 0 cost little, and each
		// compaction that is put off is work saved, as long as level 0 takes
		// a small part of the disk: Pebble begins at half of this number, when
		// that part is 1/64. A compaction that waits for disk space must not
		// stop writes.
		L0CompactionThreshold: int(min(max(total/32/unit, 4), 64)),
		L0StopWritesThreshold: 500,
		LBaseMaxBytes:         max(unit, 16<<20),
		MaxOpenFiles:          500,
		CacheSize:             32 << 20,
		EventListener: &pebble.EventListener{
			BackgroundError: func(error) {},
			DataCorruption:  func(pebble.DataCorruptionInfo) {}, // who reads gets the error
		},
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = max(unit/4, 2<<20) << min(i, 3)
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		// Descriptors are noise to a compressor: Snappy saves 3 % of SIFT vectors.
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	return o
}

// apart runs f in a goroutine of its own, because Pebble may halt it, and
// returns its error, a panic, or the poison that halted it.
func apart(p *poison, f func() error) error {
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
		case err := <-done: // it was another goroutine that halted
			if err != nil {
				return err
			}
		default:
		}
		return p.err
	}
}

// openPebble opens the database; path is the one that lock is for.
func openPebble(path string, o *pebble.Options, p *poison) (db *pebble.DB, err error) {
	err = apart(p, func() (err error) {
		db, err = pebble.Open(path, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}
