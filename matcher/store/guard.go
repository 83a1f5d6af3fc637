package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS stands between Pebble and the file system. Pebble answers a fault of
// the log with a panic that leaves a mutex in a state where the runtime ends
// the process; so once the store is open, a fault of a log file never reaches
// it: the goroutine that met it halts.
type guardFS struct {
	vfs.FS
	poison  *poison
	spare   *spare
	dir     string
	reserve uint64        // bytes that compactions leave free, for the log and for flushes
	armed   atomic.Bool   // while Pebble opens, it returns faults to us
	closing chan struct{} // closed when the store closes: waiting ends
	// flush is why the last memtable could not be written; nil when it could.
	// As long as it is there, more must not be put on top.
	flush atomic.Pointer[error]
}

// retryPause is how long a table write that failed waits before it returns to
// Pebble, which tries again at once, for ever.
const retryPause = time.Second

const categoryFlush = vfs.DiskWriteCategory("pebble-memtable-flush")

func isLog(name string) bool   { return strings.HasSuffix(name, ".log") }
func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

// fault handles an error of a log file or of a directory that holds one.
func (g *guardFS) fault(what, name string, err error) error {
	if err != nil && g.armed.Load() {
		g.poison.halt(fmt.Errorf("%s %s: %w", what, name, err))
	}
	return err
}

func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	// A marker names a file that was just made. Pebble makes both entries of
	// the directory durable at once; a power loss in between must not leave the
	// marker alone.
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		if err := syncDir(g.FS, g.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := g.FS.Create(name, category)
	if isFull(err) && !isTable(name) && g.spare.release() {
		f, err = g.FS.Create(name, category)
	}
	return g.wrap("create", f, name, category, err)
}

func (g *guardFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(old, name, category)
	return g.wrap("create", f, name, category, err)
}

func (g *guardFS) wrap(what string, f vfs.File, name string, category vfs.DiskWriteCategory, err error) (vfs.File, error) {
	log := isLog(name)
	if err != nil {
		if log {
			err = g.fault(what, name, err)
		}
		return nil, err
	}
	return &guardFile{File: f, guard: g, name: name, log: log, table: isTable(name), flush: category == categoryFlush}, nil
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &guardFile{File: f, guard: g, name: name, log: true}, nil
}

// guardFile is a file that is written, or a directory that is synced.
type guardFile struct {
	vfs.File
	guard *guardFS
	name  string
	log   bool // faults halt
	table bool // can wait for space, and must leave the spare space to the log
	flush bool // a table made of a memtable
	since int  // bytes written since the disk was looked at
}

// lookAfter is how much a compaction writes between two looks at the disk.
const lookAfter = 256 << 10

// room keeps compactions from taking the last space while they find out that
// there is too little: commits would be refused, or worse, until they give up.
func (f *guardFile) room(bytes int) error {
	if !f.table || f.flush {
		return nil
	}
	if f.since += bytes; f.since < lookAfter {
		return nil
	}
	f.since = 0
	if free, _, err := diskUsage(f.guard.FS, f.guard.dir); err == nil && free < f.guard.reserve {
		return syscall.ENOSPC
	}
	return nil
}

func (f *guardFile) Write(p []byte) (int, error) {
	if err := f.room(len(p)); err != nil {
		return 0, f.check("write", err)
	}
	n, err := f.File.Write(p)
	if isFull(err) && !f.table && f.guard.spare.release() {
		var m int
		m, err = f.File.Write(p[n:])
		n += m
	}
	return n, f.check("write", err)
}

func (f *guardFile) check(what string, err error) error {
	switch {
	case err == nil:
	case f.log:
		return f.guard.fault(what, f.name, err)
	case f.table:
		if f.flush {
			f.guard.flush.Store(&err) // now, not when Pebble hears of it
		}
		select {
		case <-time.After(retryPause):
		case <-f.guard.closing:
		}
	}
	return err
}

// A sync that failed is not tried again: the kernel has dropped the pages that
// it could not write, and a second sync would say that all is well.

func (f *guardFile) Sync() error     { return f.check("sync", f.File.Sync()) }
func (f *guardFile) SyncData() error { return f.check("sync", f.File.SyncData()) }

func (f *guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.check("sync", err)
}

func (f *guardFile) Close() error { return f.check("close", f.File.Close()) }
