package lua

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
)

// wantRefused checks that a host does not start, and that the error contains each of want.
func wantRefused(t *testing.T, o Options, want ...string) {
	t.Helper()
	h, err := New(context.Background(), o)
	if err == nil {
		closeHost(t, h)
		t.Errorf("started; want an error with %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %v; want %q", err, w)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := func(source string, want ...string) {
		t.Helper()
		wantRefused(t, Options{Dir: luatest.Folder(t, map[string]string{"p.lua": source}), Active: []string{"p.lua"}}, append(want, "p.lua")...)
	}
	head := `local M = {api = 1, name = "p", kinds = {"background"}} `
	f("local x = = 1", "p.lua:1: near '='")
	f("x = 1", `p.lua:1: write to the undeclared global "x"`)
	f("\nerror('no')", "p.lua:2: no")
	f("return 5", "must return one table")
	f("", "must return one table")
	f(`return {api = 1, name = "p", kinds = {"background"}, schema = {print, [5] = 1}}`, "schema: ")
	f(`return {api = 2, name = "p", kinds = {"event"}}`, "api: must be 1, the only version of the plugin interface, got 2", "events: name at least one")
	f(`return {api = 1, name = "q", kinds = {"background"}}`, `name: "q" is not the name of the plugin's file, "p"`)
	f(`return {api = 1, name = "p"}`, "kinds: name at least one")
	f(`return {api = 1, name = "p", kinds = {"evnt"}}`, `kinds: [1]: "evnt" is not one of`)
	f(`return {api = 1, name = "p", kinds = {"event"}, events = {"x"}}`, `events: [1]: "x" is not one of`)
	f(head+`M.permissions = {"file:x"} return M`, `permissions[1]: "file:x" must begin with one of http`)
	f(head+`M.permissions = {"http"} return M`, "does not name a host")
	f(head+`function M:match() end return M`, "match: is only for plugins of kind matching")
	f(head+`M.start = 5 return M`, "start: is not a function")
	f(head+`M.limits = {start = -1, x = 1} return M`, "limits.start: -1 is not a number from", "limits.x: is unknown")
	f(head+`M.permission = {} return M`, "permission: is unknown")
	f(head+`M.states = 1000 return M`, "states: 1000 is not a whole number from 1 to 64")
	f(head+"\nfunction M:initialize() error('bad start', 0) end return M", "initialize: bad start")
	f("require('nearside').spawn(print)", "tasks can be started from initialize on")
	f(head+"\nfunction M:start() while true do end end return M", "start: ", "too long")
	f(`return {api = 1, name = "p", kinds = {"matching"}, matching = {origin = {}, order = "x", on_error = "stop"}}`,
		"matching.origin: is unknown", `matching.order: text "x" is not a whole number`, `matching.on_error: "stop" is not one of`)
	f(`return {api = 1, name = "p", kinds = {"matching"}, cost = function() end}`, "cost: is only for plugins with the hook match")

	dir := luatest.Folder(t, map[string]string{"a.lua": "", "a/init.lua": "", "b/x.lua": ""})
	wantRefused(t, Options{Dir: dir, Active: []string{"a"}}, `plugin "a" exists twice`, "a.lua", "a/init.lua")
	wantRefused(t, Options{Dir: dir, Active: []string{"b"}}, `there is no plugin "b"`, "b.lua", "b/init.lua")
	wantRefused(t, Options{Dir: dir, Active: []string{"../a"}}, `"../a" is not a valid name of a plugin`)
	wantRefused(t, Options{Dir: filepath.Join(dir, "missing"), Active: []string{"a"}}, `there is no plugin "a"`)
}

func TestSettings(t *testing.T) {
	source := `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, schema = {type = "object", additionalProperties = false,
  required = {"url"}, properties = {url = {type = "string"}, n = {type = "integer", minimum = 1, default = 3},
  deep = {type = "object", default = {}, properties = {x = {type = "number", default = 1.5}}}}}}
function M:initialize(conf) ns.log.info(conf.url .. conf.n .. conf.deep.x .. ns.conf.url) end
return M`
	files := map[string]string{"p.lua": source}
	set := func(settings any) Options {
		return Options{Dir: luatest.Folder(t, files), Active: []string{"p"}, Settings: map[string]any{"p": settings}}
	}
	wantRefused(t, set(map[string]any{"url": 5.0}), "plugins.settings.p: url: got number, want string")
	wantRefused(t, set(map[string]any{"url": "u", "n": 0}), "n: ", "minimum")
	wantRefused(t, set(map[string]any{"url": "u", "other": 1}), "other")
	wantRefused(t, set(map[string]any{}), "url")
	wantRefused(t, set([]any{}), "is not a table")
	_, log := startHost(t, source, func(o *Options) { o.Settings = map[string]any{"p": map[string]any{"url": "u"}} })
	log.Wait(t, "u31.5u")
	wantRefused(t, Options{
		Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin("")}), Active: []string{"p"},
		Settings: map[string]any{"p": map[string]any{"x": 1}},
	}, "x is unknown: the plugin has no schema")
}

