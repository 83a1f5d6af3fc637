package lua

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestStateIsReplaced: the background side that keeps too much is made again,
// with its routes and its events, and other plugins do not notice.
func TestStateIsReplaced(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	h, log := start(t, `local ns = require("nearside")
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
	log.wait(t, "plugin exceeded limits.memory")
	waitFor(t, func() bool { return h.Plugins()[0].Replacing == 1 })
	h.Emit("monitoring_event", func() any { return map[string]any{} })
	waitFor(t, func() bool {
		clock.advance(time.Second)
		return h.Plugins()[0].Replacing == 0
	})
	log.wait(t, "handled")
	if answer, err := h.Serve(context.Background(), Request{Method: "GET", Path: "/p/made"}); err != nil || string(answer.Body) != "2" {
		t.Errorf("%q, %v", answer.Body, err)
	}
	s := h.Plugins()[0]
	if s.Replaced != 1 || s.States != 1 || s.Lost != 0 || s.Memory > 4<<20 || s.MemoryLimit != 4<<20 {
		t.Errorf("%+v", s)
	}
}

// TestReplacementEndsWithThePlugin: also one that would never succeed.
func TestReplacementEndsWithThePlugin(t *testing.T) {
	h, log := start(t, `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, limits = {memory = 1048576}}
local keep = {}
function M:start() ns.spawn(function() for i = 1, 100 do keep[i] = ("x"):rep(100000 + i) end end) end
return M`)
	log.wait(t, "plugin exceeded limits.memory")
	closeHost(t, h)
}

// TestLogFields: a plugin's fields are never those of the host.
func TestLogFields(t *testing.T) {
	body := `ns.log.info("m", {level = "x", time = "x", msg = "x", source = "x", plugin = "other", Level = "x", field_msg = "y", own = 1,
		long = ("x"):rep(1e6), table = {1, {a = "b"}}, f = function() end})
local many = {} for i = 1, 1000 do many["k" .. i] = i end ns.log.info("many", many)`
	for name, handler := range map[string]func(b *bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		h, _ := start(t, "local ns = require('nearside') local M = {api = 1, name = 'p', kinds = {'background'}}\nfunction M:start() "+body+" end return M",
			func(o *Options) { o.Log = slog.New(handler(&b)) })
		closeHost(t, h)
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 2 || len(b.String()) > 20_000 {
			t.Fatalf("%s: %d lines, %d bytes", name, len(lines), b.Len())
		}
		if name == "text" {
			for _, key := range []string{" level=", " msg=", " plugin=", " source="} {
				if n := strings.Count(" "+lines[0], key); n != 1 && key != " source=" || key == " source=" && n != 0 {
					t.Errorf("%q is there %d times: %.300s", key, n, lines[0])
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
			"field_plugin": "other", "field_Level": "x", "field_field_msg": "y", "own": 1.0, "table": `[1,{"a":"b"}]`,
		} {
			if m[key] != want {
				t.Errorf("%s is %v, want %v", key, m[key], want)
			}
		}
		if !strings.Contains(lines[1], `"fields_left_out":968`) {
			t.Errorf("%.300s", lines[1])
		}
	}
}

// TestMemoryOption: sizes as in the configuration; others are refused.
func TestMemoryOption(t *testing.T) {
	for text, want := range map[string]int64{"64MiB": 64 << 20, "1 GiB": 1 << 30, "2000000": 2e6, "5MB": 5e6} {
		if n, ok := parseSize(text); !ok || n != want {
			t.Errorf("%s: %d, %v", text, n, ok)
		}
	}
	for _, bad := range []string{`"64"`, `1`, `"x"`, `"-5MiB"`, `true`, `0/0`, `1/0`, `"99999999999999999999TiB"`} {
		_, err := New(context.Background(), Options{
			Dir:    folder(t, map[string]string{"p.lua": "return {api = 1, name = 'p', kinds = {'background'}, limits = {memory = " + bad + "}}"}),
			Active: []string{"p"},
		})
		if err == nil || !strings.Contains(err.Error(), "limits.memory") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
