package task

import (
	"context"
	"encoding/json"
	"errors"
)

// Kind is one kind of work.
type Kind struct {
	Name string

	// Resumes says that Run can continue a task that was interrupted at any moment. Run
	// is then called again with the same task after a restart. Without it, an
	// interrupted task fails.
	Resumes bool

	// Cancels says that a task may be cancelled: that Run leaves nothing half done when
	// its context ends.
	Cancels bool

	// Run does the work and returns its report, which becomes JSON. When the process
	// stops, ctx ends, and Run must return soon.
	Run func(ctx context.Context, t *Task) (report any, err error)
}

// errInterrupted is the error of a task that cannot continue after a restart.
var errInterrupted = errors.New("the server stopped before the task was done: start it again")

// Task is a task that is running.
type Task struct {
	runner *Runner
	record record // of these, only the runner's lock protects those in info
}

// ID returns the ID of t.
func (t *Task) ID() string { return t.record.ID }

// Name returns the name that Start was given. It may be empty.
func (t *Task) Name() string { return t.record.Name }

// Input reads what Start was given into v.
func (t *Task) Input(v any) error { return json.Unmarshal(t.record.Input, v) }

// SetProgress sets the part of the work that is done, from 0 to 1. It is not written
// to the disk.
func (t *Task) SetProgress(part float64) {
	t.runner.mu.Lock()
	defer t.runner.mu.Unlock()
	t.record.Progress = min(max(part, 0), 1)
}

// Dir returns a folder for files of the task. They outlive the process, and are
// removed when the task ends.
func (t *Task) Dir() (string, error) { return t.runner.files.folder(t.record.ID) }
