package server

import (
	"bytes"
	"context"
	"embed"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"nearside/matcher"
)

//go:embed openapi.json openapi.yaml ui
var embedded embed.FS

// files are the embedded files by name. All answers share them, so they must not be
// changed. embed.FS would make a copy for each answer.
var files = readFiles(embedded)

func readFiles(from fs.FS) map[string][]byte {
	all := map[string][]byte{}
	err := fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all[name], err = fs.ReadFile(from, name)
		}
		return err
	})
	if err != nil {
		panic(err) // reading embedded files cannot fail
	}
	return all
}

func (s *Server) version(_ context.Context, x *exchange) error {
	v := x.options.Version
	return x.sendValue(http.StatusOK, map[string]any{
		"Version": map[string]any{"api": 1, "major": v.Major, "minor": v.Minor, "patch": v.Patch},
	})
}

// healthcheck reports whether the store works. With ?include_luna_services=1 it also
// reports whether the remotes work.
func (s *Server) healthcheck(_ context.Context, x *exchange) error {
	start := time.Now()
	withRemotes, err := x.flag("include_luna_services")
	if err != nil {
		return err
	}
	var faults []any
	if err := x.options.Store.Err(); err != nil {
		faults = append(faults, err.Error())
	}
	if withRemotes && x.options.Remotes != nil {
		for _, remote := range x.options.Remotes.States() {
			if remote.Reason != "" {
				faults = append(faults, "remote "+remote.Name+": "+remote.Reason)
			}
		}
	}
	if faults != nil {
		return x.sendValue(http.StatusBadGateway, map[string]any{"errors": faults})
	}
	return x.sendValue(http.StatusOK, map[string]any{"execution_time": time.Since(start).Seconds()})
}

// livez reports that the process is running.
func (s *Server) livez(_ context.Context, x *exchange) error {
	return x.sendValue(http.StatusOK, map[string]any{"status": "ok"})
}

// readyz reports whether the store works, or the progress of a start. While the server
// shuts down, wrap refuses the request before it gets here.
func (s *Server) readyz(_ context.Context, x *exchange) error {
	if x.options.Parts == nil {
		return startingError(s.progress.Load())
	}
	if err := x.options.Store.Err(); err != nil {
		return matcher.Errorf(matcher.CodeUnavailable, "the server is not ready: %w", err)
	}
	return x.sendValue(http.StatusOK, map[string]any{"status": "ok"})
}

func (s *Server) config(_ context.Context, x *exchange) error {
	return x.sendValue(http.StatusOK, x.limits.Config)
}

func (s *Server) metrics(_ context.Context, x *exchange) error {
	var text bytes.Buffer
	contentType, err := x.options.Metrics(&text, x.header("Accept"))
	if err != nil {
		return err
	}
	return x.send(http.StatusOK, contentType, text.Bytes())
}

// spec sends the OpenAPI document as JSON or YAML.
func (s *Server) spec(_ context.Context, x *exchange) error {
	name, contentType := "openapi.json", "application/json"
	if accept := x.header("Accept"); strings.Contains(accept, "yaml") {
		name, contentType = "openapi.yaml", "application/x-yaml"
	}
	return x.sendFile(name, contentType)
}

// page sends the embedded page of the route.
func (s *Server) page(_ context.Context, x *exchange) error {
	return x.sendFile(x.operation.page, "text/html; charset=utf-8")
}

func (s *Server) favicon(_ context.Context, x *exchange) error {
	return x.sendFile("ui/favicon.ico", "image/x-icon")
}

func (s *Server) index(_ context.Context, x *exchange) error {
	x.Redirect(http.StatusFound, []byte("/docs"))
	return nil
}

func (x *exchange) sendFile(name, contentType string) error {
	return x.send(http.StatusOK, contentType, files[name])
}
