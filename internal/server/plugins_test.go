package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
)

func (x *service) writePlugin(name, source string) {
	x.Helper()
	check(x, os.WriteFile(filepath.Join(x.pluginDir, name+".lua"), []byte(source), 0o644))
}

func withPlugins(plugins map[string]string) func(*settings) {
	return func(s *settings) { s.plugins = plugins }
}

// TestPluginsAreListed checks the list of plugins with their declarations and states.
func TestPluginsAreListed(t *testing.T) {
	x := start(t, withPlugins(map[string]string{
		"one": `return {api = 1, name = "one", version = "1.2", kinds = {"matching"}, permissions = {"http:127.0.0.1:5020"},
			schema = {type = "object", properties = {ids = {type = "array", default = {}}}}, matching = {order = 7}, prefilter = function(self, req, set) error("never") end}`,
		"two": `return {api = 1, name = "two", kinds = {"event"}, events = {"monitoring_event"}, handle_event = function() end}`,
	}))
	a := x.call("GET", "/1/plugins", "").status(200)
	a.part("0.name", `"one"`).part("0.version", `"1.2"`).part("0.kinds", `["matching"]`).part("0.state", `"running"`).part("0.order", "7")
	a.part("0.permissions", `["http:127.0.0.1:5020"]`).part("0.schema.type", `"object"`).part("0.schema.properties.ids.default", "[]").part("0.reason", `""`).part("1.name", `"two"`).part("1.schema", "null")
	x.call("GET", "/1/plugins", "", "Accept", "application/msgpack").status(200)
	x.call("GET", "/1/plugins?all=1", "").fault(12022, "all")

	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4), "")).status(201)
	for range 5 { // on_error is "skip", so the answers do not show the errors
		x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), `{"filters":{"origin":"faces"},"targets":[]}`)).status(201).part("0.matches.0.result.0.face.face_id", `"`+id(1)+`"`)
	}
	a = x.call("GET", "/1/plugins", "").status(200)
	a.part("0.reason", `"prefilter is switched off for a while: `+x.pluginDir+`/one.lua:2: never"`)
	a.part("0.state", `"degraded"`).part("0.breakers.prefilter.state", `"open"`).part("0.counters.errors", "5").part("1.state", `"running"`)
}

// TestPluginsInMatches checks that plugins take part in matches, and that the
// plan shows it.
func TestPluginsInMatches(t *testing.T) {
	x := start(t, withPlugins(map[string]string{
		"adults": `return {api = 1, name = "adults", kinds = {"matching"}, matching = {on_error = "fail"},
			prefilter = function(self, req, set) if req.limit == 9 then error("no policy") end return set:where("age", ">=", 18) end}`,
		"thin": `return {api = 1, name = "thin", kinds = {"matching"}, cost = function(self, req) if req.filters.list_id then return 10 end end,
			match = function(self, req, set) if req.limit == 2 then return nil end return set:scan(1) end}`,
	}))
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
	for n, age := range []string{"10", "20", "30"} {
		x.call("POST", "/1/faces", face(n+1, descriptor(v4, byte(n), 2, 3, 4), `,"age":`+age+`,"lists":["`+id(9)+`"]`)).status(201)
	}
	match := func(set string) *answer {
		t.Helper()
		return x.call("POST", "/1/matcher/faces?explain=1", matchBody(givenDescriptor(descriptor(v4, 0, 2, 3, 4)), `{"filters":{"origin":"faces"`+set+`,"targets":["distance"]}`))
	}
	a := match(`}`).status(201)
	a.part("0.matches.0.result", `[{"face":{"face_id":"`+id(2)+`"},"distance":1},{"face":{"face_id":"`+id(3)+`"},"distance":4}]`)
	a.part("0.matches.0.plan.prefilters.0.plugin", `"adults"`).part("0.matches.0.plan.prefilters.0.before", "3").part("0.matches.0.plan.prefilters.0.after", "2")
	a.part("0.matches.0.plan.matchers.0.chosen", "true").part("0.matches.0.plan.matchers.1.reason", `"cannot"`)
	a = match(`,"list_id":"` + id(9) + `"}`).status(201)
	a.part("0.matches.0.result", `[{"face":{"face_id":"`+id(2)+`"},"distance":1}]`).part("0.matches.0.plan.matchers.1.chosen", "true")
	a = match(`,"list_id":"` + id(9) + `"},"limit":2`).status(201) // declined
	a.part("0.matches.0.result.1.face.face_id", `"`+id(3)+`"`).part("0.matches.0.plan.matchers.1.reason", `"failed: declined"`)
	match(`},"limit":9`).fault(12050, "candidates[0]: plugin adults: prefilter: failed; the log of the server has the reason")
}

