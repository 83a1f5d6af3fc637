package lua

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/lua/luatest"
)

// TestStateIsReplaced: a state of the background side that keeps too much memory is
// replaced, with its routes and its events. Other plugins are not affected.
func TestStateIsReplaced(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event", "background"}, events = {"monitoring_event"}, limits = {memory = "4MiB"}}
local keep, generation = {}, 0
function M:initialize() generation = ns.kv.incr("made") end
function M:handle_event(points) ns.log.info("handled", {generation = generation}) end
function M:start()
  ns.route("GET", "/made", function() return 200, tostring(generation) end)
  if generation == 1 then
    ns.spawn(function() for i = 1, 1000 do keep[i] = ("x"):rep(100000 + i) ns.sleep(0) end end)
  end
end
return M`, func(o *Options) { o.Clock = clock })
	log.Wait(t, "plugin exceeded limits.memory")
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Replacing == 1 })
	h.Emit("monitoring_event", func() any { return map[string]any{} })
	luatest.WaitFor(t, func() bool {
		clock.Advance(time.Second)
		return h.Plugins()[0].Replacing == 0
	})
	log.Wait(t, "handled")
	if answer, err := h.Serve(context.Background(), Request{Method: "GET", Path: "/p/made"}); err != nil || string(answer.Body) != "2" {
		t.Errorf("%q, %v", answer.Body, err)
	}
	s := h.Plugins()[0]
	if s.Replaced != 1 || s.States != 1 || s.Lost != 0 || s.Memory > 4<<20 || s.MemoryLimit != 4<<20 {
		t.Errorf("%+v", s)
	}
}

// TestStateInfoAfterReplacement: the new state has the index of the old one and the reason
// "replaced". The old state's close hook is not called, and the values in its batches are
// dropped and counted.
func TestStateInfoAfterReplacement(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, states = 2, limits = {memory = "4MiB"}}
local keep = {}
function M:initialize(conf, state) self.state = state ns.log.info("initialize", state) end
function M:start(state)
  ns.log.info("start", state)
  ns.ready(function() ns.log.info("serves", state) end)
  ns.route("GET", "/state", function() return 200, state.reason .. state.index end)
  if state.index == 1 and state.reason == "start" then
    local b = ns.batch({size = 100, seconds = 1e4, flush = function() end})
    for i = 1, 3 do b:add(i) end
    ns.spawn(function() for i = 1, 1000 do keep[i] = ("x"):rep(100000 + i) ns.sleep(0) end end)
  end
end
function M:close() ns.log.info("close", self.state) end
return M`, func(o *Options) { o.Clock = clock })
	h.ServerReady()
	luatest.WaitFor(t, func() bool { s := h.Plugins()[0]; return s.Replacing == 1 && s.Dropped == 3 && len(s.Degraded) == 1 })
	if s := h.Plugins()[0]; s.States != 1 || !strings.Contains(s.Degraded[0], "state 1 of the main side: it held more memory") {
		t.Errorf("%d states, degraded %q", s.States, s.Degraded)
	}
	route := func() string {
		answer, err := h.Serve(context.Background(), Request{Method: "GET", Path: "/p/state"})
		if err != nil {
			t.Error(err)
		}
		return string(answer.Body)
	}
	if a, b := route(), route(); a != "start2" || b != "start2" {
		t.Errorf("%q and %q answer while a state is being created", a, b)
	}
	luatest.WaitFor(t, func() bool {
		clock.Advance(time.Second)
		return h.Plugins()[0].Replacing == 0
	})
	luatest.WaitFor(t, func() bool { return strings.Contains(log.All(), "msg=serves plugin=p count=2 index=1 reason=replaced") })
	if got := []string{route(), route()}; !slices.Contains(got, "replaced1") || !slices.Contains(got, "start2") {
		t.Errorf("%q answer", got)
	}
	for _, step := range []string{"initialize", "start", "serves"} {
		luatest.WantLines(t, log.All(), "msg="+step+" plugin=p count=2 index=1 reason=replaced side=main")
	}
	if s := h.Plugins()[0]; s.Dropped != 3 || len(s.Degraded) != 0 || strings.Contains(log.All(), "msg=close") {
		t.Errorf("%d values dropped, degraded %q, log:\n%s", s.Dropped, s.Degraded, log.All())
	}
	closeHost(t, h)
	if n := strings.Count(log.All(), "msg=close"); n != 2 {
		t.Errorf("%d close hooks ran, want 2", n)
	}
}

