package lua

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"nearside/lua/goval"
	"nearside/lua/luatest"
)

// TestStartReloadAndCheckAgree: start, reload and check refuse the same tables with the
// same messages.
func TestStartReloadAndCheckAgree(t *testing.T) {
	event := `local M = {api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}} function M:handle_event() end `
	matching := `local M = {api = 1, name = "p", kinds = {"matching"}} function M:prefilter(req, set) return set end `
	background := `local M = {api = 1, name = "p", kinds = {"background"}} `
	base := `local Base = {handle_event = function() end, permissions = {"store"}} Base.__index = Base `
	for source, want := range map[string][]string{
		// functions that are not hooks
		event + `function M:handle_events() end return M`:                {"handle_events: ", `did you mean "handle_event"?`},
		event + `function M:strat() end return M`:                        {"strat: ", `did you mean "start"?`},
		matching + `function M:pre_filter(req, set) end return M`:        {"pre_filter: ", `did you mean "prefilter"?`},
		background + `function M:helper() end return M`:                  {"helper: ", "not a hook", "with an underscore"},
		background + `M.initialise = function() end return M`:            {"initialise: ", `did you mean "initialize"?`},
		background + `function M:_helper() end return M`:                 nil,
		background + `function M:Start() end return M`:                   {"Start: ", `did you mean "start"?`},
		background + `function M:prefilter() end return M`:               {"prefilter: is only for plugins of kind matching"},
		background + `M.start = setmetatable({}, {__call = 1}) return M`: {"start: is not a function"},
		// data fields
		background + `M.temperature = 0 M.city, M.t = "x", {} return M`: nil,
		background + `M.kind = {} return M`:                             {"kind: is unknown", `did you mean "kinds"?`},
		background + `M.permisions = {} return M`:                       {"permisions: is unknown", `did you mean "permissions"?`},
		background + `M.premisions = {} return M`:                       {"premisions: is unknown", `did you mean "permissions"?`},
		background + `M.evnets = {} return M`:                           {"evnets: is unknown", `did you mean "events"?`},
		background + `M.requird = false return M`:                       {"requird: is unknown", `did you mean "required"?`},
		background + `M.matchings = {} return M`:                        {"matchings: is unknown", `did you mean "matching"?`},
		background + `M.shema = {} return M`:                            {"shema: is unknown", `did you mean "schema"?`},
		background + `M.prefiltr = 1 return M`:                          {"prefiltr: is unknown", `did you mean "prefilter"?`},
		background + `M.closing, M.names, M.costs = 1, 2, 3 return M`:   nil,
		background + `M._kind, M._permisions = {}, {} return M`:         nil,
		background + `M.required = "no" return M`:                       {"required: no is not true or false"},
		matching + `M.matching = {on_eror = "fail"} return M`:           {"matching.on_eror: is unknown", `did you mean "on_error"?`},
		matching + `M.limits = {prefiltr = 1} return M`:                 {"limits.prefiltr: is unknown", `did you mean "prefilter"?`},
		// kinds without hooks
		`return {api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}}`: {"kinds: event needs a hook", "handle_event"},
		`return {api = 1, name = "p", kinds = {"matching"}}`:                             {"kinds: matching needs a hook", "prefilter"},
		`return {api = 1, name = "p", kinds = {"background"}}`:                           nil,
		`return {api = 1, name = "p", kinds = {"evnt"}}`:                                 {`did you mean "event"?`},
		// metatables
		base + `return setmetatable({api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}, permissions = {}}, Base)`: {"handle_event: is inherited", "ns.extend"},
		base + event + `return setmetatable(M, Base)`:                                                                                             {"permissions: is inherited", "ns.extend"},
		base + event + `return setmetatable(M, {__index = setmetatable({}, Base)})`:                                                               {"permissions: is inherited", "ns.extend"},
		background + `return setmetatable(M, {__index = function(_, k) if k == "close" then return print end end})`:                               {"close: is inherited", "ns.extend"},
		background + `return setmetatable(M, {__index = function() error("no") end})`:                                                             {"no"},
		background + `return setmetatable(M, {__index = {helper = print}, __tostring = tostring})`:                                                nil,
		matching + `M.matching = setmetatable({}, {__index = {on_error = "fail"}}) return M`:                                                      {"matching: has a metatable with __index"},
		matching + `M.matching = {targets = setmetatable({}, {__index = {}})} return M`:                                                           {"matching.targets: has a metatable with __index"},
		base + `local M = {api = 1, name = "p", kinds = {"event"}, events = {"monitoring_event"}} return require("nearside").extend(Base, M)`:     nil,
		`local A, B = {start = print}, {} setmetatable(B, {__index = A}) return require("nearside").extend(B, {api = 1, name = "p", kinds = {}})`: {"start: is only for"},
	} {
		dir := luatest.Folder(t, map[string]string{"p.lua": source, "good.lua": strings.ReplaceAll(background, `"p"`, `"good"`) + "return M"})
		o := Options{Dir: dir, Active: []string{"p"}}
		checked := Check(context.Background(), o, "p")
		if want == nil {
			if checked != nil {
				t.Errorf("%s\ncheck: %v", source, checked)
			}
			if h, err := New(context.Background(), o); err != nil {
				t.Errorf("%s\nstart: %v", source, err)
			} else {
				closeHost(t, h)
			}
			continue
		}
		wantRefused(t, o, append(want, "p.lua")...)
		h, err := New(context.Background(), Options{Dir: dir, Active: []string{"good"}})
		if err != nil {
			t.Fatal(err)
		}
		reloaded := h.Reconfigure(context.Background(), dir, []string{"p"}, nil, nil)
		if err := h.Reload(context.Background()); err != nil { // with the previous configuration
			t.Error(err)
		}
		closeHost(t, h)
		for _, w := range want {
			if checked == nil || reloaded == nil || !strings.Contains(checked.Error(), w) || !strings.Contains(reloaded.Error(), w) {
				t.Errorf("%s\nno %q in\ncheck: %v\nreload: %v", source, w, checked, reloaded)
			}
		}
	}
}

