package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// pieceBytes is the maximum number of bytes of a file that are read or written at a time.
// The checksum of a piece is computed while the piece is in the processor's cache.
const pieceBytes = 1 << 20

// Restore reads the segments of dir into t, which must be empty. It returns the mark that
// they were sealed with, or nil if there are no segments. After an error, t is empty. It
// calls progress with the number of rows that t has, after each segment.
//
// Segments are read into ordinary memory, not mapped. The checksums require reading every
// byte before its first use anyway, so a mapping would save little. Mapped data could
// also change on disk after it was verified.
func Restore(ctx context.Context, dir string, t *table.Tables, registry *matcher.Registry, progress func(done, total uint64)) (mark []byte, err error) {
	defer func() {
		if r := recover(); r != nil { // the checksum is right, but the contents are inconsistent
			err = fmt.Errorf("%s: %v", filepath.Join(dir, ManifestName), r)
		}
		if err != nil {
			t.Discard()
		}
	}()
	mf, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := mf.restore(ctx, dir, t, registry, progress); err != nil {
		return nil, err
	}
	return mf.mark, nil
}

// restoredChunk is a chunk of a manifest with its rows, or the error that prevented
// reading them.
type restoredChunk struct {
	sealedChunk
	rows *table.Restored
	err  error
}

// restore reads all segments of a manifest, on all cores.
func (mf *manifest) restore(ctx context.Context, dir string, t *table.Tables, registry *matcher.Registry, progress func(done, total uint64)) error {
	t.RestoreOrdinals(mf.accounts, mf.lists)
	all := make([]*restoredChunk, len(mf.chunks))
	read, total := uint64(0), uint64(0)
	for i, c := range mf.chunks {
		all[i] = &restoredChunk{sealedChunk: c}
		total += uint64(c.segment.Rows)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan *restoredChunk, len(all))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(all), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1); int(i) <= len(all); i = next.Add(1) {
				r := all[i-1]
				r.err = r.read(ctx, dir, t, registry)
				done <- r
			}
		})
	}
	var err error
	for range all {
		r := <-done
		switch {
		case err != nil: // the rest is not needed
		case r.err != nil:
			err = fmt.Errorf("%s: %w", filepath.Join(dir, fileName(&r.segment)), r.err)
			cancel()
		default:
			t.Adopt(r.rows)
			read += uint64(r.segment.Rows)
			progress(read, total)
		}
	}
	workers.Wait()
	if err != nil {
		return err
	}
	if err := t.FinishAdopting(ctx); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// read reads and verifies one segment. It runs concurrently for different segments.
func (r *restoredChunk) read(ctx context.Context, dir string, t *table.Tables, registry *matcher.Registry) (err error) {
	defer func() {
		if p := recover(); p != nil { // the checksums are right, but the contents are inconsistent
			err = fmt.Errorf("%v", p)
		}
	}()
	f, err := os.Open(filepath.Join(dir, fileName(&r.segment)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	header := make([]byte, HeaderBytes)
	if _, err := f.ReadAt(header, 0); err != nil {
		return err
	}
	vs, sections, err := parseHeader(header, &r.segment, t.Layouts[r.origin], registry)
	if err != nil {
		return err
	}
	c, err := t.NewChunk(table.Kind{Origin: r.origin, Versions: vs})
	if err != nil {
		return err
	}
	n := r.segment.Rows
	if n > c.Capacity {
		return fmt.Errorf("it has %d rows, a chunk can have %d", n, c.Capacity)
	}
	in := &sectionReader{ctx: ctx, file: f, at: HeaderBytes, sections: sections}
	for _, p := range c.Sections(n) {
		table.Populate(p)
		in.read(p)
	}
	for _, copied := range c.CoarseCopies() {
		if b := in.next(0); in.err == nil {
			copied.Restore(b, n)
		}
	}
	sizes, records := in.next(0), in.next(table.ArenaBlock)
	if in.err != nil {
		return in.err
	}
	c.Segment.Store(&r.segment)
	r.rows = t.Survey(c, n, r.index, r.dead, table.RestoreArena(sizes, records))
	return nil
}
