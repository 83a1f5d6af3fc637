package trial

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nearside/lua"
	"nearside/lua/luatest"
	"nearside/lua/ns"
	httpclient "nearside/lua/ns/http"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

// realServices are the store and the matcher of a real server, with the descriptor versions
// of tests.
func realServices(t *testing.T) func(*lua.Options) {
	t.Helper()
	similarity := matcher.Calibration{Midpoint: 1000, Steepness: 0.01}
	registry, err := matcher.NewRegistry([]matcher.Version{
		{Number: trialVersion, Length: trialLength, Scale: 1, Similarity: similarity},
		{Number: trialBodyVersion, Type: matcher.BodyDescriptor, Length: trialLength, Scale: 1, Similarity: similarity},
	})
	if err != nil {
		t.Fatal(err)
	}
	clock := luatest.NewFakeClock(startTime)
	m, err := memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0], Workers: 2, Cost: 100, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Applier: m})
	if err != nil {
		m.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
		m.Close()
	})
	return func(o *lua.Options) {
		o.Services.Matching, o.Services.Store, o.Services.Objects, o.Services.Values = m, objects, m, objects
		o.Services.Match = routed(route.New(route.Options{Registry: registry, Moments: m, Local: m}))
		o.Services.Decoder = func() *wire.Decoder {
			return &wire.Decoder{Registry: registry, Now: clock.Now, Limits: wire.Limits{References: 1000, Candidates: 1, Result: ns.RowsMax, Offset: ns.RowsMax, FilterValues: ns.RowsMax}}
		}
		o.Clock = clock
	}
}

// compareWithDouble runs a scenario in a plugin with real services and in a test of the
// plugin, and checks that the results are the same. The scenario is the body of a function that calls
// note(...) with its results. inTest is Lua code that runs in the test before the plugin.
func compareWithDouble(t *testing.T, scenario, inTest string, change func(*lua.Options), want ...string) {
	t.Helper()
	plugin := luatest.BackgroundPlugin(`
M.permissions = {"store", "http:*"}
function M:start()
  ns.route("GET", "/run", function(req)
    local seen = {}
    local function note(...)
      local row = ns.json.array({})
      for i = 1, select("#", ...) do local v = select(i, ...) row[i] = v == nil and ns.json.null or v end
      seen[#seen + 1] = ns.json.encode(row)
    end
    ` + scenario + `
    return 200, table.concat(seen, "\n")
  end)
end`)
	h, _ := start(t, plugin, change)
	r, err := h.Serve(t.Context(), lua.Request{Method: "GET", Path: "/p/run"})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range want {
		if !strings.Contains(string(r.Body), part) {
			t.Errorf("the output with real services does not contain %q:\n%s", part, r.Body)
		}
	}
	wantPass(t, plugin, `
test.case("the double", function()
  local p = test.start()
  `+inTest+`
  local want, got = `+luatest.QuoteLua("\n"+string(r.Body)+"\n")+`, p:request("GET", "/run").body .. "\n"
  local w, g = want:gmatch("(.-)\n"), got:gmatch("(.-)\n")
  local n = 0
  for line in w do n = n + 1 test.equal(g(), line, "line " .. n) end
  test.equal(g(), nil)
end)`)
}