// TestExtend: fields of Base that M lacks are copied, including fields that Base inherits.
// Copied hooks run.
func TestExtend(t *testing.T) {
	_, log := startHost(t, `
local ns = require("nearside")
local Root = {version = "7", close = function() ns.log.info("closed") end}
local Base = setmetatable({_n = 1, __index = "no", start = function(self) self:_say("start") end, initialize = error}, {__index = Root})
function Base:_say(what) ns.log.info(what .. " " .. self._n .. self.version) end
local M = {api = 1, name = "p", kinds = {"background"}, _n = 2}
function M:initialize() self:_say("initialize") end
assert(ns.extend(Base, M) == M and rawget(M, "__index") == nil and getmetatable(M) == nil)
assert(not pcall(ns.extend, setmetatable({}, {__index = print}), M))
assert(not pcall(ns.extend, nil, M))
local loop = {} setmetatable(loop, {__index = setmetatable({}, {__index = loop})})
assert(not pcall(ns.extend, loop, M))
return M`)
	log.Wait(t, "initialize 27")
	log.Wait(t, "start 27")
}

// TestLibraries: all plugins share the libraries, and each state has its own copy. A
// library in the folder takes precedence over a shipped one.
func TestLibraries(t *testing.T) {
	user := func(name, body string) string {
		return "local ns = require('nearside')\nlocal M = {api = 1, name = '" + name + "', kinds = {'background'}}\n" + body + "\nreturn M"
	}
	dir := luatest.Folder(t, map[string]string{
		"a.lua": user("a", `
local one, two = require("lib.inspect"), require("lib/inspect")
assert(one == two and one == require("lib.inspect") and one.name == "lib.inspect")
one.count = one.count + 1
function M:start() ns.log.info("a " .. one.count .. require("lib.deep.er") .. require("lib/shipped").text) end`),
		"b/init.lua": user("b", `
local inspect = require("lib.inspect")
local inner = require("./sub/inner")
assert(require("./sub/one") == inner.one)
assert(inner.text == "sub neighbour")
local ok, found = pcall(require, "./sub/one")
assert(ok and found == inner.one)
function M:start() ns.log.info("b " .. inspect.count) end`),
		"b/sub/inner.lua": `local ok, neighbour = pcall(require, "./neighbour")
assert(ok, neighbour)
local function tail() return require("./one") end
return {one = tail(), text = "sub " .. neighbour}`,
		"b/sub/neighbour.lua": `return "neighbour"`, "b/neighbour.lua": `return "wrong"`, "b/sub/one/init.lua": `return {}`,
		"lib/inspect/init.lua": `local name = ... return {count = require("./start"), name = name}`, "lib/inspect/start.lua": "return 0",
		"lib/deep/er.lua": "return ' deeper '", "lib/init.lua": "error('lib is not a plugin')",
	})
	shipped := fstest.MapFS{
		"lib/inspect.lua": {Data: []byte("error('the folder wins')")},
		"lib/shipped.lua": {Data: []byte("return {text = require('./more')}")}, "lib/more.lua": {Data: []byte("return 'shipped'")},
	}
	_, log := startHost(t, "", func(o *Options) { o.Dir, o.Shipped, o.Active = dir, shipped, []string{"a", "b"} })
	log.Wait(t, "a 1 deeper shipped")
	log.Wait(t, "b 0")

	wantRefused(t, Options{Dir: dir, Active: []string{"lib"}}, `"lib" is not a valid name of a plugin`, "libraries")
	all, err := List(t.Context(), Options{Dir: dir, Shipped: shipped})
	if err != nil || len(all) != 2 || all[0].Fault != "" || all[1].Fault != "" {
		t.Errorf("%+v, %v", all, err)
	}
	for name, want := range map[string]string{
		"lib": "not found", "lib.": "not the name of a library", "lib..a": "not the name", "lib/../a": "not the name", "lib.missing": "lib/missing/init.lua",
		"./a": "a plugin that is a single file cannot require other files", "lib.waits": "waiting is not possible", "lib.wrong": `lib/wrong.lua:1: near '='`,
	} {
		files := map[string]string{
			"p.lua": user("p", "require('"+name+"')"), "a.lua": "", "lib/waits.lua": "require('nearside').sleep(1)", "lib/wrong.lua": "x = = 1",
		}
		wantRefused(t, Options{Dir: luatest.Folder(t, files), Active: []string{"p"}}, want)
	}
	err = Check(t.Context(), Options{Dir: luatest.Folder(t, map[string]string{
		"p.lua": user("p", `local x = require("lib.x")`), "lib/x.lua": "\nreturn {f = function() require('nearside').nothing() end}",
	})}, "p")
	if err == nil || !strings.Contains(err.Error(), `lib/x.lua:2: nearside has no "nothing"`) {
		t.Error(err)
	}
}