// TestReplacementIsTriedAgain: if a new state cannot be created, the host tries again.
// Until then, the plugin is degraded and its status says why.
func TestReplacementIsTriedAgain(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, _ := startHost(t, `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}, limits = {memory = "4MiB"}}
local keep = {}
function M:initialize(conf, state)
  if state.reason == "replaced" and ns.kv.incr("attempts") < 4 then error("no luck") end
end
function M:handle_event() for i = 1, 100 do keep[i] = ("x"):rep(100000 + i) end end
return M`, func(o *Options) { o.Clock = clock })
	began := clock.Now()
	h.Emit("monitoring_event", func() any { return map[string]any{} })
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Replacing == 1 })
	reasons := ""
	luatest.WaitFor(t, func() bool {
		clock.Advance(100 * time.Millisecond)
		s := h.Plugins()[0]
		reasons += strings.Join(s.Degraded, " ")
		return s.Replacing == 0
	})
	if !strings.Contains(reasons, "a new state cannot be created: initialize:") || !strings.Contains(reasons, "no luck") {
		t.Errorf("degraded: %.500s", reasons)
	}
	if took := clock.Now().Sub(began); took < 15*time.Second { // 1, 2, 4 and 8 s
		t.Errorf("it took %v", took)
	}
	if s := h.Plugins()[0]; s.Lost != 1 || s.States != 1 || len(s.Degraded) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestReplacementEndsWithThePlugin: a replacement that never succeeds ends with the plugin.
func TestReplacementEndsWithThePlugin(t *testing.T) {
	h, log := startHost(t, `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, limits = {memory = 1048576}}
local keep = {}
function M:start() ns.spawn(function() for i = 1, 100 do keep[i] = ("x"):rep(100000 + i) end end) end
return M`)
	log.Wait(t, "plugin exceeded limits.memory")
	closeHost(t, h)
}

// TestLogFields: a plugin cannot set the log fields of the host.
func TestLogFields(t *testing.T) {
	body := `ns.log.info("m", {level = "x", time = "x", msg = "x", source = "x", plugin = "other", Level = "x", field_msg = "y", own = 1,
		long = ("x"):rep(1e6), table = {1, {a = "b"}}, f = function() end})
local many = {} for i = 1, 1000 do many["k" .. i] = i end ns.log.info("many", many)`
	for name, handler := range map[string]func(b *bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		h, _ := startHost(t, "local ns = require('nearside') local M = {api = 1, name = 'p', kinds = {'background'}}\nfunction M:start() "+body+" end return M",
			func(o *Options) { o.Log = slog.New(handler(&b)) })
		closeHost(t, h)
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 2 || len(b.String()) > 20_000 {
			t.Fatalf("%s: %d lines, %d bytes", name, len(lines), b.Len())
		}
		if name == "text" {
			if !strings.Contains(lines[0], `table="[1,{\"a\":\"b\"}]"`) {
				t.Errorf("the table is not written as JSON: %.300s", lines[0])
			}
			for _, key := range []string{" level=", " msg=", " plugin=", " source="} {
				if n := strings.Count(" "+lines[0], key); n != 1 && key != " source=" || key == " source=" && n != 0 {
					t.Errorf("%q occurs %d times: %.300s", key, n, lines[0])
				}
			}
			continue
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(lines[0]), &m); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{
			"level": "INFO", "msg": "m", "plugin": "p", "field_level": "x", "field_time": "x", "field_msg": "x", "field_source": "x",
			"field_plugin": "other", "field_Level": "x", "field_field_msg": "y", "own": 1.0, "table": []any{1.0, map[string]any{"a": "b"}},
		} {
			if !reflect.DeepEqual(m[key], want) {
				t.Errorf("%s is %v, want %v", key, m[key], want)
			}
		}
		if !strings.Contains(lines[1], `"fields_left_out":968`) {
			t.Errorf("%.300s", lines[1])
		}
	}
}

// TestMemoryOption: limits.memory accepts the sizes that the configuration accepts, and
// refuses others.
func TestMemoryOption(t *testing.T) {
	for text, want := range map[string]int64{"64MiB": 64 << 20, "1 GiB": 1 << 30, "2000000": 2e6, "5MB": 5e6} {
		if n, ok := parseSize(text); !ok || n != want {
			t.Errorf("%s: %d, %v", text, n, ok)
		}
	}
	for _, bad := range []string{`"64"`, `1`, `"x"`, `"-5MiB"`, `true`, `0/0`, `1/0`, `"99999999999999999999TiB"`} {
		_, err := New(context.Background(), Options{
			Dir:    luatest.Folder(t, map[string]string{"p.lua": "return {api = 1, name = 'p', kinds = {'background'}, limits = {memory = " + bad + "}}"}),
			Active: []string{"p"},
		})
		if err == nil || !strings.Contains(err.Error(), "limits.memory") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
