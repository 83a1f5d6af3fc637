package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nearside/internal/config"
)

// heldRecords is the number of objects of the tests that hold a start. A start from the
// database reports its progress after each 4,096 of them.
const heldRecords = 9000

// storedDir returns the data directory of a stopped server with heldRecords faces and
// without segments.
func storedDir(t *testing.T, configFile string) string {
	t.Helper()
	dir := t.TempDir()
	p := serve(t, configFile, dir)
	var lines strings.Builder
	for n := range heldRecords {
		lines.WriteString(importLine(n))
	}
	var answer struct{ Accepted int }
	p.mustCall(t, "POST", "/1/import", lines.String(), &answer)
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(); code != 0 || answer.Accepted != heldRecords {
		t.Fatalf("%d objects are stored, code %d:\n%s", answer.Accepted, code, p.log())
	}
	if err := os.RemoveAll(filepath.Join(dir, "segments")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// heldStart is a start in this process that stops at each report of loaded objects.
type heldStart struct {
	*service
	url    string
	loaded chan [2]uint64 // receives each progress; the start goes on after that
	ended  chan error     // receives the error of start and serve
	cancel context.CancelFunc
}

func holdStart(t *testing.T, configFile, dir string) *heldStart {
	t.Helper()
	cfg, _, err := config.Read(configFile, nil, map[string]any{"listen": "127.0.0.1:0", "data_dir": dir})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := newService(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := &heldStart{service: svc, url: "http://" + svc.server.Addr().String(), loaded: make(chan [2]uint64), ended: make(chan error, 1)}
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(t.Context())
	svc.loading = func(done, total uint64) {
		if done == 0 {
			return
		}
		for _, value := range [][2]uint64{{}, {done, total}} {
			select {
			case h.loaded <- value:
			case <-t.Context().Done(): // the test has failed
			}
		}
	}
	go func() {
		loaded, err := svc.start(ctx)
		close(h.loaded)
		if loaded {
			err = svc.serve(ctx, nil, nil)
		}
		h.ended <- err
	}()
	return h
}

// get sends a request on a new connection, and returns the status and the detail of an error.
func get(t *testing.T, url string) (status int, detail string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct{ Detail string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body.Detail
}

// TestProgressOfStart: while the stored objects are loaded, GET /readyz shows how many are,
// the server is alive, and other requests are refused. After that, all are answered.
func TestProgressOfStart(t *testing.T) {
	t.Parallel()
	configFile := writeConfig(t, serveConfig)
	h := holdStart(t, configFile, storedDir(t, configFile))
	defer h.cancel()
	var shown []string
	for range h.loaded { // the start waits
		if status, _ := get(t, h.url+"/livez"); status != http.StatusOK {
			t.Errorf("GET /livez: %d", status)
		}
		if status, detail := get(t, h.url+"/1/faces"); status != http.StatusServiceUnavailable || !strings.Contains(detail, "starting") {
			t.Errorf("GET /1/faces: %d %s", status, detail)
		}
		status, detail := get(t, h.url+"/readyz")
		shown = append(shown, fmt.Sprint(status, " ", detail))
		progress := <-h.loaded
		if want := fmt.Sprintf(" %d of %d records", progress[0], progress[1]); !strings.Contains(detail, want) || progress[1] != heldRecords {
			t.Errorf("%q, want %q", detail, want)
		}
	}
	const want = "503 the server is starting: loading, 4096 of 9000 records (46 %); 503 the server is starting: loading, 8192 of 9000 records (91 %)"
	if got := strings.Join(shown, "; "); got != want {
		t.Errorf("GET /readyz during the start:\n%s\nwant\n%s", got, want)
	}
	if status, _ := get(t, h.url+"/readyz"); status != http.StatusOK {
		t.Errorf("GET /readyz after the start: %d", status)
	}
	if n := h.memory.Stats().Rows[0]; n != heldRecords {
		t.Errorf("%d faces are loaded", n)
	}
	h.cancel()
	if err := <-h.ended; err != nil {
		t.Error(err)
	}
}

// TestStopDuringLoading: a stop while objects are loaded ends the start, the server and
// open connections, and releases the data directory.
func TestStopDuringLoading(t *testing.T) {
	t.Parallel()
	configFile := writeConfig(t, serveConfig)
	dir := storedDir(t, configFile)
	h := holdStart(t, configFile, dir)
	<-h.loaded // the start waits
	idle, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	h.cancel()
	if first := <-h.loaded; first[0] >= heldRecords {
		t.Fatalf("the first progress is %d of %d", first[0], first[1])
	}
	if _, more := <-h.loaded; more {
		t.Error("the start went on")
	}
	if err := <-h.ended; err != nil {
		t.Error(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("a connection is open")
	}
	p := serve(t, configFile, dir)
	if n := p.faceCount(t); n != heldRecords {
		t.Errorf("%d faces are stored", n)
	}
}

// freeAddress returns an address that no process listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestSignalsDuringStart: a plugin holds the start of a server. SIGHUP then reloads after the
// start, and SIGTERM ends the start with code 0. A second server with the same data
// directory and address says that both are in use.
func TestSignalsDuringStart(t *testing.T) {
	t.Parallel()
	reached, proceed := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case reached <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
	}))
	defer gate.Close()
	folder, dir := t.TempDir(), t.TempDir()
	source := fmt.Sprintf(`local ns = require("nearside")
return {api = 1, name = "slow", kinds = {"background"}, permissions = {%q}, initialize = function() ns.http.get(%q) end}`,
		"http:"+gate.Listener.Addr().String(), gate.URL)
	if err := os.WriteFile(filepath.Join(folder, "slow.lua"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	configFile := writeConfig(t, serveConfig+"plugins: {dir: "+folder+", active: [slow]}\n")
	address := freeAddress(t)
	command := func() *exec.Cmd {
		c := exec.Command("nearside", "serve", "--config", configFile, "--listen", address, "--data-dir", dir)
		c.Dir = t.TempDir()
		return c
	}

	p := spawn(t, command())
	<-reached // the start waits
	status, detail := get(t, "http://"+address+"/readyz")
	if status != http.StatusServiceUnavailable || detail != "the server is starting: starting plugins" {
		t.Errorf("GET /readyz: %d %s", status, detail)
	}
	second := launch(t, command())
	if code := second.wait(); code != 1 || !strings.Contains(second.log(), "data_dir: "+dir+" is in use") || !strings.Contains(second.log(), "address already in use") {
		t.Errorf("the second server ended with code %d:\n%s", code, second.log())
	}
	p.signal(t, syscall.SIGHUP)
	proceed <- struct{}{}
	if p.url = <-p.listening; p.url != "http://"+address {
		t.Fatalf("the server listens on %q:\n%s", p.url, p.log())
	}
	<-reached // the reload
	proceed <- struct{}{}
	eventually(t, func() error {
		if !strings.Contains(p.log(), "plugins, limits, remotes, keys and log level reloaded") {
			return fmt.Errorf("not reloaded:\n%s", p.log())
		}
		return nil
	})
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("code %d:\n%s", code, p.log())
	}

	p = spawn(t, command())
	<-reached
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(); code != 0 || !strings.Contains(p.log(), "stopping before the start is complete") || strings.Contains(p.log(), "listening on") {
		t.Errorf("code %d:\n%s", code, p.log())
	}
}
