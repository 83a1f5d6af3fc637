package lua

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/matcher"
)

// routed starts a plugin with these routes and returns a function that sends a request. The
// handler of a route answers with the route and its parameters, as in "GET /a/{x} x=1".
func routed(t *testing.T, routes ...string) func(method, path string) string {
	t.Helper()
	var start strings.Builder
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		fmt.Fprintf(&start, "ns.route(%q, %q, function(req) return 200, show(%q, req.params) end)\n", method, path, r)
	}
	h, _ := startHost(t, luatest.BackgroundPlugin(`
local function show(route, params)
  local names = {}
  for name, value in pairs(params) do names[#names + 1] = " " .. name .. "=" .. value end
  table.sort(names)
  return route .. table.concat(names)
end
function M:start()
`+start.String()+`
end`))
	return func(method, path string) string {
		t.Helper()
		r, err := h.Serve(t.Context(), Request{Method: method, Path: "/p" + path})
		if err != nil {
			return fmt.Sprint(matcher.CodeOf(err))
		}
		if r.Status == http.StatusNoContent {
			return r.Headers["allow"]
		}
		return string(r.Body)
	}
}

func TestRouteParameters(t *testing.T) {
	send := routed(t, "GET /", "GET /persons/{id}", "GET /persons/new", "PUT /persons/{who}", "GET /persons/{id}/faces/{face}", "GET /{kind}/all/x",
		"GET /a/b/x", "GET /a/{p}/c", "GET /a/", "POST /only")
	check := func(method, path, want string) {
		t.Helper()
		if got := send(method, path); got != want {
			t.Errorf("%s %s: %q, want %q", method, path, got, want)
		}
	}
	check("GET", "/", "GET /")
	check("GET", "/persons/7", "GET /persons/{id} id=7")
	check("GET", "/persons/a b%é", "GET /persons/{id} id=a b%é")
	check("GET", "/persons/new", "GET /persons/new")
	check("PUT", "/persons/new", "PUT /persons/{who} who=new") // other methods have names of their own
	check("GET", "/persons/7/faces/8", "GET /persons/{id}/faces/{face} face=8 id=7")
	check("GET", "/x/all/x", "GET /{kind}/all/x kind=x")
	check("GET", "/a/b/c", "GET /a/{p}/c p=b") // although /a/b exists
	check("GET", "/a/", "GET /a/")
	check("GET", "/persons/", "12010") // a parameter is never empty
	check("GET", "/persons//faces/8", "12010")
	check("GET", "/persons/7/", "12010")
	check("DELETE", "/persons/new", "12011")
	check("HEAD", "/persons/7", "GET /persons/{id} id=7")
	check("HEAD", "/only", "12011")
	check("OPTIONS", "/persons/7", "GET, HEAD, OPTIONS, PUT")
	check("OPTIONS", "/only", "OPTIONS, POST")
	check("OPTIONS", "/none", "12010")
	if got := routed(t, "OPTIONS /x", "GET /x")("OPTIONS", "/x"); got != "OPTIONS /x" {
		t.Errorf("a route of OPTIONS: %q", got)
	}
}

// TestEncodedSlash checks that an encoded slash belongs to a segment, and that a path that
// the server has normalised is split as it is.
func TestEncodedSlash(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`function M:start() ns.route("GET", "/{a}/{b}", function(req) return 200, req.params.a .. "|" .. req.params.b end) end`))
	check := func(path, raw, want string) {
		t.Helper()
		if r, err := h.Serve(t.Context(), Request{Method: "GET", Path: path, RawPath: raw}); err != nil || string(r.Body) != want {
			t.Errorf("%s: %s %v, want %s", raw, r.Body, err, want)
		}
	}
	check("/p/x/y/z", "/p/x%2Fy/z", "x/y|z")
	check("/p/x/y/z", "/%70/x/y%2fz", "x|y/z")
	check("/p/x y/%", "/p/x%20y/%25", "x y|%")
	check("/p/x/y", "/q/../p/x//y", "x|y")
	check("/p/x/y", "/p/x/%zz", "x|y")
}

