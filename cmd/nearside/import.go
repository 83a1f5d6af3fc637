package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"nearside/internal/vectors"
	"nearside/matcher"
)

type importCmd struct {
	remoteFlag
	tableFlags
	Files   []string `arg:"" optional:"" name:"file" help:"Files: .ndjson, .csv, .parquet, .bvecs, .fvecs, .npy, each also with .gz or .zst, or - for lines of JSON on the standard input."`
	All     string   `help:"Folder of nearside export --all, whose lists and objects are imported." placeholder:"DIR"`
	List    string   `help:"List to add the faces to, or new to create one." placeholder:"ID|new"`
	Version uint32   `help:"Descriptor version of vector files and tables." placeholder:"N"`
	Origin  string   `help:"Origin of the objects: ${enum}." enum:"faces,events,attributes" default:"faces"`
	IDs     string   `name:"ids" help:"How missing ids are generated. auto: by the server; for vectors, from the file's content and the row. content: from the content of each line, so that importing it again creates no duplicates." enum:"auto,content" default:"auto"`
}

// Help is printed below the flags.
func (*importCmd) Help() string {
	return `Examples:

    nearside import people.ndjson --list new
    nearside import base.bvecs.zst --version 1128
    nearside import people.parquet --version 1128 --vector-column embedding --id-column uuid --map name=external_id
    nearside import --all moved --key-file admin.key

Before it sends anything, the command opens every file and checks its format and its first vector; one of the first 100 rows of a table must be readable. Valid lines are stored even if others are rejected, and each rejected line is printed. A vector becomes a face. Its external_id is its row, counted from 0. Its face_id is derived from the content of the file and the row, so importing the same file again creates no duplicates. With --ids content, the same is true for lines of JSON without an id; equal lines are then one object.

A row of a table (.csv with a line of names, .parquet) becomes a face with the vector of --vector-column. Columns that have the name of a field of faces, such as user_data or age, become this field; --map gives other columns a field. Other columns are not imported, and a note names them. A row without an id gets one as a row of a vector file does.

--list new creates a list when the first face is accepted. The last line of the output is JSON with the numbers of accepted and rejected lines and the id of the list. After Ctrl-C, the command waits for the server's answer and reports what was stored.

With --all, the files of the folder are compared with the sums in manifest.json before anything is sent. Objects and lists that exist are replaced, so the import can be repeated. A list that exists with another account or create_time is rejected. With keys, --all needs the role admin. The output is JSON with the numbers of each file.

Exit codes: 0 all lines were accepted, 1 a line was rejected or the import stopped, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`
}

// job is one file of an import.
type job struct {
	path string
	inputFormat
	columns tableFlags // of a table
	bytes   int64      // -1: unknown
	note    string     // how the values are converted, or which columns are not imported

	contentIDs bool // whether missing ids are derived from the content of lines
}

// summary is the last line of an import.
type summary struct {
	Accepted int64       `json:"accepted"`
	Rejected int64       `json:"rejected"`
	ListID   *matcher.ID `json:"-"` // nil: no list was given or created
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
	switch {
	case c.All != "":
		return c.runAll(s)
	case len(c.Files) == 0:
		return usagef(`expected "<file> ..." or --all`)
	}
	jobs, err := c.jobs()
	if err != nil {
		return err
	}
	listID, err := c.listID()
	if err != nil {
		return err
	}
	server, err := c.client(s)
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
	for _, j := range jobs {
		j.showNote(s)
	}
	if c.List == "new" { // the server creates it with the first accepted face
		id := matcher.NewID()
		listID = &id
	}
	up := newUpload(s, server, origin, listID, jobs)
	defer up.progress.close()
	for _, j := range jobs {
		if err = up.sendFile(j, version, s.stdin); err != nil {
			break
		}
	}
	up.progress.close()
	up.reportRest()
	if c.List == "new" && up.total.Accepted == 0 && !up.maybeStored {
		up.total.ListID = nil
	}
	if _, ok := interruptedBy(s.ctx); ok && err != nil && c.List == "new" && up.total.ListID != nil {
		err = fmt.Errorf("%w\nto continue, import again with --list %s", err, listID)
		if slices.ContainsFunc(jobs, func(j job) bool { return !j.hasRows() && !j.contentIDs }) {
			err = fmt.Errorf("%w\nlines without an id would be stored twice; first remove the stored lines from the file", err)
		}
	}
	if writeErr := up.total.write(s.stdout); err == nil {
		err = writeErr
	}
	if err == nil && up.total.Rejected > 0 {
		err = errReported
	}
	return err
}

// jobs returns the files with their formats.
func (c *importCmd) jobs() ([]job, error) {
	var jobs []job
	withVectors, withTable, withStdin := false, false, false
	for _, path := range c.Files {
		f, known := inputFormatOf(path)
		switch {
		case !known:
			return nil, usagef("%s: must be one of %s", path, importFormats)
		case f.vectors && f.format == vectors.Ivecs:
			return nil, usagef("%s: .ivecs files hold row numbers, not descriptors", path)
		case path == "-" && withStdin:
			return nil, usagef("-: the standard input can be read only once")
		case f.hasRows() && c.Version == 0:
			return nil, usagef("%s: vectors need --version, their descriptor version", path)
		case f.hasRows() && c.Origin == matcher.Attributes.String():
			return nil, usagef("%s: vectors and tables need --origin faces or events, got attributes", path)
		}
		withVectors = withVectors || f.hasRows()
		withTable = withTable || f.table != ""
		withStdin = withStdin || path == "-"
		jobs = append(jobs, job{path: path, inputFormat: f, columns: c.tableFlags, bytes: -1, contentIDs: c.IDs == "content"})
	}
	if c.Version != 0 && !withVectors {
		return nil, usagef("--version: must be given for vector files and tables only; lines of JSON have their own versions")
	}
	if flag := c.firstTableFlag(); flag != "" && !withTable {
		return nil, usagef("%s: must be given for .csv and .parquet files only", flag)
	}
	return jobs, nil
}

// listID reads --list. It returns nil for new.
func (c *importCmd) listID() (*matcher.ID, error) {
	switch {
	case c.List != "" && c.Origin != "faces":
		return nil, usagef("--list: must not be given for %s; only faces are in lists", c.Origin)
	case c.List == "" || c.List == "new":
		return nil, nil
	}
	id, err := matcher.ParseID(c.List)
	if err != nil {
		return nil, usagef("--list: must be new or a UUID, got %q", c.List)
	}
	if id.IsZero() {
		return nil, usagef("--list: must not be the nil UUID, got %s", id)
	}
	return &id, nil
}

// checkJobs opens every file once and sets the sizes. It returns all faults together.
func checkJobs(jobs []job, v *matcher.Version, origin matcher.Origin) error {
	var faults []error
	if v != nil && v.Type == matcher.BodyDescriptor && origin == matcher.Faces {
		faults = append(faults, fmt.Errorf("--version: must be of type face, got %d of type body; a face cannot have a body descriptor", v.Number))
	}
	for i := range jobs {
		if err := jobs[i].checkFile(v, origin); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