// TestStoreDoubleMatchesTheStore runs reads and writes of objects, lists and accounts
// with the real store and with its double.
func TestStoreDoubleMatchesTheStore(t *testing.T) {
	const scenario = `
local s, A, B = ns.store, "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
local function id(n) return ("00000000-0000-4000-8000-%012d"):format(n) end
local function data(...) return {version = 1, data = ns.base64.encode(string.char(...) .. ("\0"):rep(16 - select("#", ...)))} end
note(s.new_list({list_id = id(100), account_id = A, user_data = "x"}))
note(s.new_list({list_id = id(100)}))
note(s.new_list({list_id = id(101)}))
note(s.new_list({list_id = "x"}))
note(s.new_list({nothing = 1}))
note(s.put_face({face_id = id(1), account_id = A, descriptor = data(1), lists = {id(101), id(100), id(101)}}))
note(s.put_face({face_id = id(2), account_id = B, descriptor = data(2), lists = {id(100)}}))
note(s.put_face({face_id = id(2), account_id = B, descriptor = data(2), lists = {id(101), id(7)}}))
note(s.put_face({face_id = id(2), account_id = B, descriptor = data(2)}))
note(s.put_face({face_id = id(3), descriptor = data(3), avatar = "", user_data = "", external_id = "e", age = 0}))
note(s.put_face({face_id = id(4), descriptor = {version = 9, data = ""}}))
note(s.put_face({face_id = id(4), descriptor = data(1), age = 256}))
note(s.put_face({face_id = id(4), descriptor = data(1), create_time = "yesterday"}))
note(s.put_face({face_id = id(4), descriptor = data(1), user_data = "x"}))
note(s.put_face({face_id = id(4), descriptor = data(1), user_data = "\255"}))
note(s.put_face({face_id = id(4), descriptor = data(1), age = ns.int64("9007199254740993")}))
for n = 1, 4 do note(s.get_face(id(n))) end
note(s.attach(id(100), {id(3), id(2)}))
note(s.get_face(id(3)))
note(s.attach(id(100), {id(3), id(9)}))
note(s.attach(id(100), {id(3), id(3)}))
note(s.attach(id(100), {}))
note(s.attach(id(55), {id(3)}))
note(s.detach(id(100), {id(2)}))
note(s.detach(id(101), {id(1)}))
note(s.detach(id(101), {id(1)}))
for n = 1, 3 do note(s.get_face(id(n))) end
note(s.put_faces({{face_id = id(5), descriptor = data(5)}, {face_id = id(6), descriptor = data(6), lists = {id(50)}}}))
note(s.get_face(id(5)))
note(s.put_faces({{face_id = id(5), descriptor = data(5)}, {face_id = id(5), descriptor = data(6)}}))
note(s.get_face(id(5)))
note(s.delete_face(id(5))) note(s.delete_face(id(5))) note(s.get_face(id(5))) note(s.get_face("x"))
note(s.put_events({{event_id = id(1), face_descriptor = data(1), meta = {big = ns.int64("18446744073709551615"), list = ns.json.array({}), map = {}, none = ns.json.null, f = 0.1, whole = 3}},
  {event_id = id(2), body_descriptor = {version = 2, data = data(1).data}, tags = {"b", "a", "b"}}}))
note(s.get_event(id(1))) note(s.get_event(id(2)))
local e = s.get_event(id(1)) e.source = "cam" note(s.put_event(e)) note(s.get_event(id(1)))
note(s.put_event({event_id = id(3), body_descriptor = {version = 1, data = data(1).data}}))
note(s.put_event({event_id = id(3)}))
note(s.put_event({event_id = id(3), face_descriptor = data(1), meta = {deep = ns.json.decode(("["):rep(30) .. ("]"):rep(30))}}))
note(s.put_event({event_id = id(3), face_descriptor = data(1), location = {geo_position = {longitude = 181, latitude = 0}}}))
note(s.delete_event(id(2))) note(s.get_event(id(2)))
note(pcall(s.put_faces, 5))
`
	compareWithDouble(t, scenario, "", realServices(t), `18446744073709551615`, "belongs to another account than the list", "nested deeper than 24")
}

