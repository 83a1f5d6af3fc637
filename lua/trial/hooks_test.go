package trial

import (
	"strings"
	"testing"

	"nearside/lua"
	"nearside/lua/luatest"
)

// TestHookDoubles: tests of plugins call the hooks request and results as a server does.
func TestHookDoubles(t *testing.T) {
	wantPass(t, luatest.MatchingPlugin(`
M.matching = {origins = {"faces"}}
function M:request(req)
  if req.key == "blocked" or req.account_id then return ns.reject(451, "blocked " .. req.route) end
  if req.kind == "cross_match" then return end
  if #req.references == 1 then req:set_targets({req.references[1].type}) end
  req:set_limit(7)
end
function M:results(req, rows)
  if req.limit == 2 then rows:sort(function(a, b) return a.age > b.age end) end
  return rows:hide("user_data"):add("who", function(row) return {row.external_id, row.user_data, req.key} end)
end`), `
test.case("request", function()
  local p = test.start()
  local sets = p:match_request()
  test.equal(#sets, 1)
  test.equal(sets[1].limit, 7)
  test.equal(sets[1].origin, "faces")
  sets = p:match_request({{filters = {age__gte = 3}, limit = 2}, {filters = {origin = "events"}, limit = 3}})
  test.equal(sets[1].filters.age__gte, 3)
  test.equal(sets[1].limit, 7)
  test.equal(sets[2].limit, 3)
  test.equal(p:match_request({}, {kind = "cross_match"})[1].limit, 5)
  local none, why = p:match_request({}, {key = "blocked", route = "POST:/x"})
  test.equal(none, nil)
  test.equal(why.status, 451)
  test.equal(why.detail, "blocked POST:/x")
  none, why = p:match_request({}, {account_id = "00000000-0000-4000-8000-000000000001"})
  test.equal(why.status, 451)
  test.fails(function() p:match_request({}, {references = {{type = "age", id = "x"}, {typ = 1}}}) end, "options.references[2].typ")
  test.equal(p:match_request({}, {references = {{type = "age"}}})[1].targets[1], "age")
  test.fails(function() p:match_request({}, {references = {{type = "face"}}}) end, "is not a field of rows of faces")
  test.fails(function() p:match_request({}, {kind = "raw"}) end, "must be one of match_face, match_body, cross_match")
  test.fails(function() p:match_request({limit = 0}) end, "candidates[0].limit")
  test.fails(function() p:match_request({7}) end, "candidates[1]: must be a table")
  test.fails(function() p:match_request({filters = {origin = "events"}}) end, "not for any of the candidate sets")
end)
test.case("results", function()
  local p = test.start()
  local rows = test.faces({{age = 10, external_id = "a", user_data = "u", descriptor = {1}}, {age = 20, external_id = "b", descriptor = {2}}, {age = 30, descriptor = {3}}})
  local found, info = p:results(rows, {0}, {count = true, targets = {"user_data", "external_id", "distance"}})
  test.equal(#found, 3)
  test.equal(found[1].face.external_id, "a")
  test.equal(found[1].face.user_data, nil)
  test.equal(found[1].distance, 1)
  test.equal(found[1].similarity, nil)
  test.equal(found[1].extra.who[2], "u")
  test.equal(info.count, 3)
  test.equal(info.order, nil)
  found, info = p:results(rows, {0}, {limit = 2})
  test.equal(found[1].face.age, 20)
  test.equal(info.order, "plugin")
  test.equal(#p:results(test.faces({})), 0)
  test.fails(function() p:results(test.events({{}})) end, "not for events")
end)`)
	wantPass(t, luatest.MatchingPlugin(`
function M:results(req, rows) rows:limit(0) error("broken") end
function M:request(req) error("also") end`), `
test.case("failures reach the test", function()
  local p = test.start()
  test.fails(function() p:results(test.faces({{}})) end, "broken")
  test.fails(function() p:match_request() end, "also")
end)`)
	wantPass(t, luatest.MatchingPlugin(`function M:prefilter(req, set) return set end`), `
test.case("without the hooks", function()
  local p = test.start()
  test.fails(function() p:results(test.faces({{}})) end, "no hook results")
  test.fails(function() p:match_request() end, "no hook request")
end)`)
}

// TestMeasureHooks: the hooks request and results are measured.
func TestMeasureHooks(t *testing.T) {
	dir := luatest.Folder(t, map[string]string{"p.lua": luatest.MatchingPlugin(`
function M:request(req) req:set_limit(3) end
function M:results(req, rows) assert(rows:len() == 10) return rows:limit(2) end`)})
	all, err := Measure(t.Context(), lua.Options{Dir: dir}, "p", 50, 1)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	var names []string
	for _, m := range all {
		names = append(names, m.Hook)
		if m.Count < 1 || m.Instructions < 10 {
			t.Errorf("%+v", m)
		}
	}
	if got := strings.Join(names, " "); got != "request results" {
		t.Error(got)
	}
}

// TestMeasuredPoints: a measured handle_event gets points of the event that the plugin is for.
func TestMeasuredPoints(t *testing.T) {
	for event, body := range map[string]string{
		"monitoring_event": `assert(p.tags.route and p.fields.execution_time)`,
		"sending_event":    `assert(p.event_id and p.top_match.similarity)`,
		"face_event":       `assert(p.op == "put" and p.object.face_id == p.id and #p.lists == 0)`,
		"list_event":       `assert(p.op == "put" and p.object.list_id == p.id)`,
		"attribute_event":  `assert(p.op == "put" and p.object.attribute_id == p.id)`,
	} {
		dir := luatest.Folder(t, map[string]string{"p.lua": `
local M = {api = 1, name = "p", kinds = {"event"}, events = {"` + event + `"}}
function M:handle_event(points) for _, p in ipairs(points) do ` + body + ` end end
return M`})
		if _, err := Measure(t.Context(), lua.Options{Dir: dir}, "p", 10, 1); err != nil {
			t.Errorf("%s: %v", event, err)
		}
	}
}

// TestRouteDouble: a test of a plugin sends a path and gets the answer for HEAD as a client of
// a server.
func TestRouteDouble(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("POST", "/p/{name}", function(req) return 200, {name = req.params.name, path = req.path} end)
  ns.route("GET", "/text", function(req) return 200, "long", {["x-a"] = "b"} end)
end`), `
test.case("path", function()
  local p = test.start()
  test.equal(p:request("POST", "/p/a%20b").json.name, "a b")
  test.equal(p:request("POST", "/p/a%20b").json.path, "/p/p/a b")
  test.equal(p:request("POST", "/p/a%2Fb").json.name, "a/b")
  test.fails(function() p:request("POST", "/p/a%2") end, "path: invalid URL escape")
end)
test.case("head", function()
  local p = test.start()
  local answer = p:request("HEAD", "/text")
  test.equal(answer.status, 200)
  test.equal(answer.body, "")
  test.equal(answer.headers["x-a"], "b")
  test.equal(p:request("GET", "/text").body, "long")
end)`)
}
