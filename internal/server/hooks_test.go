package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"nearside/lua"
	"nearside/matcher"
)

// policy is a plugin that rejects and changes matches by the id of the first reference.
const policy = `local ns = require("nearside")
local M = {api = 1, name = "policy", kinds = {"matching"}, matching = {on_error = "fail"}}
function M:request(req)
  local first = req.references[1] or {}
  if first.id == "blocked" then return ns.reject(451, "blocked until Monday") end
  if first.id == "raised" then error(ns.reject(429, "too often")) end
  if first.id == "wide" then req:set_limit(2000) end
  if first.id == "many" then req:set_limit(1000) return end
  if first.id == "broken" then req:set_limit(1) error("broken") end
  if first.id == "odd" then return 7 end
  if first.id == "second" then
    req:set_limit(1, 2) req:set_order("create_time_desc", 2) req:set_exclude_self(true, 2) req:set_group({by = "external_id", size = 2}, 2)
    return
  end
  if first.id == "targets" then req:set_targets({"distance", "age"}) end
  req:set_threshold(0.5)
  if req.kind ~= "cross_match" then req:set_limit(2) end
end
return M`

func probe(name string) string {
	return strings.Replace(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `"probe"`, `"`+name+`"`, 1)
}

// TestRequestHook checks that a plugin rejects and changes matches before their references
// are resolved, and that plans show the changes.
func TestRequestHook(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"policy": policy}))
	x.storeFaces(4)
	match := func(references, sets string) *answer {
		t.Helper()
		return x.call("POST", "/1/matcher/faces?explain=1", matchBody(references, sets))
	}
	match(probe("blocked"), allFaces()).status(451).part("error_code", "12057").part("detail", `"blocked until Monday"`)
	match(probe("raised")+`,{"type":"face","id":"`+id(99)+`"}`, allFaces()).status(429).part("detail", `"too often"`) // the missing face was not looked up

	a := match(probe("plain"), allFaces(figures, `,"limit":4,"threshold":0.1`)+","+allFaces(figures, `,"limit":1,"threshold":0.5`)).status(201)
	a.part("0.matches.0.result", "["+row(1, v4, 1)+","+row(2, v4, 4)+"]") // not 4 rows
	a.part("0.matches.0.plan.hooks.0.plugin", `"policy"`).part("0.matches.0.plan.hooks.0.hook", `"request"`)
	a.part("0.matches.0.plan.hooks.0.changes", `["limit 2, was 4","threshold 0.5, was 0.1"]`)
	a.part("0.matches.1.plan.hooks.0.changes", `["limit 2, was 1"]`).lacks("order")

	match(probe("wide"), allFaces()).fault(12050, "plugin policy: request: failed; the log of the server has the reason")
	if log := x.log.String(); !strings.Contains(log, "limit: must be an integer from 1 to 1000 (limits.result), got 2000") {
		t.Error(log)
	}
	match(probe("odd"), allFaces()).fault(12050)
	match(probe("broken"), allFaces()).fault(12050)
	a = match(probe("second"), allFaces(figures, `,"limit":4`)+","+allFaces(`,"limit":4`)).status(201)
	a.part("0.matches.0.plan.hooks.0.changes", "[]").part("0.matches.0.result.3", row(4, v4, 16))
	a.part("0.matches.1.plan.hooks.0.changes", `["limit 1, was 4","order create_time_desc, was similarity","exclude_self true, was false","group by external_id of size 2, was none"]`)
	match(probe("targets"), allFaces(figures, `,"limit":1`)).status(201).part("0.matches.0.result.0", `{"face":{"face_id":"`+id(1)+`"},"distance":1}`)

	cross := x.call("POST", "/1/crossmatcher/faces?explain=1", `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":4,"targets":["distance"]}`).status(201)
	cross.part("0.matches.0.plan.hooks.0.changes", `["threshold 0.5, was 0"]`)
	if s := x.call("GET", "/1/plugins", "").status(200); s.at("0.counters.rejected") != 2.0 || s.at("0.breakers.request.state") != "closed" {
		t.Errorf("%s", s.body)
	}
	x.call("POST", "/1/matcher/raw", matchBody(probe("blocked"), probe("b"))).status(201) // no hook sees raw matches
}