// TestMatchingDoubleMatchesTheServer runs the operations of a set over the same rows in a
// plugin with the real store and in a test.
func TestMatchingDoubleMatchesTheServer(t *testing.T) {
	const rows = `
local function id(n) return ("00000000-0000-4000-8000-%012d"):format(n) end
local A, B, L = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000", "11111111-0000-4000-8000-000000000000"
local rows = {}
for n = 1, 40 do
  rows[n] = {face_id = id(n), age = n % 7, gender = n % 2, account_id = n % 3 == 0 and A or n % 3 == 1 and B or nil, descriptor = {n % 5, n % 4},
    external_id = "e" .. n % 3, lists = n % 4 == 0 and {L} or nil, create_time = ("2026-01-%02dT00:00:00.000Z"):format(n % 28 + 1)}
end
`
	const hooks = `
function M:prefilter(req, set)
  if req.limit == 1 then return set:where("age", ">", 2):union(set:one_of("external_id", {"e1", "x"})) end
  if req.limit == 2 then return set:one_of("lists", {"11111111-0000-4000-8000-000000000000"}) end
  if req.limit == 3 then return set:where("create_time", ">=", "now-1d") end
  if req.limit == 4 then return set:where("account_id", "=", "aaaaaaaa-0000-4000-8000-000000000000"):minus(set:top("age", 9)) end
  return set:sample(7, 5):exclude({"00000000-0000-4000-8000-000000000003"})
end
function M:match(req, set) return set:scan(5) end
`
	ask := []string{`{limit = 1}`, `{limit = 2}`, `{limit = 3}`, `{limit = 4}`, `{limit = 5}`, `{limit = 1, account_id = A}`, `{limit = 5, account_id = B, filters = {age__gte = 3}}`, `{limit = 2, filters = {list_id = L}}`}
	checks := realAnswers(t, luatest.MatchingPlugin(hooks+`M.permissions = {"store"}`), rows, ask)
	wantPass(t, luatest.MatchingPlugin(hooks), rows+`
test.case("the same", function()
  local p = test.start()
  rows = test.faces(rows)
  local function ask(candidates, kept, found)
    local got = {}
    for i, row in ipairs(p:prefilter(rows, candidates)) do got[i] = tonumber(row.face_id:sub(-12)) end
    test.equal(got, kept, test.json.encode(candidates))
    local matched = {}
    for i, row in ipairs(p:match(rows, {1, 2}, candidates)) do matched[i] = {row.face_id, row.distance, row.similarity} end
    test.equal(matched, found, test.json.encode(candidates))
  end
  `+checks+`
end)`)
}

// realAnswers makes a plugin store rows and calls the hooks of a plugin as a request does.
// It returns a line of Lua for each candidate set:
// ask(candidates, {numbers of the rows that prefilter keeps}, {numbers of the rows that
// match finds}).
func realAnswers(t *testing.T, plugin, rows string, ask []string) string {
	t.Helper()
	change := realServices(t)
	var o lua.Options
	change(&o)
	h, _ := start(t, plugin, change)
	filler, _ := start(t, luatest.BackgroundPlugin(`M.permissions = {"store"}
function M:start() ns.route("GET", "/fill", function()
  `+rows+`
  ns.store.new_list({list_id = L})
  for _, row in ipairs(rows) do
    row.descriptor = {version = 1, data = ns.base64.encode(string.char(row.descriptor[1], row.descriptor[2]) .. ("\0"):rep(14))}
    assert(ns.store.put_face(row))
  end
  return 200
end) end`), change)
	if _, err := filler.Serve(t.Context(), lua.Request{Method: "GET", Path: "/p/fill"}); err != nil {
		t.Fatal(err)
	}
	m := o.Services.Matching.(*memory.Memory)
	asking := &trialMemory{m, o.Services.Decoder(), o.Services.Decoder().Registry.Version(trialVersion)}
	var checks strings.Builder
	for _, candidates := range ask {
		sub, err := asking.newSubRequest(luaTable(t, candidates), []any{1.0, 2.0}, nil)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := m.Select(t.Context(), sub.Candidates, sub.Account)
		if err != nil {
			t.Fatal(err)
		}
		matchers, prefilters, release := h.Acquire()
		left, err := prefilters[0].Narrow(t.Context(), sub, whole)
		found := matchers[0].Match(t.Context(), []matcher.SubRequest{*sub})[0]
		release()
		if err != nil || found.Err != nil {
			t.Fatal(err, found.Err)
		}
		var kept []int
		for r := range left.(*memory.Selection).Rows() {
			kept = append(kept, rowNumber(left.(*memory.Selection).Object(r).ID))
		}
		slices.Sort(kept)
		fmt.Fprintf(&checks, "ask(%s, {%s}, {", candidates, strings.Trim(strings.ReplaceAll(fmt.Sprint(kept), " ", ","), "[]"))
		for _, match := range found.Matches {
			fmt.Fprintf(&checks, "{%q, %v, %.17g},", match.ID, match.Distance, match.Similarity)
		}
		checks.WriteString("})\n")
	}
	return checks.String()
}

