package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// interruptedSystem returns the environment of a command that SIGINT has interrupted.
func interruptedSystem(t *testing.T) (s *system, stdout *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interruption{syscall.SIGINT})
	stdout = &bytes.Buffer{}
	return &system{ctx, strings.NewReader(""), stdout, io.Discard, nil}, stdout
}

// TestBenchInterrupted: an interrupted bench prints the completed runs.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	target, err := url.Parse(benchServer(t, false))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0)}
	var mu sync.Mutex
	connections := map[string]bool{} // one for the requests before the runs, one for each run with one client
	server := httptest.NewUnstartedServer(proxy)
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		mu.Lock()
		defer mu.Unlock()
		if connections[r.In.RemoteAddr] = true; len(connections) == 3 {
			cancel(interruption{syscall.SIGINT})
		}
		r.SetURL(target)
	}
	server.Start()
	defer server.Close()

	var stdout bytes.Buffer
	const runs = 500 // a run may be too short for a request, and then makes no connection
	c := &benchCmd{Clients: slices.Repeat([]int{1}, runs), Duration: 20 * time.Millisecond, Batch: 1, Limit: 3, Format: "json"}
	c.URL = &server.URL
	err = c.Run(&system{ctx, nil, &stdout, io.Discard, nil})
	shown := strings.Count(stdout.String(), "closed")
	if err == nil || shown == 0 || err.Error() != fmt.Sprintf("interrupted in the run with 1 clients; %d of %d runs were completed", shown, runs) {
		t.Errorf("%v\n%s", err, &stdout)
	}
}

// TestPluginsInterrupted: interrupted tests and measurements of plugins end at once and
// report it.
func TestPluginsInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	s, stdout := interruptedSystem(t)
	err := (&pluginTestCmd{Plugins: []string{"teapot", "influx"}}).Run(s)
	if err == nil || err.Error() != "interrupted in the tests of teapot" || strings.Contains(stdout.String(), "influx") {
		t.Errorf("%v\n%s", err, stdout)
	}
	s, stdout = interruptedSystem(t)
	err = (&pluginBenchCmd{Plugin: "teapot", Time: time.Minute, Rows: 10}).Run(s)
	if err == nil || err.Error() != "interrupted; 0 hooks were measured" || stdout.Len() > 0 {
		t.Errorf("%v\n%s", err, stdout)
	}
}

// TestUntilInterrupted: a command that waits for input can be interrupted.
func TestUntilInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	quiet, end := io.Pipe()
	defer end.Close()
	in := untilInterrupted(ctx, quiet)
	go io.WriteString(end, "some")
	data := make([]byte, 4)
	if _, err := io.ReadFull(in, data); err != nil || string(data) != "some" {
		t.Errorf("%q, %v", data, err)
	}
	cancel(interruption{syscall.SIGINT})
	_, err := in.Read(data)
	if _, ok := errors.AsType[interruption](err); !ok {
		t.Error(err)
	}

	data, err = io.ReadAll(untilInterrupted(context.Background(), strings.NewReader("all")))
	if err != nil || string(data) != "all" {
		t.Errorf("%q, %v", data, err)
	}
}
