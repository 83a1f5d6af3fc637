package server

import (
	"bytes"
	"context"
	"embed"
	"net/http"
	"strings"
	"time"

	"nearside/matcher"
)

//go:embed openapi.json openapi.yaml ui
var files embed.FS

func (s *Server) version(_ context.Context, x *exchange) error {
	v := x.server.Version
	return x.value(http.StatusOK, map[string]any{
		"Version": map[string]any{"api": 1, "major": v.Major, "minor": v.Minor, "patch": v.Patch},
	})
}

// healthcheck says whether the service can do its work, and on demand whether
// the remotes that it depends on can.
func (s *Server) healthcheck(_ context.Context, x *exchange) error {
	start := time.Now()
	all, err := x.flag("include_luna_services")
	if err != nil {
		return err
	}
	var faults []any
	if err := x.server.Store.Err(); err != nil {
		faults = append(faults, err.Error())
	}
	if all && x.server.Remotes != nil {
		for _, remote := range x.server.Remotes.States() {
			if remote.Reason != "" {
				faults = append(faults, "remote "+remote.Name+": "+remote.Reason)
			}
		}
	}
	if faults != nil {
		return x.value(http.StatusBadGateway, map[string]any{"errors": faults})
	}
	return x.value(http.StatusOK, map[string]any{"execution_time": time.Since(start).Seconds()})
}

// livez says that the process answers.
func (s *Server) livez(_ context.Context, x *exchange) error {
	return x.value(http.StatusOK, map[string]any{"status": "ok"})
}

// readyz says whether requests of every kind can be sent here.
func (s *Server) readyz(_ context.Context, x *exchange) error {
	if err := x.server.Store.Err(); err != nil {
		return matcher.Errorf(matcher.CodeUnavailable, "store: %w", err)
	}
	return x.value(http.StatusOK, map[string]any{"status": "ok"})
}

func (s *Server) config(_ context.Context, x *exchange) error {
	return x.value(http.StatusOK, x.limits.Config)
}

func (s *Server) metrics(_ context.Context, x *exchange) error {
	var text bytes.Buffer
	contentType, err := x.server.Metrics(&text, x.header("Accept"))
	if err != nil {
		return err
	}
	return x.send(http.StatusOK, contentType, text.Bytes())
}

// spec is the OpenAPI document.
func (s *Server) spec(_ context.Context, x *exchange) error {
	name, contentType := "openapi.json", "application/json"
	if accept := x.header("Accept"); strings.Contains(accept, "yaml") {
		name, contentType = "openapi.yaml", "application/x-yaml"
	}
	return x.file(name, contentType)
}

// page serves an embedded page.
func (s *Server) page(name string) handler {
	return func(_ context.Context, x *exchange) error { return x.file(name, "text/html; charset=utf-8") }
}

func (s *Server) favicon(_ context.Context, x *exchange) error {
	return x.file("ui/favicon.ico", "image/x-icon")
}

func (s *Server) index(_ context.Context, x *exchange) error {
	x.Redirect(http.StatusFound, []byte("/docs"))
	return nil
}

func (x *exchange) file(name, contentType string) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	return x.send(http.StatusOK, contentType, data)
}