func TestFolderWinsOverShipped(t *testing.T) {
	named := func(version string) string {
		return `return {api = 1, kinds = {"background"}, name = "p", version = "` + version + `"}`
	}
	shipped := fstest.MapFS{"p.lua": {Data: []byte(named("shipped"))}, "s.lua": {Data: []byte(strings.Replace(named("s"), `"p"`, `"s"`, 1))}}
	h, log := startHost(t, named("own"), func(o *Options) { o.Shipped, o.Active = shipped, []string{"p", "s", "p.lua"} })
	log.Wait(t, "takes the place of the shipped plugin")
	all := h.Plugins()
	if len(all) != 2 || all[0].Version != "own" || all[1].Version != "s" || all[1].File != "shipped/s.lua" {
		t.Errorf("%+v", all)
	}
}

// TestRequireStaysInTheFolder: neither dots nor symbolic links lead out of the folder.
func TestRequireStaysInTheFolder(t *testing.T) {
	outside := luatest.Folder(t, map[string]string{"secret.lua": "return 'secret'"})
	for name, want := range map[string]string{
		"../secret": "not found", "./../secret": "is not the name of a file", "./a/../../secret": "is not the name",
		"/etc/x": "not found", "./link": "", "./missing": "no such file", ".": "not found",
	} {
		dir := luatest.Folder(t, map[string]string{
			"p/init.lua": "local x = require('" + name + "') return {api = 1, name = 'p', kinds = {'background'}, version = x}",
			"secret.lua": "return 'secret'",
		})
		if err := os.Symlink(filepath.Join(outside, "secret.lua"), filepath.Join(dir, "p", "link.lua")); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, Options{Dir: dir, Active: []string{"p"}}, want)
	}
	dir := luatest.Folder(t, map[string]string{
		"p/init.lua": "return {api = 1, name = 'p', kinds = {'background'}, version = require('./sub/x').v}", "p/sub/x.lua": "return {v = 'neighbour'}",
	})
	h, err := New(context.Background(), Options{Dir: dir, Active: []string{"p"}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeHost(t, h)
	if v := h.Plugins()[0].Version; v != "neighbour" {
		t.Error(v)
	}
}

func rewrite(t testing.TB, h *Host, source string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.o.Dir, "p.lua"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
}

func versioned(version, body string) string {
	return "local ns = require('nearside') local M = {api = 1, name = 'p', version = '" + version + "', kinds = {'event', 'background'}, events = {'monitoring_event'}}\nfunction M:handle_event() end\n" + body + "\nreturn M"
}

func TestReload(t *testing.T) {
	h, log := startHost(t, versioned("1", `
function M:start() ns.kv.set("n", 1) ns.spawn(function() while true do pcall(ns.sleep, 0.001) end end) end
function M:handle_event(points) ns.log.info("one got " .. #points) end
function M:close(reason) ns.log.info("one closed by " .. reason) end`))
	h.Emit("monitoring_event", func() any { return map[string]any{} }) // stays in the queue until the reload drains it
	rewrite(t, h, "syntax error")
	if err := h.Reload(context.Background()); err == nil || !strings.Contains(err.Error(), "p.lua:1") {
		t.Errorf("a broken file: %v", err)
	}
	if v := h.Plugins()[0].Version; v != "1" {
		t.Errorf("version %s runs after a failed reload", v)
	}
	rewrite(t, h, versioned("2", `function M:start() error("no") end`))
	if err := h.Reload(context.Background()); err == nil {
		t.Error("a failing start was accepted")
	}
	rewrite(t, h, versioned("2", `function M:initialize() ns.log.info("two sees " .. ns.kv.get("n")) end`))
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one got 1", "one closed by reload", "two sees 1"} {
		if !strings.Contains(log.All(), want) {
			t.Errorf("no line %q in\n%s", want, log.All())
		}
	}
	if v := h.Plugins()[0].Version; v != "2" {
		t.Errorf("version %s runs", v)
	}
	closeHost(t, h)
	if err := h.Reload(context.Background()); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// TestReloadsLeakNoGoroutines: many reloads with events and requests leak no goroutines.
// Every request is answered, by one generation or the next.
func TestReloadsLeakNoGoroutines(t *testing.T) {
	h, _ := startHost(t, versioned("1", `
function M:start()
  for i = 1, 5 do ns.spawn(function() while true do pcall(ns.sleep, 1000) end end) end
  ns.every(0.001, function() end)
  ns.batch{size = 2, flush = function() end}:add(1)
end
function M:handle_event(points) for i = 1, 100 do end end`))
	route := func() {
		in := h.current.Load().plugins[0].main.first()
		fn := in.hooks["start"] // any function can be a handler here
		if err := in.AddRoute("GET", "/x", "admin", fn); err != nil {
			t.Error(err)
		}
	}
	route()
	stop, cancel := context.WithCancel(context.Background())
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			for stop.Err() == nil {
				h.Emit("monitoring_event", func() any { return map[string]any{"a": 1} })
				runtime.Gosched()
			}
		})
	}
	load.Go(func() {
		for stop.Err() == nil {
			_, err := h.Serve(stop, Request{Method: "GET", Path: "/p/none"})
			if matcher.CodeOf(err) != matcher.CodeNoRoute {
				t.Error(err)
			}
		}
	})
	var before int
	for i := range 30 {
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			before = runtime.NumGoroutine()
		}
	}
	after := runtime.NumGoroutine()
	cancel()
	load.Wait()
	if after > before+10 {
		t.Errorf("%d goroutines after 5 reloads, %d after 30", before, after)
	}
}

