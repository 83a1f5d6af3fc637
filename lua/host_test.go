package lua

import (
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearside/lua/luatest"
)

func TestMain(m *testing.M) {
	ours := goleak.IgnoreCurrent() // package ants starts a pool when the program starts
	forget := trustTestServers()
	goleak.VerifyTestMain(m, ours, goleak.Cleanup(func(code int) {
		luatest.EndServers()
		forget()
		os.Exit(code)
	}))
}

// trustTestServers makes the system trust the certificate of httptest. A process reads the
// certificates of the system only once. forget removes the file.
func trustTestServers() (forget func()) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	file, err := os.CreateTemp("", "nearside-*.pem")
	if err == nil {
		err = pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		err = errors.Join(err, file.Close(), os.Setenv("SSL_CERT_FILE", file.Name()))
	}
	if err != nil {
		panic(err)
	}
	return func() { _ = os.Remove(file.Name()) }
}

// startHost runs a host with a plugin named p of that source.
func startHost(t testing.TB, source string, change ...func(*Options)) (*Host, *luatest.Lines) {
	t.Helper()
	log := luatest.NewLines()
	o := Options{
		Dir: luatest.Folder(t, map[string]string{"p.lua": source}), Active: []string{"p"},
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
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:initialize(conf) ns.log.info("init", {n = 1}) end
function M:start()
  ns.spawn(function(a) ns.sleep(0) ns.log.info("task " .. a) end, "x")
  local n, h = 0
  h = ns.every(0.001, function() n = n + 1 if n == 3 then ns.log.info("third") h:cancel() end end)
end
function M:close(reason) ns.log.info("closed by " .. reason) end`))
	log.Wait(t, "init")
	log.Wait(t, "task x")
	log.Wait(t, "third")
	closeHost(t, h)
	log.Wait(t, "closed by shutdown")
}

func TestEventPlugin(t *testing.T) {
	h, log := startHost(t, `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}}
function M:handle_event(points)
  for _, p in ipairs(points) do ns.log.info(p.series .. ":" .. p.tags.route) end
end
return M`)
	h.Emit("monitoring_event", func() any { return map[string]any{"series": "requests", "tags": map[string]any{"route": "r1"}} })
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.Wait(t, "requests:r1")
}
