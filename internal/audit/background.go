package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"nearside/matcher"
)

// runBackground makes checkpoints until ctx ends, and one more then.
func (l *Log) runBackground(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.checkpoint()
			return
		case now := <-tick.C:
			if l.denied.minuteOver(now) {
				l.flushDenied()
			}
			l.checkpoint()
		}
	}
}

// work is what a checkpoint does without the lock.
type work struct {
	path    string
	file    *os.File
	old     []*os.File
	renamed bool
	head    Head
	copied  matcher.ID
	keep    int
}

// checkpoint syncs the files, keeps the head in the store, and removes files beyond the
// number that is kept. After a failure, it tries to write again.
func (l *Log) checkpoint() {
	l.mu.Lock()
	_ = l.writeBatch() // l.fault has the error
	if l.fault != nil {
		l.retry()
	} else if l.file != nil && !isCurrent(l.file, l.path) {
		l.log.Warn("the file of the audit was moved or removed; a new one is written", "file", l.path)
		l.reopen()
	}
	w := work{path: l.path, file: l.file, old: l.old, renamed: l.renamed, head: l.head, copied: l.copied, keep: l.settings.Load().Keep}
	needed := l.unkept && l.fault == nil
	if needed {
		l.old, l.renamed, l.unkept = nil, false, false
	}
	l.mu.Unlock()
	if !needed {
		return
	}
	if err := l.finish(&w); err != nil {
		l.mu.Lock()
		l.unkept, l.renamed = true, true
		l.setFault(err)
		l.mu.Unlock()
	}
}

// finish does the work of a checkpoint. Only the background goroutine closes files, so
// w.file is open.
func (l *Log) finish(w *work) error {
	for _, f := range w.old {
		if err := errors.Join(l.sync(f), f.Close()); err != nil {
			return err
		}
	}
	if w.file != nil {
		if err := l.sync(w.file); err != nil {
			return err
		}
	}
	if w.path != "" && !l.unsynced && (w.renamed || len(w.old) > 0) {
		if err := syncDir(w.path); err != nil {
			return err
		}
	}
	if err := l.keeper.KeepAuditHead([]byte(w.head.String()), w.copied); err != nil {
		if matcher.CodeOf(err) == matcher.CodeUnavailable {
			return nil // the store writes nothing any more, and says so
		}
		return err
	}
	return removeOld(w.path, w.keep)
}

func (l *Log) sync(f *os.File) error {
	if l.unsynced {
		return nil
	}
	return f.Sync()
}

// removeOld removes the oldest rotated files.
func removeOld(path string, keep int) error {
	if path == "" || keep == 0 {
		return nil
	}
	names, err := rotatedFiles(path)
	if err != nil {
		return err
	}
	for ; len(names) > keep; names = names[1:] {
		if err := os.Remove(names[0]); err != nil {
			return err
		}
	}
	return nil
}

// isCurrent reports whether path still names the open file.
func isCurrent(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

// retry tries to write again. The caller holds l.mu.
func (l *Log) retry() {
	if err := probe(l.path); err != nil {
		l.fault = err
		return
	}
	l.clearFault()
	if !l.reopen() {
		return
	}
	l.log.Info("the audit can be written again", "file", l.path)
}

// reopen opens the current file again and writes what waits. The caller holds l.mu. It
// reports whether that succeeded.
func (l *Log) reopen() bool {
	if l.file != nil {
		_ = l.file.Close() // its lines are read again
		l.file = nil
	}
	err := l.openFile(l.path)
	if err == nil {
		err = l.copyPending()
	}
	if err != nil {
		l.setFault(err)
		return false
	}
	return true
}

// probe reports whether the folder of the audit has room for some lines.
func probe(path string) error {
	name := path + ".probe"
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	err = errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// probeBytes is the room that must be free before lines are written again.
const probeBytes = 64 << 10