func TestRouteFaults(t *testing.T) {
	check := func(calls, want string) {
		t.Helper()
		_, err := New(t.Context(), Options{Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin("local f = print function M:start() " + calls + " end")}), Active: []string{"p"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", calls, err, want)
		}
	}
	check(`ns.route("get", "/", f)`, `method "get" is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS`)
	check(`ns.route("GET", "x", f)`, `path "x" must begin with / and have at most 256 bytes`)
	check(`ns.route("GET", "/a b", f)`, `path "/a b": the segment "a b" must be a parameter {name}, or letters, digits and . _ ~ -`)
	check(`ns.route("GET", "/x{id}", f)`, `the segment "x{id}" must be`)
	check(`ns.route("GET", "/{1}", f)`, `the segment "{1}" must be`)
	check(`ns.route("GET", "/{a}/{a}", f)`, `path "/{a}/{a}": the parameter {a} is used twice`)
	check(`ns.route("GET", "/" .. ("{a}/"):rep(60), f)`, `is used twice`)
	check(`ns.route("GET", "/x", f, {role = "reed"})`, `options.role: "reed" is not one of ["match" "read" "write" "admin"]; did you mean "read"?`)
	check(`ns.route("GET", "/x", f, {rolle = "read"})`, `options.rolle: is unknown`)
	check(`ns.route("GET", "/{a}", f) ns.route("GET", "/{b}", f)`, `GET /{b} conflicts with GET /{a}: both match /{b}, and neither is more specific`)
	check(`ns.route("GET", "/a/{x}", f) ns.route("GET", "/{y}/b", f)`, `GET /{y}/b conflicts with GET /a/{x}: both match /a/b, and neither is more specific`)
	check(`for i = 1, 5000 do ns.route("GET", "/" .. i, f) if i % 100 == 0 then ns.sleep(0) end end`, `a plugin has at most 4096 routes`)
}

// TestManyRoutes checks that 1,000 routes are registered within the budget of start, and
// that each of them answers.
func TestManyRoutes(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  for i = 1, 1000 do ns.route("GET", "/r" .. i .. "/{id}", function(req) return 200, i .. ":" .. req.params.id end) end
end`))
	for i := 1; i <= 1000; i++ {
		r, err := h.Serve(t.Context(), Request{Method: "GET", Path: fmt.Sprintf("/p/r%d/x", i)})
		if want := fmt.Sprintf("%d:x", i); err != nil || string(r.Body) != want {
			t.Fatalf("%s %v, want %s", r.Body, err, want)
		}
	}
	if n := len(h.Plugins()[0].Routes); n != 1000 {
		t.Errorf("%d routes are shown", n)
	}
}

// TestRouteRoles checks that Request.Allow decides with the role of the route before the
// handler runs, and that only routes of the plugin have roles.
func TestRouteRoles(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("GET", "/r", function(req) return 200, tostring(req.key) end, {role = "read"})
  ns.route("GET", "/none", function() ns.log.info("was called") return 200 end)
end`))
	var asked []string
	send := func(method, path, key string) (Response, error) {
		return h.Serve(t.Context(), Request{Method: method, Path: path, Key: key, Allow: func(role string) error {
			asked = append(asked, role)
			if role == "admin" {
				return matcher.Errorf(matcher.CodeForbidden, "role")
			}
			return nil
		}})
	}
	if r, err := send("GET", "/p/r", "gate-7"); err != nil || string(r.Body) != "gate-7" {
		t.Errorf("%s %v", r.Body, err)
	}
	if r, err := send("HEAD", "/p/r", ""); err != nil || string(r.Body) != "nil" {
		t.Errorf("%s %v", r.Body, err)
	}
	if _, err := send("GET", "/p/none", "k"); matcher.CodeOf(err) != matcher.CodeForbidden || strings.Contains(log.All(), "was called") {
		t.Error(err, log.All())
	}
	for _, path := range []string{"/p/other", "/q/r"} {
		if _, err := send("GET", path, "k"); matcher.CodeOf(err) != matcher.CodeNoRoute {
			t.Error(err)
		}
	}
	if _, err := send("OPTIONS", "/p/none", ""); err != nil {
		t.Error(err)
	}
	if want := []string{"read", "read", "admin"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}