// TestLinks: plugins, libraries and the folder may be links. Links within a plugin must not
// lead out of the folder.
func TestLinks(t *testing.T) {
	plugin := func(name string) string {
		return "return {api = 1, name = '" + name + "', kinds = {'background'}, version = require('lib.v')}"
	}
	elsewhere := luatest.Folder(t, map[string]string{
		"src/a.lua": plugin("a"), "src/b/init.lua": "require('./near') " + plugin("b"), "src/b/near.lua": "return 1",
		"src/c.lua": plugin("c"), "src/v.lua": "return 'linked'", "src/lib/v.lua": "return 'linked'",
		"d/init.lua": "require('./near') " + plugin("d"), "near.lua": "return 1",
		"plugins/d/init.lua": "require('./near') " + plugin("d"), "plugins/e.lua/x": "",
	})
	dir := filepath.Join(elsewhere, "plugins")
	link := func(target, name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("../src/a.lua", "a.lua")
	link(filepath.Join(elsewhere, "src/b"), "b")
	link("../../src/c.lua", "c/init.lua")
	link("../../near.lua", "d/near.lua")
	link("../../src/v.lua", "lib/v.lua")
	link("../nowhere.lua", "n.lua")
	link("../plugins", "again") // the same folder, by another name
	for _, at := range []string{dir, filepath.Join(dir, "again")} {
		h, err := New(t.Context(), Options{Dir: at, Active: []string{"a", "b", "c"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range h.Plugins() {
			if p.Version != "linked" {
				t.Errorf("%+v", p)
			}
		}
		closeHost(t, h)
	}
	wantRefused(t, Options{Dir: dir, Active: []string{"d"}}, filepath.Join(dir, "d/near.lua"), "symbolic link out of the folder")
	wantRefused(t, Options{Dir: dir, Active: []string{"n"}}, filepath.Join(dir, "n.lua"), "symbolic link")
	wantRefused(t, Options{Dir: dir, Active: []string{"e"}}, "e.lua: is not a file")
	all, err := List(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range all {
		if l.Fault == "" {
			got = append(got, l.Name)
		}
	}
	if strings.Join(got, " ") != "a b c" {
		t.Errorf("%+v", all)
	}
}

// TestStatesRunOneText: a changed file has no effect on the running generation.
func TestStatesRunOneText(t *testing.T) {
	h, _ := startHost(t, "", func(o *Options) {
		o.Dir = luatest.Folder(t, map[string]string{
			"p/init.lua": "return {api = 1, name = 'p', kinds = {'background'}, states = 2, version = require('./v')}", "p/v.lua": "return 'old'",
		})
	})
	if err := os.WriteFile(filepath.Join(h.o.Dir, "p/v.lua"), []byte("return 'new'"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := h.current.Load().plugins[0]
	in, value, err := p.instantiate(t.Context(), t.Context())
	if err != nil || value.(map[string]any)["version"] != "old" {
		t.Error(value, err)
	}
	if err := in.close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEditDistance(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"", ""}: 0, {"", "abc"}: 3, {"kind", "kinds"}: 1, {"strat", "start"}: 1, {"kitten", "sitting"}: 3,
		{"permisions", "permissions"}: 1, {"pre_filter", "prefilter"}: 1, {"ca", "abc"}: 3, {"premisions", "permissions"}: 2,
	} {
		if got := goval.EditDistance(pair[0], pair[1]); got != want {
			t.Errorf("%q: %d, want %d", pair, got, want)
		}
		if got := goval.EditDistance(pair[1], pair[0]); got != want {
			t.Errorf("%q, swapped: %d, want %d", pair, got, want)
		}
	}
}

// TestStartWarns: a start logs the faults that only Check refuses. They do not prevent the
// start, because their code may never run.
func TestStartWarns(t *testing.T) {
	_, log := startHost(t, luatest.BackgroundPlugin(`function M:start() if false then ns.kv.gte("x") ns.http.get("http://x/") end end`))
	for _, want := range []string{"a plugin has faults that did not prevent its start", `p.lua:3: nearside has no`, "http.get needs a permission"} {
		if !strings.Contains(log.All(), want) {
			t.Errorf("no %q in %s", want, log.All())
		}
	}
}
