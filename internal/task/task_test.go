package task_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"nearside/internal/task"
)

// world has a kind "copy" that waits for the test, and another one that always fails.
type world struct {
	t       *testing.T
	dir     string
	runner  *task.Runner
	running chan *task.Task
	release chan error
}

func newWorld(t *testing.T, dir string, resumes bool) *world {
	t.Helper()
	w := &world{t: t, dir: dir, running: make(chan *task.Task), release: make(chan error)}
	var err error
	w.runner, err = task.Open(dir, slog.New(slog.DiscardHandler),
		task.Kind{Name: "copy", Resumes: resumes, Cancels: true, Run: w.copy},
		task.Kind{Name: "erase", Run: w.copy},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.runner.Close)
	return w
}

type report struct{ Files int }

func (w *world) copy(ctx context.Context, t *task.Task) (any, error) {
	var input []string
	if err := t.Input(&input); err != nil {
		return nil, err
	}
	select {
	case w.running <- t:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-w.release:
		return report{len(input)}, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *world) start(kind string) string {
	w.t.Helper()
	info, err := w.runner.Start(kind, "", []string{"a", "b"})
	if err != nil || info.State != task.Running {
		w.t.Fatal(info, err)
	}
	return info.ID
}

// end lets the running task return err, and waits until the next one can start.
func (w *world) end(id string, err error) task.Info {
	w.t.Helper()
	w.release <- err
	for {
		info, fault := w.runner.Find(id)
		if fault != nil {
			w.t.Fatal(fault)
		}
		if info.State != task.Running {
			return info
		}
	}
}

func TestTask(t *testing.T) {
	w := newWorld(t, t.TempDir(), true)
	id := w.start("copy")
	running := <-w.running
	running.SetProgress(0.25)
	if info, err := w.runner.Find(id); err != nil || info.Progress != 0.25 {
		t.Error(info, err)
	}
	var busy *task.RunningError
	if _, err := w.runner.Start("erase", "", nil); !errors.As(err, &busy) || busy.Running.ID != id {
		t.Errorf("a second task: got %v, want a RunningError", err)
	}
	folder, err := running.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if info := w.end(id, nil); info.State != task.Done || string(info.Report) != `{"Files":2}` || info.Progress != 1 {
		t.Error(info)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of an ended task: got %v", err)
	}

	failed := w.start("copy")
	<-w.running
	if info := w.end(failed, errors.New("disk is gone")); info.State != task.Failed || info.Error != "disk is gone" {
		t.Error(info)
	}
	again := newWorld(t, w.dir, true)
	if all := again.runner.List(); len(all) != 2 || all[0].ID != failed || all[1].ID != id || all[0].Error != "disk is gone" {
		t.Errorf("after a restart: got %+v", all)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, t.TempDir(), true)
	if err := w.runner.Cancel("x"); !errors.Is(err, task.ErrNotFound) {
		t.Error(err)
	}
	id := w.start("copy")
	<-w.running
	if err := w.runner.Cancel(id); err != nil {
		t.Fatal(err)
	}
	for {
		if info, _ := w.runner.Find(id); info.State != task.Running {
			if info.State != task.Failed || info.Error != "cancelled" {
				t.Error(info)
			}
			break
		}
	}
	if err := w.runner.Cancel(id); !errors.Is(err, task.ErrEnded) {
		t.Error(err)
	}
	erase := w.start("erase")
	<-w.running
	if err := w.runner.Cancel(erase); !errors.Is(err, task.ErrNoCancel) {
		t.Error(err)
	}
	w.end(erase, nil)
}

// TestRestart stops the process in the middle of a task.
func TestRestart(t *testing.T) {
	for _, resumes := range []bool{true, false} {
		w := newWorld(t, t.TempDir(), resumes)
		id := w.start("copy")
		folder, err := (<-w.running).Dir()
		if err != nil {
			t.Fatal(err)
		}
		kept := filepath.Join(folder, "kept")
		if err := os.WriteFile(kept, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.runner.Close()

		next := newWorld(t, w.dir, resumes)
		if !resumes {
			if info, _ := next.runner.Find(id); info.State != task.Failed {
				t.Errorf("a task that cannot continue: got %+v", info)
			}
			continue
		}
		next.runner.Resume()
		<-next.running
		if _, err := os.Stat(kept); err != nil {
			t.Error(err)
		}
		if info := next.end(id, nil); info.State != task.Done {
			t.Error(info)
		}
	}
}

// TestRecords reads a folder in which a write was interrupted and a record is damaged.
func TestRecords(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.json.new": `{"id":`, "b.json": "{", "c.json": `{"id":"d","kind":"copy","state":"done"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, dir, true)
	if all := w.runner.List(); len(all) != 0 {
		t.Errorf("got %+v", all)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.json.new")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestLeftFolders opens a folder of tasks in which the folders of ended tasks remained.
func TestLeftFolders(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, true)
	ended := w.start("copy")
	<-w.running
	w.end(ended, nil)
	running := w.start("copy")
	<-w.running
	w.runner.Close()
	const unknown = "5dc73618-3df8-563e-bc95-4cff773c93ec"
	for _, name := range []string{ended, running, unknown, "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "files"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	newWorld(t, dir, true)
	for name, want := range map[string]bool{ended: false, running: true, unknown: false, "other": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("folder %s: got %v, want it to exist: %v", name, err, want)
		}
	}
}

// TestSeveralInterrupted opens two records of running tasks. Both continue, in their order.
func TestSeveralInterrupted(t *testing.T) {
	dir := t.TempDir()
	for name, created := range map[string]string{"a": "2026-01-02T00:00:00Z", "b": "2026-01-01T00:00:00Z"} {
		text := `{"id":"` + name + `","kind":"copy","state":"running","input":[],"create_time":"` + created + `"}`
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, dir, true)
	w.runner.Resume()
	for _, want := range []string{"b", "a"} {
		if got := (<-w.running).ID(); got != want {
			t.Fatalf("%s continues, want %s", got, want)
		}
		w.end(want, nil)
	}
	for _, info := range w.runner.List() {
		if info.State != task.Done {
			t.Errorf("got %+v", info)
		}
	}
}
