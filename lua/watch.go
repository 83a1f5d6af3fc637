package lua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must have been left alone before a reload: editors
// and copies write in several steps.
const settle = 200 * time.Millisecond

// Watch reloads when files of the plugin folder change, until ctx ends. A
// reload that fails is logged, and the running generation stays.
func (h *Host) Watch(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("plugins.watch: %w", err)
	}
	defer func() { _ = w.Close() }() // there is nothing to lose
	h.mu.Lock()
	dir := h.o.Dir
	h.mu.Unlock()
	if err := watchFolders(w, dir); err != nil {
		return fmt.Errorf("plugins.watch: %w", err)
	}
	changed := time.NewTimer(0)
	<-changed.C
	defer changed.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if e.Has(fsnotify.Create) { // it may be a folder, with files in it already
				if err := watchFolders(w, e.Name); err != nil {
					h.o.Log.Warn("plugins: a folder is not watched", slog.String("error", err.Error()))
				}
			}
			if !e.Has(fsnotify.Chmod) || e.Op != fsnotify.Chmod {
				changed.Reset(settle)
			}
		case err := <-w.Errors:
			h.o.Log.Warn("plugins: watching", slog.String("error", err.Error()))
			changed.Reset(settle) // events may have been lost
		case <-changed.C:
			if err := h.Reload(ctx); err != nil {
				h.o.Log.Error("plugins: not reloaded", slog.String("error", err.Error()))
			} else {
				h.o.Log.Info("plugins: reloaded after a change of files")
			}
		}
	}
}

// watchFolders watches root, if it is a folder, and those below it.
func watchFolders(w *fsnotify.Watcher, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist): // gone again, or never made
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return w.Add(path)
		}
		return nil
	})
}
