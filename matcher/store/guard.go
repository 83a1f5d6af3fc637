package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS is the file system that Pebble uses. When a write to the log fails,
// Pebble panics and leaves a mutex in a state in which the runtime ends the
// process. So once the store is open, guardFS never returns an error of a log file
// to Pebble: it halts the goroutine instead.
type guardFS struct {
	vfs.FS
	poison  *poison
	spare   *spare
	dir     string
	reserve uint64        // bytes that compactions must leave free for the log and for flushes
	armed   atomic.Bool   // false while Pebble opens, which returns errors to its caller
	closing chan struct{} // closed when the store closes, to end pauses
	pace    pace          // of the tables that compactions write
	// flushFault is the error of the last attempt to write a memtable; nil if it
	// succeeded. While it is set, nothing may be added to the database.
	flushFault atomic.Pointer[error]
	// copying is called before each write and link of a file of a copy. Its error becomes
	// that of the operation. nil: no copy is being made.
	copying atomic.Pointer[func() error]
}

// retryPause is the pause before a failed table write returns to Pebble, which
// tries again at once and without end.
const retryPause = time.Second

const categoryFlush = vfs.DiskWriteCategory("pebble-memtable-flush")

func isLog(name string) bool   { return strings.HasSuffix(name, ".log") }
func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

// haltOnError handles an error of a log file or of the directory that holds it. It
// poisons the store and halts the goroutine once the guard is armed. Before that
// it returns err.
func (g *guardFS) haltOnError(operation, name string, err error) error {
	if err != nil && g.armed.Load() {
		g.poison.halt(fmt.Errorf("%s %s: %w", operation, name, err))
	}
	return err
}

// owns reports whether a file or folder is one of the database. Others belong to a copy:
// their errors harm nothing.
func (g *guardFS) owns(name string) bool {
	database := g.PathJoin(g.dir, nameDatabase)
	return name == database || g.PathDir(name) == database
}

func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !g.owns(name) {
		f, err := g.FS.Create(name, category)
		if err != nil {
			return nil, err
		}
		return &copiedFile{f, g}, nil
	}
	// A marker names a file that was just created. Pebble syncs the directory once
	// for both files. A power loss must not leave the marker without the file.
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		if err := syncDir(g.FS, g.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := g.FS.Create(name, category)
	if isFull(err) && !isTable(name) && g.spare.release() {
		f, err = g.FS.Create(name, category)
	}
	return g.guardedFile("create", f, name, category, err)
}

func (g *guardFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(old, name, category)
	return g.guardedFile("create", f, name, category, err)
}

func (g *guardFS) guardedFile(operation string, f vfs.File, name string, category vfs.DiskWriteCategory, err error) (vfs.File, error) {
	log := isLog(name)
	if err != nil {
		if log {
			err = g.haltOnError(operation, name, err)
		}
		return nil, err
	}
	return &guardFile{File: f, guard: g, name: name, log: log, table: isTable(name), flush: category == categoryFlush}, nil
}

// Link links a table into the database, or a file into a copy.
func (g *guardFS) Link(from, to string) error {
	if err := g.checkCopy(to); err != nil {
		return err
	}
	return g.FS.Link(from, to)
}

// checkCopy returns an error if a file of a copy must not be written.
func (g *guardFS) checkCopy(name string) error {
	if check := g.copying.Load(); check != nil && !g.owns(name) {
		return (*check)()
	}
	return nil
}

// copiedFile is a file of a copy. It checks the free space before each write; Pebble and
// vfs.Copy write at most 32 KiB at a time.
type copiedFile struct {
	vfs.File
	guard *guardFS
}

func (f *copiedFile) Write(p []byte) (int, error) {
	if check := f.guard.copying.Load(); check != nil {
		if err := (*check)(); err != nil {
			return 0, err
		}
	}
	return f.File.Write(p)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil || !g.owns(name) {
		return f, err
	}
	return &guardFile{File: f, guard: g, name: name, log: true}, nil
}

// guardFile is a file that Pebble writes, or a directory that it syncs.
type guardFile struct {
	vfs.File
	guard *guardFS
	name  string
	log   bool // errors halt the goroutine
	table bool // may wait for disk space, and must leave the spare space to the log
	flush bool // a table that is written from a memtable
	since int  // bytes written since the last check of the free space
}

// spaceCheckBytes is the number of bytes that a compaction writes between two checks of
// the free space.
const spaceCheckBytes = 256 << 10

// checkSpace fails the writes of a compaction when the free space is below the
// reserve. Otherwise a compaction that does not fit would use the last space
// before it fails, and commits would fail meanwhile.
func (f *guardFile) checkSpace(bytes int) error {
	if !f.table || f.flush {
		return nil
	}
	if f.since += bytes; f.since < spaceCheckBytes {
		return nil
	}
	f.guard.pace.took(f.since)
	f.since = 0
	if free, _, err := diskUsage(f.guard.FS, f.guard.dir); err == nil && free < f.guard.reserve {
		return syscall.ENOSPC
	}
	return nil
}

func (f *guardFile) Write(p []byte) (int, error) {
	if err := f.checkSpace(len(p)); err != nil {
		return 0, f.handleError("write", err)
	}
	n, err := f.File.Write(p)
	if isFull(err) && !f.table && f.guard.spare.release() {
		var m int
		m, err = f.File.Write(p[n:])
		n += m
	}
	return n, f.handleError("write", err)
}

// handleError handles the error of an operation on the file. For a log it halts.
// For a table it pauses and returns err, because Pebble tries again at once.
func (f *guardFile) handleError(operation string, err error) error {
	switch {
	case err == nil:
	case f.log:
		return f.guard.haltOnError(operation, f.name, err)
	case f.table:
		if f.flush {
			f.guard.flushFault.Store(&err) // before the pause, so that commits see it at once
		}
		select {
		case <-time.After(retryPause):
		case <-f.guard.closing:
		}
	}
	return err
}

// A failed sync is not retried: the kernel has dropped the pages that it could not
// write, and a second sync would succeed without them.

func (f *guardFile) Sync() error     { return f.handleError("sync", f.File.Sync()) }
func (f *guardFile) SyncData() error { return f.handleError("sync", f.File.SyncData()) }

func (f *guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.handleError("sync", err)
}

func (f *guardFile) Close() error { return f.handleError("close", f.File.Close()) }