// TestPlanOfPlugin checks a plan when a plugin answers: rows_selected is the number
// of rows that pass the filters, and rows_scanned the number of rows that the plugin
// returned.
func TestPlanOfPlugin(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"named": `
local M = {api = 1, name = "named", kinds = {"matching"}, matching = {origins = {"faces"}}}
function M:cost(req) return 1 end
function M:match(req, set)
  local rows = {}
  for i, row in ipairs(set:where("age", ">=", 3):to_table(100)) do rows[i] = {id = row.face_id} end
  return rows
end
return M`}))
	for n := 1; n <= 5; n++ {
		x.call("POST", "/1/faces", face(n, descriptor(v4, byte(n), 0, 0, 0), `,"age":`+itoa(n))).status(201)
	}
	x.call("POST", "/1/faces", face(6, descriptor(v4other, 0, 0, 0, 0), `,"age":9`)).status(201) // of another version
	x.call("POST", "/1/faces", face(7, descriptor(v4, 0, 0, 0, 0), `,"age":9,"gender":1`)).status(201)
	x.call("POST", "/1/faces", face(8, descriptor(v4, 0, 0, 0, 0))).status(201)
	const filters = `{"filters":{"origin":"faces","age__lt":8},"limit":2,"targets":["distance"]}`
	a := x.call("POST", "/1/matcher/faces?explain=1", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), filters)).status(201)
	a.part("0.matches.0.result", `[{"face":{"face_id":"`+id(3)+`"},"distance":9},{"face":{"face_id":"`+id(4)+`"},"distance":16}]`)
	plan := "0.matches.0.plan."
	a.part(plan+"matchers.1.name", `"named"`).part(plan+"matchers.1.chosen", "true")
	a.part(plan+"rows_selected", "5").part(plan+"rows_other_version", "0").part(plan+"rows_scanned", "3")
	a = x.call("POST", "/1/matcher/faces?explain=1", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), `{"filters":{"origin":"faces"},"limit":2,"targets":["distance"]}`)).status(201)
	a.part(plan+"rows_selected", "8").part(plan+"rows_other_version", "1").part(plan+"rows_scanned", "4")
}

// TestPluginRoutes checks that requests below /plugins reach the plugin with any body
// and any method.
func TestPluginRoutes(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"tea": `
local ns = require("nearside")
local M = {api = 1, name = "tea", kinds = {"background"}}
function M:start()
  ns.route("GET", "/pot", function(req) return 418, "short and stout", {["x-tea"] = "green", ["content-type"] = "text/tea"} end)
  ns.route("POST", "/echo", function(req)
    return 200, {method = req.method, path = req.path, a = req.query.a, agent = req.headers["x-agent"], body = req.body}
  end)
  ns.route("GET", "/query", function(req) return 200, {req.query, req.query_all} end)
  ns.route("GET", "/own", function(req) return 200, "", {["x-tea"] = req.method} end)
  ns.route("HEAD", "/own", function(req) return 200, "", {["x-tea"] = req.method} end)
  ns.route("GET", "/broken", function() error("cracked") end)
  ns.route("GET", "/odd", function() return "x" end)
end
return M`}))
	a := x.call("GET", "/plugins/tea/pot", "")
	if a.response.StatusCode != http.StatusTeapot || string(a.body) != "short and stout" || a.response.Header.Get("X-Tea") != "green" || a.response.Header.Get("Content-Type") != "text/tea" {
		t.Errorf("%d %s %v", a.response.StatusCode, a.body, a.response.Header)
	}
	a = x.call("POST", "/plugins/tea/echo?a=1", "a=b", "Content-Type", "application/x-www-form-urlencoded", "X-Agent", "7").status(200)
	var got map[string]string
	check(t, json.Unmarshal(a.body, &got))
	for key, want := range map[string]string{"method": "POST", "path": "/tea/echo", "a": "1", "agent": "7", "body": "a=b"} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
	x.call("GET", "/plugins/tea/query?a=1&b=x%2By+z&a=2&&c&a=%C3%A9", "").status(200).
		json(`[{"a":"é","b":"x+y z","c":""},{"a":["1","2","é"],"b":["x+y z"],"c":[""]}]`)
	x.call("GET", "/plugins/tea/query?a=1&b=%4", "").fault(12022, "b:", `"%4"`)
	request := testkit.Must(http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+x.address+"/plugins/tea/echo", nil))
	request.Header["X-Agent"] = []string{"7", "8"}
	response := testkit.Must(x.client.Do(request)) //nolint:bodyclose // closed in the next line; the linter does not see through Must
	defer response.Body.Close()
	check(t, json.NewDecoder(response.Body).Decode(&got))
	if got["agent"] != "7, 8" {
		t.Errorf("a repeated header is %q, want \"7, 8\"", got["agent"])
	}
	// HEAD works wherever GET does.
	for range 2 {
		c := x.dial().write("HEAD /plugins/tea/pot HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n")
		text := string(testkit.Must(io.ReadAll(c.in)))
		if !strings.HasPrefix(text, "HTTP/1.1 418 ") || !strings.Contains(text, "\r\nX-Tea: green\r\n") || !strings.Contains(text, "\r\nContent-Length: 15\r\n") || !strings.HasSuffix(text, "\r\n\r\n") {
			t.Errorf("HEAD: %q", text)
		}
	}
	if a := x.call("HEAD", "/plugins/tea/echo", ""); a.response.StatusCode != http.StatusMethodNotAllowed || a.response.Header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("HEAD of POST: %d %v", a.response.StatusCode, a.response.Header)
	}
	if a := x.call("HEAD", "/plugins/tea/own", ""); a.response.Header.Get("X-Tea") != "HEAD" {
		t.Errorf("a route of HEAD: %d %v", a.response.StatusCode, a.response.Header)
	}
	x.call("GET", "/plugins/tea/cup", "").fault(12010, `"/cup"`)
	x.call("GET", "/plugins/coffee/pot", "").fault(12010, `"coffee"`)
	if a := x.call("PUT", "/plugins/tea/pot", ""); a.response.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("%v", a.response.Header)
	} else {
		a.fault(12011, "PUT")
	}
	x.call("POST", "/plugins/tea/echo", strings.Repeat("x", 2<<20)).fault(12029, "body")
	for path, why := range map[string]string{"/plugins/tea/broken": "cracked", "/plugins/tea/odd": "must return a status"} {
		if a := x.call("GET", path, ""); a.response.StatusCode != http.StatusInternalServerError || !strings.Contains(x.log.String(), why) {
			t.Errorf("%d %s\n%s", a.response.StatusCode, a.body, x.log)
		}
	}
}

