package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"nearside/internal/vectors"
	"nearside/matcher"
)

type importCmd struct {
	remoteFlag
	Files   []string `arg:"" name:"file" help:"Files: .ndjson, .bvecs, .fvecs, .npy, or - for lines of JSON on the standard input."`
	List    string   `help:"List that the faces are put into, or new for a new one." placeholder:"ID|new"`
	Version uint32   `help:"Descriptor version of vector files." placeholder:"N"`
	Origin  string   `help:"What is imported." enum:"faces,events" default:"faces"`
}

// Help is shown below the flags.
func (*importCmd) Help() string {
	return `Examples:

    nearside import people.ndjson --list new
    nearside import base.bvecs --version 1128

Every file is checked before anything is sent. A vector becomes a face whose face_id depends on the content of its file and its row, so that an import may be run again, and whose external_id is the row, counted from 0. At the end one line of JSON tells what was accepted; the exit code is 1 when a line was rejected.`
}

// job is one file of an import.
type job struct {
	path    string
	vectors bool
	format  vectors.Format // of vector files
	bytes   int64          // -1: unknown
}

// summary is the last line of an import.
type summary struct {
	Accepted int64       `json:"accepted"`
	Rejected int64       `json:"rejected"`
	ListID   *matcher.ID `json:"-"`
}

func (s summary) write(w io.Writer) error {
	var list *string
	if s.ListID != nil {
		text := s.ListID.String()
		list = &text
	}
	return json.NewEncoder(w).Encode(struct {
		summary
		List *string `json:"list_id"`
	}{s, list})
}

// Run checks everything, then sends the files.
func (c *importCmd) Run(s *system) error {
	jobs, err := c.jobs()
	if err != nil {
		return err
	}
	listID, err := c.listID()
	if err != nil {
		return err
	}
	server, err := newClient(c.URL)
	if err != nil {
		return err
	}
	origin, err := matcher.ParseOrigin(c.Origin)
	if err != nil {
		return err
	}
	var version *matcher.Version
	if c.Version != 0 {
		config, err := server.config(s.ctx)
		if err != nil {
			return err
		}
		if version, err = versionOf(c.Version, config); err != nil {
			return err
		}
	}
	if err := checkJobs(jobs, version, origin); err != nil {
		return err
	}
	if c.List == "new" {
		if listID, err = newList(s, server); err != nil {
			return err
		}
	}
	up := newUpload(s, server, origin, listID, jobs)
	defer up.progress.close()
	for _, j := range jobs {
		if err = up.file(j, version, s.stdin); err != nil {
			break
		}
	}
	up.progress.close()
	up.reportRest()
	if writeErr := up.total.write(s.stdout); err == nil {
		err = writeErr
	}
	if err == nil && up.total.Rejected > 0 {
		err = errReported
	}
	return err
}

// jobs tells the formats of the files.
func (c *importCmd) jobs() ([]job, error) {
	var jobs []job
	withVectors, withStdin := false, false
	for _, path := range c.Files {
		format, isVectors := vectors.FormatOf(path)
		switch {
		case isVectors && format == vectors.Ivecs:
			return nil, usagef("%s: .ivecs files hold row numbers, no descriptors", path)
		case path == "-" && withStdin:
			return nil, usagef("-: the standard input can be read only once")
		case !isVectors && path != "-" && strings.ToLower(filepath.Ext(path)) != ".ndjson":
			return nil, usagef("%s: is none of .ndjson, .bvecs, .fvecs, .npy, -", path)
		case isVectors && c.Version == 0:
			return nil, usagef("%s: vectors need --version, the descriptor version that they are", path)
		}
		withVectors = withVectors || isVectors
		withStdin = withStdin || path == "-"
		jobs = append(jobs, job{path: path, vectors: isVectors, format: format, bytes: -1})
	}
	if c.Version != 0 && !withVectors {
		return nil, usagef("--version is for vector files; lines of JSON name their versions themselves")
	}
	return jobs, nil
}

// listID reads --list; new gives none yet.
func (c *importCmd) listID() (*matcher.ID, error) {
	switch {
	case c.List != "" && c.Origin != "faces":
		return nil, usagef("--list: only faces are in lists, not %s", c.Origin)
	case c.List == "" || c.List == "new":
		return nil, nil
	}
	id, err := matcher.ParseID(c.List)
	if err != nil {
		return nil, usagef("--list: %v, nor new", err)
	}
	return &id, nil
}

// newList makes a list.
func newList(s *system, server *client) (*matcher.ID, error) {
	data, err := server.call(s.ctx, http.MethodPost, "/1/lists", nil, struct{}{})
	if err != nil {
		return nil, err
	}
	var answer struct {
		ListID string `json:"list_id"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("server: /1/lists: %w", err)
	}
	id, err := matcher.ParseID(answer.ListID)
	if err != nil {
		return nil, fmt.Errorf("server: /1/lists: list_id: %w", err)
	}
	return &id, nil
}

// checkJobs opens every file once, and fills in the sizes. All faults are
// returned together.
func checkJobs(jobs []job, v *matcher.Version, origin matcher.Origin) error {
	var faults []error
	if v != nil && v.Type == matcher.BodyDescriptor && origin == matcher.Faces {
		faults = append(faults, fmt.Errorf("--version: %d is of type body, which a face cannot hold", v.Number))
	}
	for i := range jobs {
		if err := jobs[i].check(v); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
