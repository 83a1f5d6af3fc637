package main

import (
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
	Origin string `help:"What is exported." enum:"faces,events" default:"faces"`
	List   string `help:"Only the faces of this list." placeholder:"ID"`
	Output string `short:"o" help:"File to write instead of the standard output. It appears when it is complete." placeholder:"FILE"`
}

// Help is shown below the flags.
func (*exportCmd) Help() string {
	return "Example:\n\n    nearside export -o faces.ndjson\n\nThe output has one object with its descriptors per line; import takes it as it is."
}

// Run streams the server's export.
func (c *exportCmd) Run(s *system) error {
	server, err := newClient(c.URL)
	if err != nil {
		return err
	}
	query := url.Values{"origin": {c.Origin}}
	if c.List != "" {
		id, err := matcher.ParseID(c.List)
		if err != nil {
			return usagef("--list: %v", err)
		}
		if c.Origin != "faces" {
			return usagef("--list: only faces are in lists, not %s", c.Origin)
		}
		query.Set("list_id", id.String())
	}
	answer, err := server.do(s.ctx, http.MethodGet, "/1/export", query, "", nil)
	if err != nil {
		return err
	}
	defer closeRead(answer)
	in := &endReader{Reader: answer}
	if c.Output == "" {
		n, err := io.Copy(s.stdout, in)
		return in.explain(server, s, n, err)
	}
	return writeWhole(c.Output, func(w io.Writer) error {
		n, err := io.Copy(w, in)
		return in.explain(server, s, n, err)
	})
}

// endReader keeps the error of reading apart from one of writing.
type endReader struct {
	io.Reader
	err error
}

func (r *endReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func (r *endReader) explain(server *client, s *system, n int64, err error) error {
	if r.err != nil {
		return fmt.Errorf("export broke off after %d bytes: %w", n, server.explain(s.ctx, r.err))
	}
	return err
}

// writeWhole puts what write writes at path, all of it or nothing.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error before is the one to tell
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