// TestRequestBeyondRows checks that a plugin fails if its limits allow too many rows.
func TestRequestBeyondRows(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"policy": policy}), func(s *settings) { s.limits.References, s.limits.Candidates = 2100, 2 })
	references := strings.Repeat(","+probe("x"), 2010)
	x.call("POST", "/1/matcher/faces", matchBody(probe("many")+references, allFaces())).fault(12050, "plugin policy: request")
	if log := x.log.String(); !strings.Contains(log, "the changed limits and group sizes allow 1000 rows for each of 2011 references, in all more than the maximum of 2000000") {
		t.Error(log)
	}
}

// dress is a plugin that changes the rows of answers.
const dress = `local ns = require("nearside")
local M = {api = 1, name = "dress", kinds = {"matching"}, matching = {on_error = "fail"}}
function M:results(req, rows)
  assert(rows:len() == #rows and rows:at(0) == nil and rows:at(#rows + 1) == nil)
  if req.limit == 9 then return rows:sort(function(a, b) return a.age > b.age end):limit(2):only("distance"):add("by", "age") end
  if req.limit == 8 then return rows:where_similarity(">=", 2) end
  if req.limit == 7 then error("seven") end
  if req.limit == 6 then return {} end
  rows:group_by("external_id", 1):hide("user_data", "similarity"):drop(function(row) return row.age == 20 end)
  return rows:add("department", function(row)
    if row.age == 40 then return nil end
    return {name = row.external_id .. "/" .. row.user_data, floors = {1, 2.5}, big = ns.int64("9007199254740993"), none = ns.json.null}
  end):add("vip", true)
end
return M`

// TestResultsHook checks what a plugin can change of the rows of an answer, in all formats.
func TestResultsHook(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"dress": dress}))
	for n, more := range []string{`,"external_id":"anna"`, `,"external_id":"anna"`, `,"external_id":"berta"`, ""} {
		x.call("POST", "/1/faces", face(n+1, descriptor(v4, byte(n), 0, 0, 0), more+`,"user_data":"u`+itoa(n)+`","age":`+itoa(10+10*n))).status(201)
	}
	body := func(more string) string {
		return matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"faces"},"targets":["user_data","distance","similarity"],"count":true`+more+`}`)
	}
	first := `{"face":{"face_id":"` + id(1) + `"},"distance":0,"extra":{"department":{"big":9007199254740993,"floors":[1,2.5],"name":"anna/u0","none":null},"vip":true}}`
	third := `{"face":{"face_id":"` + id(3) + `"},"distance":4,"extra":{"department":{"big":9007199254740993,"floors":[1,2.5],"name":"berta/u2","none":null},"vip":true}}`
	fourth := `{"face":{"face_id":"` + id(4) + `"},"distance":9,"extra":{"vip":true}}`
	a := x.call("POST", "/1/matcher/faces?explain=1", body("")).status(201).header("Nearside-Order", "")
	a.part("0.matches.0.result", "["+first+","+third+","+fourth+"]").part("0.matches.0.count", "4")
	a.part("0.matches.0.plan.hooks.0.changes", `["rows 3, were 4","targets distance, was user_data, distance, similarity","extra department, vip"]`)
	x.call("POST", "/1/matcher/faces", packed(t, body("")), "Content-Type", "application/msgpack", "Accept", "application/msgpack").status(201).
		part("0.matches.0.result", "["+first+","+third+","+fourth+"]")
	x.call("POST", "/1/matcher/faces", body(""), "Accept", lines).status(201).isText(first + "\n" + third + "\n" + fourth + "\n" + `{"end":{"count":3,"total":4}}` + "\n")
	cross := x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":4,"targets":["distance"]}`).status(201)
	cross.part("0.matches.0.result.0", first).part("3.matches.0.result.0", strings.Replace(fourth, "9", "0", 1))

	sorted := `{"face":{"face_id":"` + id(4) + `"},"distance":9,"extra":{"by":"age"}}`
	a = x.call("POST", "/1/matcher/faces?explain=1", body(`,"limit":9`)).status(201).header("Nearside-Order", "plugin")
	a.part("0.matches.0.result.0", sorted).part("0.matches.0.result.1.face.face_id", `"`+id(3)+`"`).part("0.matches.0.count", "4")
	a.part("0.matches.0.plan.order", `"plugin"`).part("0.matches.0.plan.hooks.0.changes.1", `"order of the plugin"`)
	x.call("POST", "/1/matcher/faces", body(`,"limit":9`), "Accept", lines).status(201).header("Nearside-Order", "plugin")
	x.call("POST", "/1/matcher/faces", body(`,"limit":8`)).status(201).part("0.matches.0.result", "[]").part("0.matches.0.count", "4")
	x.call("POST", "/1/matcher/faces", body(`,"limit":7`)).fault(12050, "candidates[0]: plugin dress: results: failed")
	x.call("POST", "/1/matcher/faces", body(`,"limit":6`)).fault(12050)
}

