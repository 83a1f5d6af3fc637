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

// TestScaffoldOfSeveralKinds checks all combinations of two and three kinds.
func TestScaffoldOfSeveralKinds(t *testing.T) {
	for mask, tests := range map[int]int{3: 2, 5: 2, 6: 2, 7: 3} {
		var kinds []lua.Kind
		for i, kind := range allKinds {
			if mask>>i&1 == 1 {
				kinds = append(kinds, kind)
			}
		}
		files, err := Scaffold("p", kinds...)
		if err != nil {
			t.Fatal(err)
		}
		if err := lua.Check(t.Context(), lua.Options{Dir: luatest.Folder(t, files)}, "p"); err != nil {
			t.Errorf("%s: %v\n%s", kinds, err, files["p.lua"])
		}
		got, err := runTrials(t, files)
		if err != nil || strings.Count(got, ": ok\n") != tests || strings.Count(got, "\n") != tests {
			t.Errorf("%s: %v\n%s", kinds, err, got)
		}
		if strings.Contains(files["p.lua"], "{{ ") || strings.Contains(files["p.lua"], "<no value>") || strings.Contains(files["p.lua"], "\n\n\n") {
			t.Errorf("%s:\n%s", kinds, files["p.lua"])
		}
	}
	if _, err := Scaffold("p", lua.Event, lua.Event); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Error(err)
	}
	if _, err := Scaffold("p"); err == nil {
		t.Error("no kind was accepted")
	}
}

// TestOutputAndTraceback checks that a result has the lines of print of the plugin and of
// its test, and the Lua lines that led to a failure.
func TestOutputAndTraceback(t *testing.T) {
	files := map[string]string{"p.lua": luatest.BackgroundPlugin(`
function M:start() print("plugin", 1) ns.every(1, function() print("tick") end) end`), "p_test.lua": `local test = require("nearside.test")
local function deeper() error("oops") end
local function check()
  deeper()
  return 1
end
test.case("prints", function()
  print("test", nil, 2)
  test.start()
  test.clock.advance(2)
end)
test.case("prints much", function() for i = 1, 1100 do print(i) end end)
test.case("fails", function()
  check()
  return 1
end)`}
	var results []Result
	if err := Run(t.Context(), lua.Options{Dir: luatest.Folder(t, files)}, "p", func(r Result) { results = append(results, r) }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(results[0].Output, "|"); got != "test\tnil\t2|plugin\t1|tick|tick" {
		t.Error(got)
	}
	if n := len(results[1].Output); n != 1001 || results[1].Output[1000] != "... (more lines are not shown)" {
		t.Errorf("%d lines", n)
	}
	fault := folders.ReplaceAllString(results[2].Fault, "")
	if len(results[2].Output) != 0 || !strings.HasPrefix(fault, "p_test.lua:2: oops\n") {
		t.Error(results[2])
	}
	luatest.WantLines(t, fault, "p_test.lua:2: in function 'deeper'", "p_test.lua:4: in function 'check'", "p_test.lua:14: in")
}
