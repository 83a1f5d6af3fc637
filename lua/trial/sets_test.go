package trial

import (
	"fmt"
	"strings"
	"testing"

	"nearside/lua"
	"nearside/lua/luatest"
	"nearside/matcher"
)

// TestSetColumns checks the columns of events, in_lists and ns.idset in a prefilter, with
// values as scripts have them. want has the last digits of the ids that are kept, or begins
// with an exclamation mark and is a part of the error.
func TestSetColumns(t *testing.T) {
	const A, B, C = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000", "cccccccc-0000-4000-8000-000000000000"
	lists := `{"` + B + `", "` + C + `"}`
	ids := `{"00000000-0000-4000-8000-000000000001", "` + C + `", "00000000-0000-4000-8000-000000000001"}`
	var plugin, tests strings.Builder
	n := 0
	check := func(rows, code, want string) {
		n++
		fmt.Fprintf(&plugin, "codes[%d] = function(set) return %s end\n", n, code)
		fmt.Fprintf(&tests, "check(%d, %s, %q)\n", n, rows, want)
	}
	check("events", `set:where("tags", "=", "vip")`, "1")
	check("events", `set:where("tags", "!=", "vip")`, "23")
	check("events", `set:one_of("tags", {"vip", "staff"})`, "12")
	check("events", `set:where("tags", "<", "a")`, `!tags: must be compared with = or !=, got "<"`)
	check("events", `set:where("end_time", ">", "2026-01-01T00:00:09Z")`, "1")
	check("events", `set:where("end_time", "<=", 1767225609)`, "")
	check("events", `set:between("location.geo_position.longitude", 13, 14):where("location.geo_position.latitude", "<", 53)`, "2")
	check("events", `set:where("top_match.similarity", ">=", 0.75)`, "2")
	check("events", `set:where("meta.floor", ">", 3)`, "3")
	check("events", `set:where("meta.floor", "!=", 3)`, "3")
	check("events", `set:one_of("meta.floor", {3, 4.5})`, "13")
	check("events", `set:where("meta.name", "=", "n")`, "1")
	check("events", `set:where("meta.open", "=", false)`, "3")
	check("events", `set:where("meta.floor", "<", ns.int64("9007199254740993"))`, "13")
	check("events", `set:where("meta.floor", ">", ns.int64("9007199254740993"))`, "")
	check("events", `set:where("meta.floor", "=", "3")`, "!meta.floor: must be a number, got 3")
	check("events", `set:where("meta.other", "=", 1)`, "!top_match.similarity")
	check("events", `set:top("meta.floor", 1)`, "3")
	check("events", `set:filter(function(tags, floor, open, stop) return #tags == 0 and floor == 4.5 and open == false and stop == nil end, "tags", "meta.floor", "meta.open", "end_time")`, "3")
	check("events", `#set:to_table(9)[1].tags + #set:to_table(9)[2].tags + #set:to_table(9)[3].tags == 3 and set`, "123")
	check("events", `set:in_lists({})`, `!"lists" is not one of the columns`)
	check("faces", `set:in_lists({"`+A+`"})`, "12")
	check("faces", `set:in_lists(`+lists+`)`, "2")
	check("faces", `set:in_lists({})`, "")
	check("faces", `set:in_lists(ns.idset(`+lists+`))`, "2")
	check("faces", `set:one_of("lists", ns.idset(`+lists+`))`, "2")
	check("faces", `set:ids(ns.idset(`+ids+`))`, "1")
	check("faces", `set:exclude(ns.idset(`+ids+`))`, "23")
	check("faces", `set:exclude(ns.idset({}))`, "123")
	check("faces", `(ns.idset(`+ids+`):len() == 2 and #ns.idset(`+ids+`) == 2 and ns.idset(`+ids+`):has("`+C+`") and not ns.idset({}):has("`+C+`")) and set`, "123")
	check("faces", `ns.idset({"x"})`, "!id 1: ")
	check("faces", `set:ids(ns.signal())`, "!list expected")

	o := lua.Options{
		Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.MatchingPlugin(`
M.matching = {origins = {"events", "faces"}, on_error = "fail"}
M.schema = {properties = {n = {type = "integer"}}}
local codes = {}
` + plugin.String() + `
function M:prefilter(req, set) return codes[ns.conf.n](set) end`), "p_test.lua": `
local test = require("nearside.test")
local events = test.events({
  {face_descriptor = {1}, tags = {"vip", "staff"}, end_time = "2026-01-01T00:00:10Z", meta = {floor = 3, name = "n", open = true}},
  {face_descriptor = {1}, tags = {"staff"}, location = {geo_position = {longitude = 13.4, latitude = 52.5}}, top_match = {similarity = 0.75}},
  {face_descriptor = {1}, meta = {floor = 4.5, open = false}},
})
local faces = test.faces({{descriptor = {1}, lists = {"` + A + `"}}, {descriptor = {1}, lists = {"` + A + `", "` + B + `"}}, {descriptor = {1}}})
local function check(n, rows, want)
  test.case(tostring(n), function()
    local p = test.start({n = n})
    local candidates = {filters = {origin = rows == faces and "faces" or "events"}}
    if want:sub(1, 1) == "!" then
      test.fails(function() p:prefilter(rows, candidates) end, want:sub(2))
      return
    end
    local found = {}
    for i, row in ipairs(p:prefilter(rows, candidates)) do found[i] = (row.event_id or row.face_id):sub(-1) end
    test.equal(table.concat(found), want)
  end)
end
` + tests.String()}),
		MetaFields: []matcher.MetaField{{Path: "floor", Type: matcher.MetaNumber}, {Path: "name", Type: matcher.MetaString}, {Path: "open", Type: matcher.MetaBoolean}},
	}
	passed := 0
	err := Run(t.Context(), o, "p", func(r Result) {
		if r.Fault == "" {
			passed++
		} else {
			t.Errorf("%s: %s", r.Name, r.Fault)
		}
	})
	if err != nil || passed != n {
		t.Errorf("%d of %d passed: %v", passed, n, err)
	}
}