func TestRoutes(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`
M.limits = {route = 0.2}
M.initialize = function() end
M.start = function(self, req)
  if not req then return end
  if req.path == "/p/echo" then return 418, req.method .. req.query.q .. req.body, {["X-A"] = "b"} end
  if req.path == "/p/json" then return 200, {a = 1} end
  if req.path == "/p/slow" then ns.sleep(100) end
  if req.path == "/p/error" then error("broken") end
  if req.path == "/p/header" then return 200, "", {x = "a\r\nb"} end
  return "no status"
end`))
	in := h.current.Load().plugins[0].main.first()
	for _, path := range []string{"/echo", "/json", "/slow", "/error", "/header", "/other"} {
		if err := in.AddRoute("GET", path, "read", startAsHandler(t, in)); err != nil {
			t.Fatal(err)
		}
	}
	get := func(method, path string) (Response, error) {
		return h.Serve(context.Background(), Request{Method: method, Path: path, Query: map[string][]string{"q": {"Q"}}, Body: []byte("B")})
	}
	r, err := get("GET", "/p/echo")
	if err != nil || r.Status != 418 || string(r.Body) != "GETQB" || r.Headers["x-a"] != "b" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = get("GET", "/p/json")
	if err != nil || string(r.Body) != `{"a":1}` || r.Headers["content-type"] != "application/json" {
		t.Errorf("%+v %v", r, err)
	}
	f := func(method, path string, want matcher.Code) {
		t.Helper()
		if _, err := get(method, path); matcher.CodeOf(err) != want {
			t.Errorf("%s %s: %v, want code %d", method, path, err, want)
		}
	}
	f("GET", "/p/none", matcher.CodeNoRoute)
	f("GET", "/q/echo", matcher.CodeNoRoute)
	f("POST", "/p/echo", matcher.CodeMethod)
	f("GET", "/p/slow", matcher.CodeDeadline)
	f("GET", "/p/error", matcher.CodeInternal)
	f("GET", "/p/header", matcher.CodeInternal)
	f("GET", "/p/other", matcher.CodeInternal)
	if err := in.AddRoute("FETCH", "/x", "read", startAsHandler(t, in)); err == nil {
		t.Error("method FETCH was accepted")
	}
	if got := fmt.Sprint(h.Plugins()[0].Routes); got != "[GET /echo GET /error GET /header GET /json GET /other GET /slow]" {
		t.Error(got)
	}
}

// startAsHandler returns a handler that calls the plugin's start hook, without self.
func startAsHandler(t *testing.T, in *instance) *vm.Func {
	t.Helper()
	script, err := vm.Compile("handler.lua", "return function(start) return function(req) return start(nil, req) end end", ns.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, maker, err := in.State.Load(context.Background(), vm.Limits{}, script)
	if err != nil {
		t.Fatal(err)
	}
	r, err := in.Call(context.Background(), vm.Limits{}, maker.(*vm.Func), in.hooks["start"])
	if err != nil {
		t.Fatal(err)
	}
	return r[0].(*vm.Func)
}

// TestEventsThatFail: errors are counted and the breaker opens. After its pause, a
// successful call closes it.
func TestEventsThatFail(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, versioned("1", `
function M:handle_event(points)
  if points[1].bad then error("bad point") end
  ns.log.info("good " .. points[1].n)
end`), func(o *Options) { o.Clock, o.BreakerLimit, o.EventBatch = clock, 3, 1 })
	for range 5 {
		h.Emit("monitoring_event", func() any { return map[string]any{"bad": true} })
	}
	luatest.WaitFor(t, func() bool { s := h.Plugins()[0]; return s.Lost == 5 })
	s := h.Plugins()[0]
	if s.Failures != 3 || s.Hooks[0].State != "open" || !strings.Contains(s.LastError, "bad point") || s.Totals.Errors != 3 {
		t.Errorf("%+v", s)
	}
	clock.Advance(time.Minute)
	h.Emit("monitoring_event", func() any { return map[string]any{"n": 7} })
	log.Wait(t, "good 7")
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Hooks[0].State == "closed" })
}

func TestQueueDropsTheOldest(t *testing.T) {
	q := newQueue(3)
	for i := range 5 {
		q.push(point{"a", func() any { return i }})
	}
	q.push(point{"b", func() any { return 5 }})
	if _, values := q.takeBatch(10); len(values) != 2 || values[0]() != 3 || values[1]() != 4 {
		t.Error(values)
	}
	if name, values := q.takeBatch(10); name != "b" || len(values) != 1 || values[0]() != 5 {
		t.Error(name, values)
	}
	if n, _, dropped, _ := q.counts(); n != 0 || dropped != 3 {
		t.Error(n, dropped)
	}
}
