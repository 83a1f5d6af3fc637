package lua

import (
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/lua/vm"
	"nearside/matcher"
)

// TestMisspeltKeywords: misspelt keywords are refused. JSON Schema ignores unknown
// words, so a misspelt keyword would have no effect.
func TestMisspeltKeywords(t *testing.T) {
	for schema, want := range map[string]string{
		`type = "object", propertes = {}`:                                                   `schema.propertes: is not a keyword of JSON Schema; did you mean "properties"?`,
		`requird = {"a"}`:                                                                   `schema.requird: is not a keyword of JSON Schema; did you mean "required"?`,
		`properties = {a = {minimun = 1}}`:                                                  `schema.properties.a.minimun: is not a keyword of JSON Schema; did you mean "minimum"?`,
		`properties = {a = {typ = "string"}}`:                                               `schema.properties.a.typ: is not a keyword of JSON Schema; did you mean "type"?`,
		`properties = {a = {tpye = "string"}}`:                                              `did you mean "type"?`,
		`additionalproperties = false`:                                                      `did you mean "additionalProperties"?`,
		`properties = {a = {items = {maxlenght = 3}}}`:                                      `schema.properties.a.items.maxlenght: is not a keyword of JSON Schema; did you mean "maxLength"?`,
		`anyOf = {{type = "object"}, {properties = {b = {enums = {1}}}}}`:                   `schema.anyOf[2].properties.b.enums: is not a keyword of JSON Schema; did you mean "enum"?`,
		`properties = {a = {additionalProperties = {defualt = 1}}}`:                         `schema.properties.a.additionalProperties.defualt: is not a keyword of JSON Schema; did you mean "default"?`,
		`properties = {requird = {type = "string"}, typ = {default = {propertes = true}}}`:  "", // names and values of the author
		`["x-widget"] = "slider", secret = true, properties = {a = {unit = "s", id = "a"}}`: "", // annotations
	} {
		dir := luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin("M.schema = {" + schema + "}")})
		_, err := New(t.Context(), Options{Dir: dir, Active: []string{"p"}})
		checked := Check(t.Context(), Options{Dir: dir, Active: []string{"p"}}, "p")
		for _, err := range []error{err, checked} {
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: error %v, want %q", schema, err, want)
			}
		}
	}
}

// TestMisplacedRejections: the error for a rejection outside of prefilter says where
// rejections work.
func TestMisplacedRejections(t *testing.T) {
	const hint = `works only in prefilter`
	h, log := startHost(t, `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background", "event"}, events = {"monitoring_event"}}
function M:start()
  ns.route("GET", "/returned", function() return ns.reject(451, "no") end)
  ns.route("GET", "/raised", function() error(ns.reject(451, "no")) end)
  ns.spawn(function() error(ns.reject(452, "task")) end)
  local timer
  timer = ns.every(0.001, function() timer:cancel() return ns.reject(453, "timer") end)
end
function M:handle_event(points) return ns.reject(454, "event") end
return M`)
	for _, path := range []string{"/p/returned", "/p/raised"} {
		_, err := h.Serve(t.Context(), Request{Method: "GET", Path: path})
		if err == nil || !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), `return 451, "no"`) {
			t.Errorf("%s: %v", path, err)
		}
	}
	h.Emit("monitoring_event", func() any { return map[string]any{} })
	for _, text := range []string{`ns.reject(452, \"task\") was raised here`, `ns.reject(453, \"timer\") was returned here`, `ns.reject(454, \"event\") was returned here`} {
		log.Wait(t, text)
	}

	m, v := people(t, 5)
	h, log = startHost(t, luatest.MatchingPlugin(`M.matching = {on_error = "fail"}
function M:prefilter() error({status = 451, message = "no"}) end
function M:cost() return ns.reject(451, "no") end
function M:match() error({status = 403}) end`), withMatcher(m))
	sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
	if _, err := runPrefilter(t, h, m, sub); err == nil || !strings.Contains(causeOf(err).Error(), "return ns.reject(451, detail) from prefilter") {
		t.Error(err)
	}
	matchers, _, release := h.Acquire()
	defer release()
	if _, reason, ok := matchers[0].Cost(t.Context(), &sub); ok || !strings.Contains(log.All(), hint) {
		t.Error(reason, log.All())
	}
	if r := matchers[0].Match(t.Context(), []matcher.SubRequest{sub})[0]; r.Err == nil || !strings.Contains(causeOf(r.Err).Error(), "return ns.reject(403, detail) from prefilter") {
		t.Error(r.Err)
	}
}

// TestMemoryIsCountedOnce: a state over its limit counts only as replaced, not as a
// failure, timeout or error.
func TestMemoryIsCountedOnce(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.limits = {memory = "8MiB"}
local kept = {}
function M:start(state)
  if state.reason == "start" then
    ns.spawn(function() for i = 1, 1e6 do kept[i] = ("x"):rep(1e5) .. i if i % 50 == 0 then ns.sleep(0) end end end)
  end
end`))
	log.Wait(t, "exceeded limits.memory")
	luatest.WaitFor(t, func() bool { s := h.Plugins()[0]; return s.Replaced == 1 && s.Replacing == 0 })
	s := h.Plugins()[0]
	if s.Replaced != 1 || s.Failures != 0 || s.Totals.Timeouts != 0 || s.Totals.Errors != 0 || !strings.Contains(s.LastError, vm.ErrMemory.Error()) {
		t.Errorf("%d replaced, %d failures, %d timeouts, %d errors, last error %q", s.Replaced, s.Failures, s.Totals.Timeouts, s.Totals.Errors, s.LastError)
	}
}
