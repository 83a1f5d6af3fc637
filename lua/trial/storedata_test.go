package trial

import (
	"testing"

	"nearside/lua/luatest"
)

// TestStoreQueriesDoubleMatchesTheStore runs iterators, counts, deletes, updates and matches
// with the real store and with its double.
func TestStoreQueriesDoubleMatchesTheStore(t *testing.T) {
	const scenario = `
local s, A, B = ns.store, "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
local function id(n) return ("00000000-0000-4000-8000-%012d"):format(n) end
local function data(...) return {version = 1, data = ns.base64.encode(string.char(...) .. ("\0"):rep(16 - select("#", ...)))} end
local function all(iterator, field)
  local found = ns.json.array({})
  for v in iterator do found[#found + 1] = field and v[field] or v end
  return found
end
for n = 1, 3 do assert(s.new_list({list_id = id(100 + n), account_id = n < 3 and A or B, user_data = "list " .. n})) end
local batch = {}
for n = 1, 40 do
  batch[n] = {face_id = id(n * 7919 % 41), account_id = n % 2 == 0 and A or nil, age = n, gender = n % 2, lists = n % 4 == 0 and {id(101)} or {}, descriptor = data(n, n % 3),
    external_id = "e" .. n % 5, create_time = ("2026-01-%02dT00:00:00.000Z"):format(n % 28 + 1)}
end
assert(s.put_faces(batch))
note(s.put_events({{event_id = id(1), face_descriptor = data(1), body_descriptor = {version = 2, data = data(2).data}, source = "cam"}, {event_id = id(2), face_descriptor = data(9), meta = {n = ns.int64("9007199254740993")}}}))
note(all(s.faces(), "face_id"))
note(all(s.faces({limit = 3})))
note(all(s.faces({limit = 0})))
note(all(s.faces({filters = {age__gte = 30, gender = 1}, fields = {"age", "descriptor"}})))
note(all(s.faces({filters = {list_id = id(101)}, fields = {}})))
note(all(s.faces({filters = {face_ids = {}}})))
note(all(s.faces({filters = {}, limit = 2, fields = {"external_id"}, account_id = A})))
note(all(s.events({fields = {"source", "body_descriptor"}})))
note(all(s.events()))
note(all(s.attributes()))
note(all(s.lists()))
note(all(s.lists({fields = {"user_data"}, limit = 2})))
note(all(s.lists({filters = {account_id = B}, fields = {"face_count"}})))
for _, wrong in ipairs({{filter = {}}, {limit = -1}, {limit = 1.5}, {fields = {"agee"}}, {fields = {"age", "age"}}, {filters = {agee = 1}}, {account_id = "x"}, {filters = {origin = "events"}}, {filters = 5}}) do
  note(pcall(s.faces, wrong))
end
note(pcall(s.lists, {filters = {user_data = "x"}})) note(pcall(s.events, {fields = {"descriptor"}})) note(pcall(s.faces, 5))
note(s.count()) note(s.count({filters = {}})) note(s.count({filters = {origin = "events"}})) note(s.count({filters = {origin = "attributes"}}))
note(s.count({filters = {origin = "faces", age__lt = 10}, account_id = A})) note(s.count({filters = {agee = 1}})) note(s.count({filters = {origin = "x"}})) note(pcall(s.count, {limit = 1}))
note(s.update_face(id(3), {age = 99, external_id = ns.json.null, lists = {id(102)}})) note(s.get_face(id(3)))
note(s.update_face(id(3), {lists = {}})) note(s.get_face(id(3)))
note(s.update_face(id(3), {descriptor = data(200, 200)})) note(s.update_face(id(3), {})) note(s.update_face(id(3), {agee = 1}))
note(s.update_face(id(3), {age = 300})) note(s.update_face(id(3), {descriptor = ns.json.null})) note(s.update_face(id(3), {lists = {id(7)}})) note(s.update_face(id(3), {face_id = id(4)}))
note(s.update_face(id(99), {age = 1})) note(s.update_face("x", {age = 1})) note(s.update_face(id(3), 5)) note(s.get_face(id(3)))
local vector = {version = 1, data = {5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}
note(ns.match({reference = {type = "raw_descriptor", id = "v", data = vector}, filters = {origin = "faces"}, limit = 4}))
note(ns.match({references = {{type = "face_external_id", id = "e1"}, {type = "event", id = id(1)}}, filters = {origin = "faces", face_ids = {id(1), id(2), id(3)}}, targets = {}, count = true}))
note(ns.match({reference = {type = "raw_descriptor", data = {version = 2, data = data(2).data}}, filters = {origin = "events"}, descriptor_type = "body"}))
note(ns.match({reference = {type = "face", id = id(1)}, filters = {origin = "faces", face_ids = {}}, targets = {}}))
note(ns.match({reference = {type = "face", id = id(1)}, filters = {origin = "faces"}, targets = {}, account_id = A}))
note(ns.match({reference = {type = "face_external_id", id = "e1"}, filters = {origin = "faces"}}))
note(ns.match({reference = {type = "face", id = id(77)}, filters = {origin = "faces"}}))
note(ns.match({reference = {type = "face", id = id(1)}, filters = {origin = "faces", account_id = B}, account_id = A}))
note(pcall(ns.match)) note(pcall(ns.match, 5))
note(s.delete_faces({filters = {}})) note(s.delete_faces({})) note(s.delete_faces({filters = {account_id = A}})) note(s.delete_faces({filters = {agee = 1}})) note(pcall(s.delete_faces, {filters = {age = 1}, limit = 1}))
note(s.delete_faces({filters = {age__gte = 20}})) note(s.delete_faces({filters = {age__gte = 20}})) note(all(s.faces({fields = {"age"}})))
note(s.delete_faces({filters = {face_ids = {}}})) note(s.delete_faces({filters = {age__gte = 0}, account_id = A})) note(s.count())
`
	compareWithDouble(t, scenario, "", realServices(t), "e1", "did you mean", "reference.id: face", "filters: must have a filter besides account_id", "stands for", `"face_count":`)
}

