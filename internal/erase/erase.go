package erase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nearside/internal/task"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
)

// Kind is the kind of the tasks.
const Kind = "erase"

// Request says what to erase: the objects of an origin with the given IDs, or everything
// that belongs to an account.
type Request struct {
	Origin    matcher.Origin `json:"origin"`
	IDs       []byte         `json:"ids,omitempty"` // 16 bytes each
	Account   *matcher.ID    `json:"account,omitempty"`
	Snapshots bool           `json:"snapshots"` // also delete snapshots that have an erased object
}

// Options are the parts of the server that an Eraser works on.
type Options struct {
	Dir      string // data directory
	Store    *store.Store
	Memory   *memory.Memory
	Registry *matcher.Registry
	// Snapshots are the snapshots in the data directory. nil: there are none.
	Snapshots Snapshots
	// AuditFile returns the path of the audit; "": there is none. Rotated files have it as a
	// prefix. nil: there is never an audit.
	AuditFile func() string
	// BytesPerSecond limits the rate of reading and writing; 0 means DefaultRate.
	BytesPerSecond int64
}

// Snapshots are the snapshots of the data directory.
type Snapshots interface {
	// Dir returns the folder that has a folder for each snapshot, under its name.
	Dir() string
	// Has reports whether there is a snapshot with a name. Dir may have other files.
	Has(name string) bool
	// Delete removes a snapshot as a whole.
	Delete(name string) error
}

const (
	// DefaultRate is the default rate of reading and writing files, in bytes per second.
	DefaultRate = 64 << 20
	// attempts is how often the files are rewritten while something remains. Other writes of
	// the same objects can make a second attempt necessary.
	attempts = 3
	// rewriteRest is the pause after a chunk in memory was rewritten, as a multiple of the
	// time that it took.
	rewriteRest = 4
)

// Eraser erases objects.
type Eraser struct{ Options }

// New returns the kind of task that erases objects.
func New(o Options) task.Kind {
	if o.BytesPerSecond == 0 {
		o.BytesPerSecond = DefaultRate
	}
	o.Dir = realPath(o.Dir)
	e := &Eraser{o}
	return task.Kind{Name: Kind, Resumes: true, Run: e.run}
}

// state is the progress of an erasure that outlives the process.
type state struct {
	Deleted bool  `json:"deleted"` // all targets were deleted
	Bytes   int64 `json:"bytes"`
}

// job is a running erasure.
type job struct {
	*Eraser
	request Request
	task    *task.Task
	dir     string
	state   state
	steps   map[uint32][]float64 // of the byte copies in memory, by version
	report  Report
}

func (e *Eraser) run(ctx context.Context, t *task.Task) (any, error) {
	ctx = matcher.WithCause(ctx, matcher.CauseErasure)
	j := &job{Eraser: e, task: t}
	if err := t.Input(&j.request); err != nil {
		return nil, fmt.Errorf("the input of the task cannot be read: %w", err)
	}
	var err error
	if j.dir, err = t.Dir(); err != nil {
		return nil, err
	}
	j.dir = realPath(j.dir)
	if err := j.readState(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(j.dir, nameTargets)); errors.Is(err, fs.ErrNotExist) {
		if err := j.collect(ctx); err != nil {
			return nil, fmt.Errorf("collecting the objects: %w", err)
		}
	} else if err != nil {
		return nil, err
	}
	if err := j.readSteps(); err != nil {
		return nil, err
	}
	t.SetProgress(0.05)
	if !j.state.Deleted {
		if err := j.delete(ctx); err != nil {
			return nil, fmt.Errorf("deleting the objects: %w", err)
		}
		j.state.Deleted = true
		if err := j.writeState(); err != nil {
			return nil, err
		}
	}
	t.SetProgress(0.15)
	if err := j.rewriteAndVerify(ctx); err != nil {
		return nil, err
	}
	if err := j.checkSnapshots(ctx); err != nil {
		return nil, fmt.Errorf("searching the snapshots: %w", err)
	}
	j.report.BytesRewritten = j.state.Bytes
	j.report.sort()
	return &j.report, nil
}

// rewriteAndVerify rewrites all files and searches them, again if something remains.
func (j *job) rewriteAndVerify(ctx context.Context) error {
	for range attempts {
		if err := j.dropRows(ctx); err != nil {
			return fmt.Errorf("rewriting the rows in memory: %w", err)
		}
		bytes, err := j.Store.Rewrite(ctx, store.RewriteOptions{
			BytesPerSecond: j.BytesPerSecond,
			Progress:       func(part float64) { j.task.SetProgress(0.2 + 0.4*part) },
		})
		j.state.Bytes += bytes
		if err = errors.Join(err, j.writeState()); err != nil {
			return err
		}
		j.report = Report{Snapshots: []string{}, Remains: []Remain{}}
		if err := j.verify(ctx); err != nil {
			return fmt.Errorf("searching the files: %w", err)
		}
		if j.report.settled() {
			return nil
		}
	}
	return nil
}

// dropRows drops the deleted rows of the targets from memory, one chunk per transaction.
func (j *job) dropRows(ctx context.Context) error {
	ids, err := j.sortedIDs()
	if err != nil {
		return err
	}
	for o := range ids {
		if len(ids[o]) == 0 {
			continue
		}
		eraser := j.Memory.NewEraser(matcher.Origin(o), func(id matcher.ID) bool { return contains(ids[o], id) })
		for more := true; more; {
			start := time.Now()
			err := j.Store.CommitAlone(ctx, func(*store.Tx) (err error) {
				more, err = eraser.Step()
				return err
			})
			if err != nil {
				return err
			}
			if err := rest(ctx, rewriteRest*time.Since(start)); err != nil {
				return err
			}
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *job) readState() error { return j.readJSON(nameState, &j.state) }

func (j *job) writeState() error { return j.writeJSON(nameState, &j.state) }

// writeSteps keeps the steps of the byte copies that are in memory before rows are
// rewritten.
func (j *job) writeSteps(versions map[uint32]bool) error {
	steps := map[uint32][]float64{}
	for v := range versions {
		steps[v] = j.Memory.CopySteps(v)
	}
	return j.writeJSON(nameSteps, steps)
}

// readSteps reads the steps of writeSteps, and adds those of today.
func (j *job) readSteps() error {
	if err := j.readJSON(nameSteps, &j.steps); err != nil {
		return err
	}
	for v, steps := range j.steps {
		for _, step := range j.Memory.CopySteps(v) {
			if !slices.Contains(steps, step) {
				j.steps[v] = append(j.steps[v], step)
			}
		}
	}
	return nil
}

// readJSON reads a file in the folder of the task. A missing file leaves v unchanged.
func (j *job) readJSON(name string, v any) error {
	b, err := os.ReadFile(filepath.Join(j.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, json.Unmarshal(b, v))
}

// writeJSON replaces a file in the folder of the task, durably.
func (j *job) writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(j.dir, name)
	f, err := os.Create(path + suffixNew)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+suffixNew, path); err != nil {
		return err
	}
	return syncDir(j.dir)
}