// TestHostileHooks checks that hooks which exceed their bounds change nothing, and that the
// request is answered without them.
func TestHostileHooks(t *testing.T) {
	matching := `local ns = require("nearside") local M = {api = 1, name = %s, kinds = {"matching"}} %s return M`
	bodies := map[string]string{
		"megabyte": `function M:results(req, rows) return rows:limit(1):add("x", ("x"):rep(1000000)) end`,
		"pieces":   `function M:results(req, rows) rows:limit(1) for i = 1, 1000 do rows:add("x" .. i, ("x"):rep(1000)) end end`,
		"escapes":  `function M:results(req, rows) rows:hide("distance") return rows:add("x", ("\1"):rep(16000)) end`,
		"endless":  `function M:results(req, rows) rows:sort(function(a, b) while true do end end) end`,
		"nested":   `function M:results(req, rows) rows:drop(function(row) rows:limit(0) end) end`,
		"cycle":    `function M:results(req, rows) local t = {} t.t = t rows:add("x", t) end`,
		"binary":   `function M:results(req, rows) rows:add("x", "\255") end`,
		"names":    `function M:results(req, rows) rows:add("a.b", 1) end`,
		"fields":   `function M:results(req, rows) rows:hide("distence") end`,
		"keeps":    `local kept function M:results(req, rows) if kept then kept:limit(0) end kept = rows end`,
		"limits":   `function M:request(req) req:set_limit(1e9) end`,
		"targets":  `function M:request(req) req:set_targets({"descriptor"}) end`,
		"sets":     `function M:request(req) req:set_limit(1, 2) end`,
		"kept_req": `local kept function M:request(req) if kept then kept:set_limit(1) end kept = req end`,
		"loops":    `function M:request(req) while true do end end`,
	}
	plugins := map[string]string{}
	for name, body := range bodies {
		plugins[name] = strings.Replace(strings.Replace(matching, "%s", `"`+name+`"`, 1), "%s", body, 1)
	}
	x := start(t, withPlugins(plugins))
	x.storeFaces(3)
	want := "[" + row(1, v4, 1) + "," + row(2, v4, 4) + "," + row(3, v4, 9) + "]"
	for range 2 { // the second time, plugins use what they have kept
		a := x.call("POST", "/1/matcher/faces?explain=1", matchBody(probe("x"), allFaces(figures))).status(201).part("0.matches.0.result", want)
		hooks := a.at("0.matches.0.plan.hooks").([]any)
		if len(hooks) != len(bodies) {
			t.Fatalf("%d hooks ran, want %d", len(hooks), len(bodies))
		}
		for _, h := range hooks {
			plan := h.(map[string]any)
			changes, keeps := plan["changes"].([]any), strings.HasPrefix(plan["plugin"].(string), "kee") || plan["plugin"] == "kept_req"
			if !keeps && (len(changes) != 1 || changes[0] != "skipped: failed; the log of the server has the reason") {
				t.Errorf("%v", plan)
			}
		}
	}
	for _, reason := range []string{
		"the added fields of a row must have at most 16384 bytes as JSON, got 1000000", "the added fields of a row must have at most 16384 bytes as JSON, got 17",
		"a function that a method of rows calls must not change rows", "nested deeper", "not UTF-8", `name: must have 1 to 64 letters, digits and _, got \"a.b\"`,
		`\"distence\" is not a field of rows of faces`, `did you mean \"distance\"?`, "limit: must be an integer from 1 to 1000 (limits.result), got 1e+09",
		`targets[1]: \"descriptor\" is not a field`, "set: must be a number from 1 to 1, got 2", "plugin request failed", "plugin results failed",
	} {
		if !strings.Contains(x.log.String(), strings.ReplaceAll(reason, `\"`, `"`)) && !strings.Contains(x.log.String(), reason) {
			t.Errorf("the log does not say %s", reason)
		}
	}
}