// TestChangeEventsInTests: a test changes the store as a client does, and the plugin receives
// the events. It does not receive its own.
func TestChangeEventsInTests(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
M.kinds, M.events, M.permissions = {"event", "background"}, {"face_event", "list_event", "attribute_event", "sending_event"}, {"store"}
M.kv = {persist = true}
local got = ns.json.array({})
function M:handle_event(points, name)
  for _, p in ipairs(points) do
    got[#got + 1] = name .. " " .. (p.op or "") .. " " .. (p.id or p.event_id):sub(-2) .. " " .. table.concat(p.lists or {}, ","):sub(-2) .. (p.object and " object" or "") .. (p.account_id and " account" or "")
    ns.kv.incr("events")
  end
end
function M:start()
  ns.route("GET", "/got", function() return 200, got end)
  ns.route("GET", "/count", function() return 200, {n = ns.kv.get("events")} end)
  ns.route("POST", "/own", function() assert(ns.store.new_list()) return 200 end)
end`), `
local function id(n) return ("00000000-0000-4000-8000-%012d"):format(n) end
test.case("events", function()
  local p = test.start()
  local list = test.store.put_list({list_id = id(10), account_id = "aaaaaaaa-0000-4000-8000-000000000000"})
  test.store.put_face({face_id = id(1), lists = {list}, descriptor = {1, 2}})
  test.store.put_event({event_id = id(2)})
  test.store.put_attribute({attribute_id = id(3)}, 5)
  test.store.put_attribute({attribute_id = id(4)})
  p:request("POST", "/own")
  test.store.delete_list(list)
  test.store.delete_face(id(1))
  test.store.delete_event(id(2))
  test.store.delete_attribute(id(4))
  test.store.expire()
  test.clock.advance(6)
  test.store.expire()
  test.fails(function() test.store.delete_face(id(1)) end, "does not exist")
  test.fails(function() test.store.put_face({agee = 1}) end, "agee: unknown field")
  test.equal(p:request("GET", "/got").json, {
    "list_event put 10  object account", "face_event put 01 10 object", "sending_event  02 ", "attribute_event put 03  object", "attribute_event put 04  object",
    "list_event delete 10  account", "face_event delete 01 ", "attribute_event delete 04 ", "attribute_event expire 03 "})
  test.equal(#test.store.attributes(), 0)
  p:close()
  p = test.start()
  test.equal(p:request("GET", "/count").json, {n = 9}, "kv survives a restart")
end)`)
}
