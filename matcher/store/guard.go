package store

import (
	"fmt"
	"strings"
	"sync/atomic"
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
	armed   atomic.Bool   // while Pebble opens, it returns faults to us
	closing chan struct{} // closed when the store closes: waiting ends
}

// retryPause is how long a table write that found the disk full waits before
// it returns to Pebble, which tries again at once, for ever.
const retryPause = time.Second

const categoryFlush = vfs.DiskWriteCategory("pebble-memtable-flush")

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// fault handles an error of a log file or of a directory that holds one.
func (g *guardFS) fault(what, name string, err error) error {
	if err != nil && g.armed.Load() {
		g.poison.halt(fmt.Errorf("%s %s: %w", what, name, err))
	}
	return err
}

func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, category)
	if isFull(err) && g.spare.release() {
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
	table := strings.HasSuffix(name, ".sst")
	return &guardFile{File: f, guard: g, name: name, log: log, pause: table, frugal: table && category != categoryFlush}, nil
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
	guard  *guardFS
	name   string
	log    bool // faults halt
	pause  bool // a full disk is waited for a little
	frugal bool // must not take the spare space: compactions can wait
}

func (f *guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if isFull(err) && !f.frugal && f.guard.spare.release() {
		var m int
		m, err = f.File.Write(p[n:])
		n += m
	}
	if err != nil && f.pause && isFull(err) {
		select {
		case <-time.After(retryPause):
		case <-f.guard.closing:
		}
	}
	return n, f.check("write", err)
}

func (f *guardFile) check(what string, err error) error {
	if f.log {
		return f.guard.fault(what, f.name, err)
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
