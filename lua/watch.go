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

// watchEvery is how often Watch looks. Files must be the same at two looks
// before a reload: editors and copies write in several steps.
const watchEvery = 500 * time.Millisecond

// maxWatched bounds the entries of folders that a snapshot visits.
const maxWatched = 20_000

// Watch reloads when the Lua files of the plugin folder are others than those
// that were loaded, until ctx ends. It looks at names, sizes, times and at
// where links lead, so that it notices swapped links and folders that are
// removed and made again, on every kind of file system. A reload that fails is
// logged once for each change, and the running generation stays.
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

// files looks at the folder of now.
func (h *Host) files() snapshot {
	h.mu.Lock()
	dir := h.o.Dir
	h.mu.Unlock()
	return snapshotOf(dir)
}

// A snapshot tells what the Lua files of a folder were at one moment.
type snapshot struct {
	sum     string // of names, sizes, times and targets of links
	problem string // why it does not tell of all files; empty: it does
}

// snapshotOf looks at the Lua files in dir and below, through links too. A folder
// that is missing is one without files.
func snapshotOf(dir string) snapshot {
	v := visit{hash: sha256.New(), seen: map[string]bool{}}
	if dir != "" {
		v.folder(dir)
	}
	l := snapshot{sum: hex.EncodeToString(v.hash.Sum(nil))}
	if v.problem != nil {
		l.problem = v.problem.Error()
	}
	return l
}

// visit is a snapshot in progress.
type visit struct {
	hash    hash.Hash
	seen    map[string]bool // folders, without links: a link may lead up
	entries int
	problem error
}

// note adds one line to the sum.
func (v *visit) note(format string, args ...any) { _, _ = fmt.Fprintf(v.hash, format+"\n", args...) }

// fault notes what cannot be seen.
func (v *visit) fault(err error) {
	v.note("error %v", err)
	if v.problem == nil && !errors.Is(err, fs.ErrNotExist) { // what is gone is no problem
		v.problem = err
	}
}

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
			v.fault(fmt.Errorf("%s: there are more than %d entries", dir, maxWatched))
			return
		}
		if !strings.HasPrefix(e.Name(), ".") { // no plugin has such a name
			v.entry(filepath.Join(dir, e.Name()))
		}
	}
}

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
