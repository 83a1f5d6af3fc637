package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nearside/matcher"
)

// checkAlone refuses flags that select or write only a part of the objects.
func (c *exportCmd) checkAlone() error {
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"--origin", c.Origin != "faces"},
		{"--list", c.List != ""},
		{"--filter", len(c.Filter) > 0},
		{"--descriptor", c.Descriptor != "base64"},
		{"--output", c.Output != ""},
	} {
		if flag.given {
			return usagef("%s: must not be given together with --all", flag.name)
		}
	}
	return nil
}

// runAll writes everything that the server has to a folder.
func (c *exportCmd) runAll(s *system) error {
	if err := c.checkAlone(); err != nil {
		return err
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	if err := server.checkSeesAll(s); err != nil {
		return err
	}
	out, err := newMoveFolder(c.All)
	if err != nil {
		return err
	}
	m, err := out.writeAll(s, server)
	if err != nil {
		return errors.Join(err, out.remove())
	}
	objects := map[string]int64{}
	for _, f := range m.Files {
		objects[strings.TrimSuffix(f.Name, ".ndjson")] = f.Objects
	}
	return printJSON(s, objects)
}

// checkSeesAll returns an error if the key may see only a part of the objects. A key with
// the role admin cannot be bound to an account or to lists.
func (c *client) checkSeesAll(s *system) error {
	_, err := c.call(s.ctx, http.MethodGet, "/config", nil, nil)
	if fault, ok := errors.AsType[*serverError](err); ok && fault.Code == matcher.CodeForbidden {
		return fmt.Errorf("--all needs a key with the role admin, because other keys can be bound to a part of the objects: %w", err)
	}
	return err
}

// moveFolder is the folder of a complete export while it is written.
type moveFolder struct {
	dir     string
	created bool     // the export has created the folder
	written []string // paths of files
}

// newMoveFolder creates a folder, or uses an empty one.
func newMoveFolder(dir string) (*moveFolder, error) {
	f := &moveFolder{dir: dir}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.created = true
		return f, os.Mkdir(dir, 0o700)
	case err != nil:
		return nil, err
	case len(entries) > 0:
		return nil, fmt.Errorf("--all: %s must be empty or must not exist, but it has %s", dir, entries[0].Name())
	}
	return f, nil
}

// remove removes what was written.
func (f *moveFolder) remove() error {
	var faults []error
	for _, path := range f.written {
		faults = append(faults, os.Remove(path))
	}
	if f.created {
		faults = append(faults, os.Remove(f.dir))
	}
	return errors.Join(faults...)
}

// writeAll writes all files, the manifest last. Lists follow the objects, so that a list
// that is created meanwhile is there if one of the faces is in it.
func (f *moveFolder) writeAll(s *system, server *client) (*manifest, error) {
	m := &manifest{Format: manifestFormat, CreateTime: time.Now().UTC().Truncate(time.Millisecond)}
	for o := range matcher.Origins {
		file, err := f.writeFile(originFile(o), func(w io.Writer) error { return writeOrigin(s, server, o, w) })
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, file)
	}
	file, err := f.writeFile(listsFile, func(w io.Writer) error { return writeLists(s, server, w) })
	if err != nil {
		return nil, err
	}
	m.Files = append([]movedFile{file}, m.Files...)
	part := manifestName + ".part"
	_, err = f.writeFile(part, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(m)
	})
	if err != nil {
		return nil, err
	}
	return m, os.Rename(filepath.Join(f.dir, part), filepath.Join(f.dir, manifestName))
}

// writeFile writes a file to the disk and returns its entry in the manifest.
func (f *moveFolder) writeFile(name string, write func(io.Writer) error) (entry movedFile, err error) {
	path := filepath.Join(f.dir, name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return entry, err
	}
	f.written = append(f.written, path)
	defer func() { err = errors.Join(err, file.Close()) }()
	sum, buffer := newLineSum(name), bufio.NewWriterSize(file, 256<<10)
	if err := write(io.MultiWriter(buffer, sum)); err != nil {
		return entry, err
	}
	if err := buffer.Flush(); err != nil {
		return entry, err
	}
	return sum.file(), file.Sync()
}

// writeOrigin writes the objects of an origin.
func writeOrigin(s *system, server *client, o matcher.Origin, w io.Writer) error {
	answer, err := server.stream(s.ctx, http.MethodGet, "/1/export", url.Values{"origin": {o.String()}}, "", nil)
	if fault, ok := errors.AsType[*serverError](err); ok && fault.Code == matcher.CodeBadInput && o == matcher.Attributes {
		return checkNoAttributes(s, server, err)
	}
	if err != nil {
		return err
	}
	defer closeRead(answer)
	in := &errorRecorder{Reader: answer}
	n, err := io.Copy(w, in)
	if err := in.explain(server, s, n, err); err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	return nil
}

// checkNoAttributes is for servers that are too old to export attributes. It returns an
// error if the server has any.
func checkNoAttributes(s *system, server *client, cause error) error {
	r := resourceOf(matcher.Attributes)
	data, err := server.call(s.ctx, http.MethodGet, r.path, url.Values{"page_size": {"1"}}, nil)
	if err != nil {
		return err
	}
	p, err := parsePage(r, data)
	if err == nil && p.count != 0 {
		err = fmt.Errorf("the server has %d attributes, and its version cannot export them: %w", p.count, cause)
	}
	return err
}

// movedList is a line of the file of lists, and the body of the request that creates the
// list.
type movedList struct {
	ID         string `json:"list_id"`
	Account    string `json:"account_id,omitempty"`
	UserData   string `json:"user_data,omitempty"`
	CreateTime string `json:"create_time"`
}

// writeLists writes all lists, in the order of their ids.
func writeLists(s *system, server *client, w io.Writer) error {
	out := json.NewEncoder(w)
	query := url.Values{"page_size": {"1000"}}
	for {
		data, err := server.call(s.ctx, http.MethodGet, lists.path, query, nil)
		if err != nil {
			return err
		}
		p, err := parsePage(lists, data)
		if err != nil {
			return err
		}
		for _, text := range p.objects {
			var l movedList
			if err := json.Unmarshal(text, &l); err != nil {
				return fmt.Errorf("server: %s: %w", lists.path, err)
			}
			if err := out.Encode(l); err != nil {
				return err
			}
		}
		if len(p.objects) == 0 {
			return nil
		}
		query.Set("after", p.last)
	}
}
