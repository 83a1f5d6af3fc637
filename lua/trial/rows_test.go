package trial

import (
	"testing"

	"nearside/lua/luatest"
)

// TestTrialEvents checks candidates that are events, and the account of a
// request.
func TestTrialEvents(t *testing.T) {
	wantPass(t, luatest.MatchingPlugin(`
M.matching = {origins = {"faces", "events"}, on_error = "fail"}
function M:cost(req) return req.account_id and 5 or 50 end
function M:prefilter(req, set) return req.origin == "events" and set:where("source", "=", "cam-1") or set end
function M:match(req, set) return set:scan(req.limit) end`), `
local A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
local events = test.events({{source = "cam-1", account_id = A, face_descriptor = {3}}, {source = "cam-2"}, {source = "cam-1", account_id = B, meta = {n = 1}}, {source = "cam-1", body_descriptor = {1, 2}}})
test.case("events", function()
  local p = test.start()
  test.equal({events[2].event_id, events[2].face_descriptor, events[4].face_descriptor}, {"00000000-0000-4000-8000-000000000002", {0}, nil})
  local kept = p:prefilter(events)
  test.equal({#kept, kept[1].account_id, kept[2].account_id, kept[3].body_descriptor}, {3, A, B, {1, 2}})
  test.equal(#p:prefilter(events, {filters = {origin = "events", sources = {"cam-2"}}}), 0)
  local found = p:match(events, {3}, {limit = 5})
  test.equal({#found, found[1].source, found[1].distance}, {3, "cam-1", 0}) -- one has no face
  test.equal(#p:prefilter(events, {offset = 3, count = true, exclude_self = true, group = {by = "source", size = 2}}), 3)
  test.equal({tostring(p:cost({offset = 1})), p:cost({offset = 0})}, {"nil", 50})
  test.fails(function() p:match(events, {3}, {offset = 1}) end, "match is not for candidate sets with offset")
  test.fails(function() p:prefilter(events, {filters = {origin = "faces", sources = {"x"}}}) end, "sources")
  test.fails(function() p:prefilter({{face_descriptor = {1}}}) end, "event_id is missing: pass the rows through test.events first")
  test.fails(function() p:prefilter(test.events({{age = 300}})) end, "rows[1]: age: must be an integer from 0 to 255, got 300")
  test.fails(function() p:prefilter(test.events({{body_descriptor = {256}}})) end, "rows[1]: body_descriptor: [1]: must be an integer from 0 to 255, got 256")
end)
test.case("accounts", function()
  local p = test.start()
  local faces = test.faces({{account_id = A}, {account_id = B}, {}})
  test.equal({#p:prefilter(faces), #p:prefilter(faces, {account_id = A}), #p:prefilter(faces, {filters = {account_id = B}})}, {3, 1, 1})
  test.equal({p:cost(), p:cost({account_id = A})}, {50, 5})
  local found = p:match(faces, {0}, {account_id = B, limit = 9})
  test.equal({#found, found[1].account_id}, {1, B})
  test.equal(#p:match(events, {3}, {account_id = A}), 1)
  test.fails(function() p:prefilter(faces, {account_id = A, filters = {account_id = B}}) end, "is another account than the query's")
  test.fails(function() p:prefilter(faces, {account_id = "me"}) end, 'account_id: must be a UUID, got "me"')
  test.fails(function() p:prefilter(faces, {account_id = 5}) end, "account_id: must be a UUID as a string, got 5")
end)`)
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("GET", "/x", function(req) return 200, req.query end)
  ns.route("GET", "/all", function(req) return 200, {req.query, req.query_all} end)
end`), `
test.case("a route", function()
  local p = test.start()
  test.equal(p:request("GET", "/x", {account_id = "AAAAAAAA-0000-4000-8000-000000000000", query = {a = 1}}).json, {a = "1", account_id = "aaaaaaaa-0000-4000-8000-000000000000"})
  test.equal(p:request("GET", "/all", {query = {a = {1, "x"}, b = true}}).json, {{a = "x", b = "true"}, {a = {"1", "x"}, b = {"true"}}})
  test.fails(function() p:request("GET", "/all", {query = {a = {{}}}}) end, "options.query.a: must be a string, number or boolean")
end)`)
}

// TestTrialSendsStoredEvents checks that the plugin receives stored events with their
// numbers and nulls.
func TestTrialSendsStoredEvents(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
M.kinds, M.events, M.own_events, M.permissions = {"event", "background"}, {"sending_event"}, true, {"store"}
local got = ns.json.array({})
function M:handle_event(points, name) for _, p in ipairs(points) do ns.sleep(1) got[#got + 1] = {name, p.event_id:sub(-1), p.meta} end end
function M:start()
  ns.route("GET", "/put", function()
    for n = 1, 3 do
      assert(ns.store.put_event({event_id = "00000000-0000-4000-8000-00000000000" .. n, meta = {n = ns.int64("9007199254740993"), none = ns.json.null},
        face_descriptor = {version = 1, data = ns.base64.encode(("\0"):rep(16))}}))
    end
    return 200
  end)
  ns.route("GET", "/got", function() return 200, got end)
end`), `
test.case("they arrive in order", function()
  local p = test.start()
  p:request("GET", "/put")
  test.clock.advance(3)
  local meta = '{"n":9007199254740993,"none":null}'
  test.equal(p:request("GET", "/got").body, '[["sending_event","1",' .. meta .. '],["sending_event","2",' .. meta .. '],["sending_event","3",' .. meta .. ']]')
  p:reload()
  p:request("GET", "/put")
  test.clock.advance(3)
  test.equal(#p:request("GET", "/got").json, 3, "the new generation has its own")
end)`)
}
