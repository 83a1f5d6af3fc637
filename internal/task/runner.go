package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"time"

	"nearside/matcher"
)

// keptTasks is how many records of ended tasks a Runner keeps.
const keptTasks = 100

// Errors of a Runner.
var (
	ErrNotFound  = errors.New("no such task")
	ErrEnded     = errors.New("the task has ended")
	ErrNoCancel  = errors.New("a task of this kind cannot be cancelled")
	errStopped   = errors.New("the server is stopping")
	errCancelled = errors.New("cancelled")
)

// RunningError says that another task is running.
type RunningError struct{ Running Info }

func (e *RunningError) Error() string {
	return fmt.Sprintf("the task %s (%s) is running; one task runs at a time", e.Running.ID, e.Running.Kind)
}

// Runner runs tasks, one at a time. It is safe for concurrent use.
type Runner struct {
	files  files
	kinds  map[string]Kind
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	runs   sync.WaitGroup

	mu      sync.Mutex
	tasks   []*Task // in the order of their creation
	running *Task   // nil if none runs
	waiting []*Task // interrupted ones that continue after running, in their order
	stop    context.CancelCauseFunc
	closed  bool
}

// Open returns a Runner that keeps its records in the folder dir, which it creates.
// Interrupted tasks wait for Resume.
func Open(dir string, log *slog.Logger, kinds ...Kind) (*Runner, error) {
	r := &Runner{files: files(dir), kinds: map[string]Kind{}, log: log}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, k := range kinds {
		r.kinds[k.Name] = k
	}
	records, err := r.files.read(log)
	if err != nil {
		return nil, fmt.Errorf("task: the folder of tasks cannot be read: %w", err)
	}
	for _, rec := range records {
		t := &Task{runner: r, record: *rec}
		r.tasks = append(r.tasks, t)
		if rec.State != Running {
			continue
		}
		switch {
		case !r.kinds[rec.Kind].Resumes:
			r.finish(t, nil, errInterrupted)
		case r.running == nil:
			r.running = t
		default: // the end of the running one could not be written
			r.waiting = append(r.waiting, t)
		}
	}
	return r, nil
}

// Resume continues the task that the end of the last process has interrupted, if there
// is one.
func (r *Runner) Resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil && r.stop == nil && !r.closed {
		r.log.Info("a task continues", "task", r.running.record.ID, "kind", r.running.record.Kind)
		r.launch(r.running)
	}
}

// Start starts a task of a kind with the input, which becomes JSON, and returns it. It
// returns a *RunningError while another task runs, and CodeFull if the disk is full.
func (r *Runner) Start(kind, name string, input any) (Info, error) {
	b, err := json.Marshal(input)
	if err != nil {
		return Info{}, err
	}
	if _, known := r.kinds[kind]; !known {
		return Info{}, fmt.Errorf("task: %q is not a kind of task of this server", kind)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return Info{}, errStopped
	case r.running != nil:
		return Info{}, &RunningError{r.running.record.Info}
	}
	t := &Task{runner: r, record: record{
		Info:  Info{ID: matcher.NewID().String(), Kind: kind, Name: name, State: Running, Created: time.Now().UTC()},
		Input: b,
	}}
	if err := r.files.write(&t.record); errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return Info{}, matcher.Errorf(matcher.CodeFull, "the record of the task cannot be written: the disk is full: %w", err)
	} else if err != nil {
		return Info{}, fmt.Errorf("task: the record cannot be written: %w", err)
	}
	r.running, r.tasks = t, append(r.tasks, t)
	r.launch(t)
	return t.record.Info, nil
}

// launch runs a task in a goroutine that ends before Close returns. The caller holds
// r.mu.
func (r *Runner) launch(t *Task) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	r.stop = cancel
	r.runs.Go(func() {
		defer cancel(nil)
		report, err := r.kinds[t.record.Kind].Run(ctx, t)
		if err != nil && context.Cause(ctx) == errCancelled { //nolint:errorlint // the cause is never wrapped
			err = errCancelled
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil && r.closed {
			if r.kinds[t.record.Kind].Resumes {
				return // it continues after the next start
			}
			err = errInterrupted
		}
		r.finish(t, report, err)
		r.running, r.stop = nil, nil
		if len(r.waiting) > 0 {
			r.running, r.waiting = r.waiting[0], r.waiting[1:]
			if !r.closed {
				r.launch(r.running)
			}
		}
	})
}

// finish writes the end of a task, and removes what is no longer needed.
func (r *Runner) finish(t *Task, report any, err error) {
	rec := &t.record
	rec.State, rec.Ended = Done, time.Now().UTC()
	rec.Input = nil // the input of an erasure has the IDs of erased objects
	if report != nil {
		var fault error
		rec.Report, fault = json.Marshal(report)
		err = errors.Join(err, fault)
	}
	if err != nil {
		rec.State, rec.Error = Failed, err.Error()
	} else {
		rec.Progress = 1
	}
	// The record is first, because a task that continues needs its files. If the disk is full,
	// the removal of the files makes room for it.
	fault := r.files.write(rec)
	cleared := r.files.clear(rec.ID)
	if fault != nil {
		fault = r.files.write(rec)
	}
	if fault = errors.Join(fault, cleared); fault != nil {
		r.log.Error("the record of a task cannot be written", "task", rec.ID, "error", fault)
	}
	r.log.Info("a task has ended", "task", rec.ID, "kind", rec.Kind, "state", string(rec.State), "error", rec.Error)
	for len(r.tasks) > keptTasks && r.tasks[0] != t {
		if fault := r.files.remove(r.tasks[0].record.ID); fault != nil {
			r.log.Warn("the record of an old task cannot be removed", "task", r.tasks[0].record.ID, "error", fault)
		}
		r.tasks = r.tasks[1:]
	}
}

// Find returns a task, or ErrNotFound.
func (r *Runner) Find(id string) (Info, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.find(id); t != nil {
		return t.record.Info, nil
	}
	return Info{}, ErrNotFound
}

func (r *Runner) find(id string) *Task {
	i := slices.IndexFunc(r.tasks, func(t *Task) bool { return t.record.ID == id })
	if i < 0 {
		return nil
	}
	return r.tasks[i]
}

// List returns all tasks, the newest first.
func (r *Runner) List() []Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Info, 0, len(r.tasks))
	for _, t := range slices.Backward(r.tasks) {
		all = append(all, t.record.Info)
	}
	return all
}

// Cancel ends a running task. The task has ended some time after Cancel returns. The
// error is ErrNotFound, ErrEnded or ErrNoCancel.
func (r *Runner) Cancel(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.find(id)
	switch {
	case t == nil:
		return ErrNotFound
	case t != r.running || r.stop == nil:
		return ErrEnded
	case !r.kinds[t.record.Kind].Cancels:
		return ErrNoCancel
	}
	r.stop(errCancelled)
	return nil
}

// Close interrupts the running task and waits for its end.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.runs.Wait()
}
