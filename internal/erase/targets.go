package erase

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"nearside/matcher"
)

// target is an object or a list that is erased.
type target struct {
	Origin      matcher.Origin
	List        bool // it is a list, and Origin has no meaning
	ID          matcher.ID
	Existed     bool
	Descriptors []matcher.Descriptor
}

// Names in the folder of a task.
const (
	nameTargets = "targets" // all targets, as they were when the erasure began
	nameChanged = "changed" // targets that were changed before they were deleted
	nameSteps   = "steps.json"
	nameState   = "state.json"
	suffixNew   = ".new"
)

// writeTargets writes the file of the targets, durably and as a whole. each calls its
// argument with every target.
func writeTargets(dir string, each func(add func(*target) error) error) error {
	path := filepath.Join(dir, nameTargets)
	f, err := os.Create(path + suffixNew)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(f, 1<<20)
	encoder := gob.NewEncoder(buffer)
	err = each(func(t *target) error { return encoder.Encode(t) })
	if err == nil {
		err = buffer.Flush()
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+suffixNew, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// appendChanged adds targets to the file of changed targets, durably. Each call appends a
// stream of its own. The end of an interrupted call is ignored: the objects were not
// deleted then, so they are added again.
func appendChanged(dir string, changed []*target) error {
	f, err := os.CreateTemp(dir, nameChanged+"-*"+suffixNew)
	if err != nil {
		return err
	}
	encoder := gob.NewEncoder(f)
	for _, t := range changed {
		err = errors.Join(err, encoder.Encode(t))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.Name()[:len(f.Name())-len(suffixNew)]); err != nil {
		return err
	}
	return syncDir(dir)
}

// eachTarget calls f with every target, and after that with the changed ones, for which
// first is false.
func eachTarget(dir string, f func(t *target, first bool) error) error {
	changed, err := filepath.Glob(filepath.Join(dir, nameChanged+"-*"))
	if err != nil {
		return err
	}
	for i, path := range append([]string{filepath.Join(dir, nameTargets)}, changed...) {
		if filepath.Ext(path) == suffixNew {
			continue
		}
		if err := readTargets(path, func(t *target) error { return f(t, i == 0) }); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func readTargets(path string, f func(*target) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	decoder := gob.NewDecoder(bufio.NewReaderSize(file, 1<<20))
	for {
		t := &target{}
		if err := decoder.Decode(t); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := f(t); err != nil {
			return err
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