// collected is a client that leaves after a number of pieces.
type collected struct {
	head   string
	pieces []string
	left   int
}

func (c *collected) Begin(status int, headers map[string]string) {
	c.head += fmt.Sprint(status, headers)
}

func (c *collected) Write(piece []byte) error {
	if c.left == 0 {
		return errors.New("gone")
	}
	c.left--
	c.pieces = append(c.pieces, string(piece))
	return nil
}

func TestAnswerInPieces(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
local kept
function M:start()
  ns.route("GET", "/stream", function(req)
    assert(#ns.json.encode(req) > 10 and rawget(req, "write") == nil) -- write is no field
    assert(req:write("a", {status = 418, headers = {["X-Tea"] = "green"}}))
    assert(req:write(""))
    assert(req:write("b\0c"))
    kept = req
  end)
  ns.route("GET", "/late", function() return 200, tostring(select(2, kept:write("d"))) end)
  ns.route("GET", "/gone", function(req)
    for i = 1, 10 do
      local ok, err = req:write(tostring(i))
      if not ok then ns.log.info("stopped at " .. i .. ": " .. err) return end
    end
  end)
  ns.route("GET", "/both", function(req) req:write("a") return 200, "b" end)
  ns.route("GET", "/twice", function(req) req:write("a") req:write("b", {status = 201}) end)
  ns.route("GET", "/status", function(req) req:write("a", {status = 204}) end)
  ns.route("GET", "/header", function(req) req:write("a", {headers = {x = "a\nb"}}) end)
  ns.route("GET", "/raises", function(req) req:write("a") error("cracked") end)
end`))
	send := func(path string, c *collected) (Response, error) {
		return h.Serve(t.Context(), Request{Method: "GET", Path: "/p/" + path, Stream: c})
	}
	c := &collected{left: 9}
	r, err := send("stream", c)
	if err != nil || !r.Streamed || c.head != "418 map[x-tea:green]" || !slices.Equal(c.pieces, []string{"a", "", "b\x00c"}) {
		t.Errorf("%+v %v %+v", r, err, c)
	}
	if r, err := send("late", &collected{}); err != nil || string(r.Body) != "the request has been answered already" {
		t.Errorf("%s %v", r.Body, err)
	}
	c = &collected{left: 2}
	if r, err := send("gone", c); err != nil || !r.Streamed || len(c.pieces) != 2 {
		t.Errorf("%+v %v %+v", r, err, c)
	}
	luatest.WantLines(t, log.All(), "stopped at 3: the client has left, or reads too slowly")
	for path, want := range map[string]string{
		"both": "has sent its answer with req:write, so it must return nothing, got 200", "twice": "only the first call can set the status",
		"status": "options.status: an answer with the status 204 has no body", "header": "line breaks", "raises": "cracked",
	} {
		if _, err := send(path, &collected{left: 9}); matcher.CodeOf(err) != matcher.CodeInternal || !strings.Contains(log.All(), want) {
			t.Errorf("%s: %v\n%s", path, err, log.All())
		}
	}
	if _, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/stream"}); err == nil || !strings.Contains(log.All(), "does not send answers in pieces") {
		t.Error(err)
	}
}

// TestPiecesOfTasks checks that a task can send pieces while the handler waits, one after
// another, and that the answer ends only when a piece that is being sent has been sent.
func TestPiecesOfTasks(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("GET", "/x", function(req)
    ns.spawn(function() req:write("task") ns.log.info("the task has written") end)
    ns.sleep(0)
    req:write("handler")
  end)
end`))
	c := &collected{left: 9}
	if r, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/x", Stream: c}); err != nil || !r.Streamed {
		t.Errorf("%+v %v", r, err)
	}
	log.Wait(t, "the task has written")
}