// rowNumber returns the number at the end of an ID.
func rowNumber(id matcher.ID) int {
	n, _ := strconv.Atoi(id.String()[24:]) // the tests wrote it
	return n
}

// luaTable returns the value of a Lua expression.
func luaTable(t *testing.T, text string) map[string]any {
	t.Helper()
	h, _ := start(t, luatest.BackgroundPlugin(""))
	v, err := runLua(t, h, `local A, B, L = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000", "11111111-0000-4000-8000-000000000000" return `+text)
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// TestHTTPDoubleMatchesAServer makes the same requests to a real server and to the double,
// and checks that the answers are the same.
func TestHTTPDoubleMatchesAServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"n":9007199254740993,"none":null,"list":[]}`)
		case "/bad":
			fmt.Fprint(w, "{")
		case "/hop":
			http.Redirect(w, r, "/json", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		case "/many":
			w.Header().Add("X-Many", "a")
			w.Header().Add("X-Many", "b")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/large":
			fmt.Fprint(w, strings.Repeat("x", httpclient.MaxBody+1))
		case "/echo":
			body := new(strings.Builder)
			_, _ = fmt.Fprint(body, r.Method, " ", r.URL.Query().Get("a"), " ", r.Header.Get("X-B"), " ", r.Header.Get("Content-Type"), " ", r.ContentLength)
			fmt.Fprint(w, body)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	scenario := `
local base = ` + fmt.Sprintf("%q", server.URL) + `
local function try(method, path, o)
  local r, err = ns.http.request(method, base .. path, o)
  if not r then return note(path, nil, (err:gsub("http://[%d.]+:%d+", "http://host"))) end
  local v, bad = r.json()
  note(path, r.status, #r.body < 1000 and r.body or #r.body, r.headers["content-type"], r.headers["x-many"], v == nil and ns.json.null or v, bad)
end
try("GET", "/json") try("GET", "/bad") try("GET", "/hop") try("GET", "/loop") try("GET", "/many") try("GET", "/none") try("GET", "/large")
try("POST", "/echo", {json = {a = ns.int64("9007199254740993")}, query = {a = "x y&z"}, headers = {["X-B"] = "7"}})
try("PUT", "/echo", {body = "\0\1\2"}) try("DELETE", "/echo") try("HEAD", "/json") try("GET", "/slow", {timeout_ms = 20})
note(pcall(ns.http.get, base .. "/x", {nothing = 1})) note(pcall(ns.http.get, "ftp://x/")) note(pcall(ns.http.request, "G T", base .. "/x"))
note(pcall(ns.http.get, base .. "/x", {headers = {["a b"] = "1"}})) note(pcall(ns.http.get, base .. "/x", {headers = {a = "1\n2"}}))
note(pcall(ns.http.get, base .. "/x", {body = "1", json = 1}))
`
	double := `test.http.handle(function(r)
    local path = r.path
    if path == "/json" then return {body = '{"n":9007199254740993,"none":null,"list":[]}', headers = {["content-type"] = "application/json"}} end
    if path == "/bad" then return {body = "{", headers = {["content-type"] = "text/plain; charset=utf-8"}} end
    if path == "/hop" then return {status = 302, headers = {location = "/json"}} end
    if path == "/loop" then return {status = 307, headers = {location = "/loop"}} end
    if path == "/many" then return {headers = {["x-many"] = {"a", "b"}}} end
    if path == "/none" then return {status = 204} end
    if path == "/large" then return {body = ("x"):rep(8388609)} end
    if path == "/echo" then
      return {headers = {["content-type"] = "text/plain; charset=utf-8"}, body = table.concat({r.method, r.query.a or "", r.headers["x-b"] or "", r.headers["content-type"] or "", tostring(#r.body)}, " ")}
    end
    if path == "/slow" then return nil, "timeout" end
  end)`
	compareWithDouble(t, scenario, double, func(o *lua.Options) { o.Clock = luatest.NewFakeClock(time.Unix(0, 0)) }, "9007199254740993", "more than 5 redirects", "timeout", "larger than 8388608", `"a, b"`)
}
