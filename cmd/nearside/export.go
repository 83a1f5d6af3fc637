package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"nearside/matcher"
)

type exportCmd struct {
	remoteFlag
	filterFlag
	Origin     string `help:"Origin of the objects: ${enum}." enum:"faces,events,attributes" default:"faces"`
	List       string `help:"Only the faces of this list." placeholder:"ID"`
	Descriptor string `help:"How descriptors are written: ${enum}." enum:"base64,numbers" default:"base64"`
	Output     string `short:"o" help:"File to write instead of the standard output. It appears when it is complete." placeholder:"FILE"`
	All        string `help:"Folder to write everything to: lists, faces, events and attributes. It must be empty or must not exist." placeholder:"DIR"`
}

// Help is printed below the flags.
func (*exportCmd) Help() string {
	return `Examples:

    nearside export -o faces.ndjson
    nearside export -o faces.ndjson.zst
    nearside export --origin events --filter create_time__gte=now-7d
    nearside export --all moved --key-file admin.key

An export is not a backup: its lines are not of one moment. Without --all, it has one origin, no empty lists, and neither user_data nor times of lists. Use nearside snapshot for backups.

With --all, the folder has a file for lists and one for each origin, and manifest.json with their sums. nearside import --all moves them to another server, also of another version. Stop writes before, because changes that are made meanwhile may be missing. Configuration, keys, plugins, the values that plugins keep, and the audit are not in it. With keys, --all needs the role admin. The output is JSON with the numbers of objects.

The output has one object with its descriptors per line; nearside import reads it. With --descriptor numbers, a descriptor is an array of numbers instead of base64. With -o, the file is compressed if its name ends with .gz or .zst, and it is replaced when the export is complete. If the export fails or is interrupted, the old file stays.

Exit codes: 0 the export is complete, 1 failed, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`
}

// Run streams the server's export.
func (c *exportCmd) Run(s *system) error {
	if c.All != "" {
		return c.runAll(s)
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	query, err := c.query()
	if err != nil {
		return err
	}
	if c.Descriptor == "numbers" {
		query.Set("descriptor", "numbers")
	}
	answer, err := server.stream(s.ctx, http.MethodGet, "/1/export", query, "", nil)
	if err != nil {
		return err
	}
	defer closeRead(answer)
	in := &errorRecorder{Reader: answer}
	if c.Output == "" {
		n, err := io.Copy(s.stdout, in)
		return in.explain(server, s, n, err)
	}
	return writeAtomically(c.Output, func(w io.Writer) error {
		return writeCompressed(c.Output, w, func(w io.Writer) error {
			n, err := io.Copy(w, in)
			return in.explain(server, s, n, err)
		})
	})
}

// query returns the query of the request.
func (c *exportCmd) query() (url.Values, error) {
	origin, err := matcher.ParseOrigin(c.Origin)
	if err != nil {
		return nil, err
	}
	filters, err := c.filters(origin)
	if err != nil {
		return nil, err
	}
	if c.List != "" {
		id, err := matcher.ParseID(c.List)
		if err != nil {
			return nil, usagef("--list: %v", err)
		}
		if origin != matcher.Faces {
			return nil, usagef("--list: must not be given for %s; only faces are in lists", c.Origin)
		}
		if err := filters.addText("--list", "list_id", id.String()); err != nil {
			return nil, err
		}
	}
	query := url.Values{"origin": {c.Origin}}
	filters.addTo(query)
	return query, nil
}

// errorRecorder records the error of reading, to distinguish it from an error of writing.
type errorRecorder struct {
	io.Reader
	err error
}

func (r *errorRecorder) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func (r *errorRecorder) explain(server *client, s *system, n int64, err error) error {
	if r.err != nil {
		return fmt.Errorf("the export stopped after %d bytes: %w", n, server.explain(s.ctx, r.err))
	}
	return err
}

// writeAtomically replaces the file at path by the output of write, or leaves it
// unchanged after an error. It replaces the target of a link. It writes directly to a
// device or pipe.
func writeAtomically(path string, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(file), file.Close())
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the first error is returned
		}
	}()
	err = write(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}