// TestPluginReload checks that a new generation answers, that a broken one is refused
// and changes nothing, and that running requests are not affected.
func TestPluginReload(t *testing.T) {
	source := func(answer string) string {
		return `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background", "matching"}, matching = {on_error = "fail"}}
function M:start() ns.route("GET", "/x", function() return 200, "` + answer + `" end) end
function M:prefilter(req, set) return set end
return M`
	}
	x := start(t, withPlugins(map[string]string{"p": source("one")}))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4), "")).status(201)
	checkRoute := func(want string) {
		t.Helper()
		if a := x.call("GET", "/plugins/p/x", "").status(200); string(a.body) != want {
			t.Errorf("%s, want %s", a.body, want)
		}
	}
	checkRoute("one")
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					a := x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), `{"filters":{"origin":"faces"},"targets":[]}`))
					if a.response.StatusCode != http.StatusCreated {
						t.Errorf("%d %s", a.response.StatusCode, a.body)
						return
					}
				}
			}
		})
	}
	for range 10 {
		x.writePlugin("p", source("two"))
		x.call("POST", "/1/plugins/reload", "").status(200).part("0.name", `"p"`)
		checkRoute("two")
		x.writePlugin("p", "return {\n  api = 1,\n  name = }")
		x.call("POST", "/1/plugins/reload", "").fault(int(matcher.CodePlugins), "p.lua:3:")
		checkRoute("two")
	}
	close(stop)
	clients.Wait()
}

// TestPluginHeaders checks that the values of headers with equal names are joined, and
// that this does not need much more memory than their length.
func TestPluginHeaders(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"tea": `
local ns = require("nearside")
local M = {api = 1, name = "tea", kinds = {"background"}}
function M:start()
  ns.route("GET", "/length", function(req) return 200, tostring(#req.headers.a) .. " " .. req.headers.host end)
end
return M`}))
	const lines = 10_000
	c := x.dial()
	request := "GET /plugins/tea/length HTTP/1.1\r\nHost:\r\n" + strings.Repeat("a:b\r\n", lines) + "\r\n"
	want := itoa(3*lines-2) + " "
	if a := c.write(request).answer("joined").status(200); string(a.body) != want {
		t.Errorf("%q, want %q", a.body, want)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.write(request).answer("again").status(200)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 50<<20 { // 150 MB if each line copied all earlier ones
		t.Errorf("%d bytes for a header of %d", got, len(request))
	}
	x.awaitNoHeads()
}
