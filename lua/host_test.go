package lua

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	ours := goleak.IgnoreCurrent() // package ants has a pool of its own from the start
	goleak.VerifyTestMain(m, ours, goleak.Cleanup(func(code int) {
		endPeers()
		os.Exit(code)
	}))
}

// lines is what plugins logged.
type lines struct {
	mu   sync.Mutex
	text []string
	c    chan string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(b))
	select {
	case l.c <- string(b):
	default:
	}
	return len(b), nil
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "")
}

// wait returns when a line with want was logged.
func (l *lines) wait(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for !strings.Contains(l.all(), want) {
		select {
		case <-l.c:
		case <-timeout:
			t.Fatalf("no line with %q in:\n%s", want, l.all())
		}
	}
}

// folder writes plugins, by file name, into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func background(body string) string {
	return "local ns = require('nearside')\nlocal M = {api = 1, name = 'p', kinds = {'background'}}\n" + body + "\nreturn M"
}

// start runs a host with a plugin named p of that source.
func start(t testing.TB, source string, change ...func(*Options)) (*Host, *lines) {
	t.Helper()
	log := &lines{c: make(chan string, 1000)}
	o := Options{
		Dir: folder(t, map[string]string{"p.lua": source}), Active: []string{"p"},
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&o)
	}
	h, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeHost(t, h) })
	return h, log
}

func closeHost(t testing.TB, h *Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestBackgroundPlugin(t *testing.T) {
	h, log := start(t, background(`
function M:initialize(conf) ns.log.info("init", {n = 1}) end
function M:start()
  ns.spawn(function(a) ns.sleep(0) ns.log.info("task " .. a) end, "x")
  local n, h = 0
  h = ns.every(0.001, function() n = n + 1 if n == 3 then ns.log.info("third") h:cancel() end end)
end
function M:close(reason) ns.log.info("closed by " .. reason) end`))
	log.wait(t, "init")
	log.wait(t, "task x")
	log.wait(t, "third")
	closeHost(t, h)
	log.wait(t, "closed by shutdown")
}

func TestEventPlugin(t *testing.T) {
	h, log := start(t, `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}}
function M:handle_event(points)
  for _, p in ipairs(points) do ns.log.info(p.series .. ":" .. p.tags.route) end
end
return M`)
	h.Emit("monitoring_event", func() any { return map[string]any{"series": "requests", "tags": map[string]any{"route": "r1"}} })
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.wait(t, "requests:r1")
}
