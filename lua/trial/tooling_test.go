package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearside/lua"
	"nearside/lua/luatest"
)

// TestScaffold checks that the files that `plugin new` writes have no faults, pass their
// own tests, and can be measured.
func TestScaffold(t *testing.T) {
	for _, kind := range []lua.Kind{lua.Event, lua.Background, lua.Matching} {
		files, err := Scaffold("p", kind)
		if err != nil {
			t.Fatal(err)
		}
		dir := luatest.Folder(t, files)
		if err := lua.Check(t.Context(), lua.Options{Dir: dir}, "p"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		got, err := runTrials(t, files)
		if err != nil || strings.Count(got, ": ok\n") != 2 || strings.Count(got, "\n") != 2 {
			t.Errorf("%s: %v\n%s", kind, err, got)
		}
		figures, err := Measure(t.Context(), lua.Options{Dir: dir}, "p", 100, time.Nanosecond)
		if err != nil || len(figures) != 1 || figures[0].Count == 0 || figures[0].Instructions < 5 || figures[0].Nanoseconds <= 0 {
			t.Errorf("%s: %+v, %v", kind, figures, err)
		}
		for name, text := range files {
			if strings.Contains(text, "NAME") {
				t.Errorf("%s: NAME is left", name)
			}
		}
	}
	for _, name := range []string{"", "a/b", "x_test", "..", strings.Repeat("x", 65)} {
		if _, err := Scaffold(name, lua.Event); err == nil {
			t.Errorf("the plugin name %q was accepted", name)
		}
	}
	if _, err := Scaffold("p", "other"); err == nil {
		t.Error("an unknown kind was accepted")
	}
}

// TestCheckReportsLines checks that the error gives the line of every fault.
func TestCheckReportsLines(t *testing.T) {
	dir := luatest.Folder(t, map[string]string{"p.lua": `local ns = require("nearside")
local M = {
  api = 2, name = "other", -- permissions = nothing
  kinds = { "event", "evnt" },
  permissions = {
    "htp:x",
  },
  matching = { orders = {} },
  events = { "monitoring_event" },
}
function M:initialize() ns.http.get("x") end
function M:start() end
return M`, "q.lua": `local ns = require("nearside")
local M = {api = 1, name = "q", kinds = {"background"}, permissions = {"redis:*"},
  schema = {type = "object",
    properties = {a = {type = "nothing"}}}}
return M`, "r.lua": `local ns = require("nearside")
local M = {api = 1, name = "r", kinds = {"background"}, permissions = {"redis:*"}, schema = {type = "object", required = {"url"}}}
function M:start()
  ns.redis.connect("redis://x")
  ns.amqp.connect("amqp://x")
  ns.store.get_face("x")
end
return M`, "s.lua": "local x = = 1", "d.lua": `local M = {api = 1, name = "d", kinds = {"background"}, schema = {type = "object",
  properties = {
    a = {type = "number", default = "x"},
    ["b/~%"] = {type = "object", properties = {c = {type = "number", minimum = 1, default = 0}, d = {type = "array", default = {}}}},
    deep = {type = "object", required = {"x", "y"}, properties = {y = {default = 1}}, default = {}},
    fine = {type = "object", required = {"y"}, properties = {y = {default = 1}}, default = {}},
  }}}
return M`})
	check := func(name string, want ...string) {
		t.Helper()
		err := lua.Check(context.Background(), lua.Options{Dir: dir}, name)
		if err == nil {
			t.Fatal("no faults")
		}
		got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
		if n := strings.Count(got, "\n") + 1; n != len(want) {
			t.Errorf("%d faults, want %d:\n%s", n, len(want), got)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("no %q in\n%s", w, got)
			}
		}
	}
	check("p", "p.lua:3: api: must be 1", `p.lua:3: name: "other"`, `p.lua:4: kinds: [2]: "evnt"`, `p.lua:5: permissions[1]: "htp:x"`,
		"p.lua:4: kinds: event needs a hook", "p.lua:8: matching: is only for", "p.lua:12: start: is only for", "p.lua:11: http.get needs a permission")
	check("q", "q.lua:4: schema.properties.a.type: value must be one of", "q.lua:4: schema.properties.a.type: got string")
	check("r", `r.lua:5: amqp.connect needs a permission: add "amqp:host:port"`, `r.lua:6: store.get_face needs a permission: add "store"`)
	check("s", "s.lua:1: ")
	check("d", "d.lua:3: schema.properties.a.default: got string, want number", "d.lua:2: schema.properties.b/~%.properties.c.default: minimum: got 0, want 1",
		"d.lua:5: schema.properties.deep.default: x: is missing")
}

// TestList checks which plugins are listed, and their properties.
func TestList(t *testing.T) {
	plugin := func(name, version string) string {
		return "return {api = 1, name = '" + name + "', version = '" + version + "', kinds = {'background'}, schema = {type = 'object', required = {'x'}}}"
	}
	dir := luatest.Folder(t, map[string]string{
		"a.lua": plugin("a", "2"), "a_test.lua": "", "b/init.lua": plugin("b", "1"), "c.lua": "x = 1", "library/nearside.lua": "", "notes.txt": "",
	})
	shipped := os.DirFS(luatest.Folder(t, map[string]string{"a.lua": plugin("a", "1"), "d.lua": plugin("d", "1")}))
	all, err := lua.List(t.Context(), lua.Options{Dir: dir, Shipped: shipped, Active: []string{"b.lua"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range all {
		got = append(got, fmt.Sprint(l.Name, l.Version, l.Shipped, l.Hides, l.Active, l.Fault != ""))
	}
	if strings.Join(got, ",") != "a2false true false false,b1false false true true,cfalse false false true,d1true false false false" {
		t.Errorf("listed %v", got)
	}
	if all, err := lua.List(t.Context(), lua.Options{Dir: filepath.Join(dir, "none"), Shipped: shipped}); err != nil || len(all) != 2 {
		t.Errorf("without a plugin directory: %+v, %v; want the 2 shipped plugins", all, err)
	}
}
