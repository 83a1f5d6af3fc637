package lua

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// watchEvery is the interval at which Watch checks the files. Two checks must find the
// same files before a reload, because editors and copies write files in several steps.
const watchEvery = 500 * time.Millisecond

// maxWatched is the maximum number of folder entries that a snapshot visits.
const maxWatched = 20_000

// Watch reloads the plugins when the Lua files of the plugin folder differ from the
// loaded ones, until ctx ends. It compares names, sizes, times and the targets of
// links, so it also notices swapped links and folders that are removed and created
// again, on every kind of file system. If a reload fails, Watch logs the failure once for
// each change, and the running generation stays.
func (h *Host) Watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last, failed snapshot
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := h.files()
		if now.problem != "" && now.problem != last.problem {
			h.o.Log.Warn("plugins: not all files are watched", slog.String("error", now.problem))
		}
		settled := now == last
		last = now
		if !settled || now == failed || now.sum == h.loaded.Load().sum {
			continue
		}
		if err := h.Reload(ctx); err != nil {
			failed = now
			h.o.Log.Error("plugins: not reloaded", slog.String("error", err.Error()))
		} else {
			h.o.Log.Info("plugins: reloaded after a change of files")
		}
	}
}

// files returns a snapshot of the configured folder.
func (h *Host) files() snapshot {
	h.mu.Lock()
	dir := h.o.Dir
	h.mu.Unlock()
	return snapshotOf(dir)
}

// A snapshot identifies the state of a folder's Lua files at one moment.
type snapshot struct {
	sum     string // a hash of names, sizes, times and targets of links
	problem string // why the sum does not cover all files; empty: it does
}

// snapshotOf returns a snapshot of the Lua files in dir and below. It follows links. A
// missing folder counts as an empty one.
func snapshotOf(dir string) snapshot {
	v := visit{hash: sha256.New(), seen: map[string]bool{}}
	if dir != "" {
		v.folder(dir)
	}
	s := snapshot{sum: hex.EncodeToString(v.hash.Sum(nil))}
	if v.problem != nil {
		s.problem = v.problem.Error()
	}
	return s
}

// visit is a snapshot in progress.
type visit struct {
	hash    hash.Hash
	seen    map[string]bool // resolved paths of folders, because a link may lead to a parent
	entries int
	problem error
}

// note adds one line to the hash.
func (v *visit) note(format string, args ...any) { _, _ = fmt.Fprintf(v.hash, format+"\n", args...) }

// fault records that an entry cannot be read.
func (v *visit) fault(err error) {
	v.note("error %v", err)
	if v.problem == nil && !errors.Is(err, fs.ErrNotExist) { // a missing file is not a problem
		v.problem = err
	}
}

// folder adds a folder and its entries to the hash.
func (v *visit) folder(dir string) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		v.fault(err)
		return
	}
	v.note("folder %q %q", dir, resolved)
	if v.seen[resolved] {
		return
	}
	v.seen[resolved] = true
	entries, err := os.ReadDir(resolved)
	if err != nil {
		v.fault(err)
		return
	}
	for _, e := range entries {
		if v.entries++; v.entries > maxWatched {
			v.fault(fmt.Errorf("%s: the folder of plugins has more than %d files and folders; the rest is not watched", dir, maxWatched))
			return
		}
		if !strings.HasPrefix(e.Name(), ".") { // names of plugins do not begin with a dot
			v.entry(filepath.Join(dir, e.Name()))
		}
	}
}

// entry adds a Lua file or a folder to the hash. It ignores other files.
func (v *visit) entry(path string) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		v.folder(path)
		return
	}
	if filepath.Ext(path) != ".lua" {
		return
	}
	if err != nil {
		v.fault(err)
		return
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		v.fault(err)
		return
	}
	v.note("file %q %q %d %d", path, resolved, info.Size(), info.ModTime().UnixNano())
}