// TestOverride checks plugins.override in matches, and the order in the list of plugins.
func TestOverride(t *testing.T) {
	order, cost := -3, 5.0
	plugin := func(name, body string) string {
		return `local M = {api = 1, name = "` + name + `", kinds = {"matching"}} ` + body + ` return M`
	}
	tag := `function M:results(req, rows) return rows:add("order", (rows:at(1).extra.order or "") .. self.name) end function M:request() end `
	x := start(t, withPlugins(map[string]string{
		"a": plugin("a", tag), "b": plugin("b", tag), "c": plugin("c", tag),
		"m": plugin("m", `function M:cost() return 1000 end function M:match(req, set) return set:scan(1) end`),
	}), func(s *settings) {
		s.override = map[string]*lua.Override{
			"b": {Order: &order}, "m": {Cost: &cost},
			"c": {When: lua.When{Lists: []matcher.ID{parsedID(9)}, Origins: []matcher.Origin{matcher.Faces}, Accounts: []matcher.ID{parsedID(7)}, Routes: []string{"POST:/matcher/faces"}}},
		}
	})
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`","account_id":"`+id(7)+`"}`).status(201)
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 0, 0, 0), `,"account_id":"`+id(7)+`","lists":["`+id(9)+`"]`)).status(201)
	tags := func(path, filters, want string) {
		t.Helper()
		a := x.call("POST", path, matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"faces"`+filters+`}}`)).status(201)
		a.part("0.matches.0.result.0.extra.order", `"`+want+`"`)
		if strings.Contains(path, "explain") {
			a.part("0.matches.0.plan.matchers.1.cost", "5").part("0.matches.0.plan.matchers.1.chosen", "true")
		}
	}
	tags("/1/matcher/faces?explain=1", "", "ba")
	tags("/1/matcher/faces", `,"list_id":"`+id(9)+`"`, "ba")
	tags("/1/matcher/faces?account_id="+id(7), `,"list_id":"`+id(9)+`"`, "bac")
	tags("/1/matcher/faces?account_id="+id(7), `,"lists":["`+id(8)+`","`+id(9)+`"]`, "bac")
	tags("/1/matcher/faces?account_id="+id(7), "", "ba")
	tags("/1/matcher?account_id="+id(7), `,"list_id":"`+id(9)+`"`, "ba")
	a := x.call("GET", "/1/plugins", "").status(200)
	a.part("0.hooks", `{"request":{"order":100,"place":2},"results":{"order":100,"place":2}}`).part("1.hooks.results", `{"order":-3,"place":1}`).part("1.order", "-3")
	a.part("2.hooks.request.place", "3").part("3.hooks", "{}")
}

func parsedID(n int) matcher.ID { return matcher.MustID(id(n)) }

// TestHooksNeedRoom checks that memory is reserved for what plugins add to an answer: rows by
// a higher limit, fields, and the objects of an answer in lines.
func TestHooksNeedRoom(t *testing.T) {
	plugin := func(body string) map[string]string {
		return map[string]string{"p": `local M = {api = 1, name = "p", kinds = {"matching"}, matching = {on_error = "fail"}} ` + body + ` return M`}
	}
	one := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(figures, `,"limit":20`))
	for name, c := range map[string]struct {
		plugin, path, body, accept string
		code                       int // while there is no room
	}{
		"limit":       {`function M:request(req) req:set_limit(1000) end`, "/1/matcher/faces", one, "", 12050},
		"cross limit": {`function M:request(req) req:set_limit(1000) end`, "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":1}`, "", 12050},
		"fields":      {`function M:results(req, rows) rows:add("x", ("x"):rep(4000)) end`, "/1/matcher/faces", one, "", 12060},
		"lines":       {`function M:results(req, rows) end`, "/1/matcher/faces", strings.Replace(one, `"limit":20`, `"limit":500`, 1), lines, 12050},
	} {
		x := start(t, withPlugins(plugin(c.plugin)), func(s *settings) { s.timeout = 300 * time.Millisecond })
		x.storeFaces(20)
		release := x.server.HoldAnswers()
		accept := []string{"Accept", c.accept}
		if c.accept == "" {
			accept = nil
		}
		if a := x.call("POST", c.path, c.body, accept...); a.response.StatusCode == http.StatusCreated {
			t.Errorf("%s: the answer needed no room", name)
		} else {
			a.fault(c.code)
		}
		release()
		x.call("POST", c.path, c.body, accept...).status(201)
	}
}
