package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nearside/matcher"
)

// State is the state of a task.
type State string

// The states of a task. A cancelled task has failed.
const (
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Info is a task as clients see it.
type Info struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Name     string          `json:"name,omitempty"`
	State    State           `json:"state"`
	Progress float64         `json:"progress"` // the part that is done, from 0 to 1
	Report   json.RawMessage `json:"report,omitempty"`
	Error    string          `json:"error,omitempty"`
	Created  time.Time       `json:"create_time"`
	Ended    time.Time       `json:"end_time,omitzero"`
}

// record is the file of a task.
type record struct {
	Info
	Input json.RawMessage `json:"input,omitempty"`
}

// files is the folder of a Runner: a file <id>.json for each task, and a folder <id>
// for the files of a running task.
type files string

const (
	suffixRecord = ".json"
	suffixNew    = ".new" // a record that is being written
)

// read returns all records, in the order of their creation. It removes what interrupted
// calls of write and clear have left, and reports files that are not records to log.
func (d files) read(log *slog.Logger) ([]*record, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var all []*record
	for _, e := range entries {
		path := filepath.Join(string(d), e.Name())
		var err error
		switch {
		case strings.HasSuffix(e.Name(), suffixNew):
			err = os.Remove(path)
		case strings.HasSuffix(e.Name(), suffixRecord):
			var r *record
			if r, err = readRecord(path); err == nil {
				all = append(all, r)
			}
		}
		if err != nil {
			log.Warn("a file of a task is ignored", "file", path, "error", err)
		}
	}
	if err := d.clearEnded(entries, all); err != nil {
		log.Warn("the files of an ended task cannot be removed", "error", err)
	}
	slices.SortFunc(all, func(a, b *record) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// clearEnded removes the folders of tasks that are not running. They may have personal
// data.
func (d files) clearEnded(entries []fs.DirEntry, all []*record) (err error) {
	for _, e := range entries {
		running := slices.ContainsFunc(all, func(r *record) bool { return r.ID == e.Name() && r.State == Running })
		if _, fault := matcher.ParseID(e.Name()); fault == nil && e.IsDir() && !running {
			err = errors.Join(err, d.clear(e.Name()))
		}
	}
	return err
}

func readRecord(path string) (*record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	if r.ID+suffixRecord != filepath.Base(path) {
		return nil, fmt.Errorf("the file has the task %q", r.ID)
	}
	return r, nil
}

// write writes the record durably: after a power loss or an error, the file has the old or
// the new record.
func (d files) write(r *record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(string(d), r.ID+suffixRecord)
	if err := replace(path, b); err != nil {
		return errors.Join(err, removeIfExists(path+suffixNew))
	}
	return d.sync()
}

// replace replaces the content of a file. It may leave a file with suffixNew.
func replace(path string, b []byte) error {
	f, err := os.OpenFile(path+suffixNew, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+suffixNew, path)
}

func removeIfExists(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove removes the record of a task.
func (d files) remove(id string) error {
	return os.Remove(filepath.Join(string(d), id+suffixRecord))
}

// folder returns the folder of a task, and creates it if it is missing.
func (d files) folder(id string) (string, error) {
	path := filepath.Join(string(d), id)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, d.sync()
}

// clear removes the folder of a task and all that is in it.
func (d files) clear(id string) error { return os.RemoveAll(filepath.Join(string(d), id)) }

func (d files) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
