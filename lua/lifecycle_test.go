package lua

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// counted returns what a plugin has counted in kv.
func counted(h *Host) map[string]any {
	s := h.kv["p"]
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]any{}
	for key, e := range s.m {
		all[key] = e.value
	}
	return all
}

// TestStatesKnowWhoTheyAre: initialize and start are told side, index, count
// and reason. An error leaves a state as it is, a spent budget has it replaced,
// and close runs only at a reload and at the end.
func TestStatesKnowWhoTheyAre(t *testing.T) {
	m, version := people(t, 3)
	h, _ := start(t, `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background", "matching"}, states = 3, limits = {prefilter = 0.02, slice = 0.01}}
local mine
local function count(what, s) ns.kv.incr(what .. " " .. s.side .. " " .. s.index .. "/" .. s.count .. " " .. s.reason) end
function M:initialize(conf, state) mine = state count("init", state) end
function M:start(state) assert(state.side == "main") count("start", state) end
function M:close(reason) ns.kv.incr("close " .. mine.side .. " " .. reason) end
function M:prefilter(req, set)
  if req.limit == 7 then error("bad") end
  if req.limit == 8 then while true do end end
  return set
end
return M`, with(m))
	want := map[string]any{}
	check := func() {
		t.Helper()
		if got := counted(h); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	made := func(reason string) {
		for i := 1; i <= 3; i++ {
			want[fmt.Sprintf("init main %d/3 %s", i, reason)] = 1.0
			want[fmt.Sprintf("start main %d/3 %s", i, reason)] = 1.0
		}
		want["init matching 1/2 "+reason], want["init matching 2/2 "+reason] = 1.0, 1.0
	}
	made("start")
	check()

	p := h.current.Load().plugins[0]
	use := func(limit int) {
		t.Helper()
		if _, err := narrow(t, h, m, ask(version, 1, &matcher.Candidates{Limit: limit})); err != nil {
			t.Error(err)
		}
		waitFor(t, func() bool { return p.pool.Idle() == 2 })
	}
	for range 3 {
		use(7) // raises an error
		check()
	}
	use(8)                                                                                     // spends its budget
	for _, key := range []string{"init matching 1/2 replaced", "init matching 2/2 replaced"} { // which of the two it was is open
		if counted(h)[key] != nil {
			want[key] = 1.0
			break
		}
	}
	check()
	if len(want) != 9 {
		t.Errorf("no state was replaced: %v", want)
	}

	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	made("reload")
	want["close main reload"], want["close matching reload"] = 3.0, 2.0
	check()
	closeHost(t, h)
	want["close main shutdown"], want["close matching shutdown"] = 3.0, 2.0
	check()
}

// TestReady: what waits for the server runs when it listens, once; after a
// reload when the new generation has taken over.
func TestReady(t *testing.T) {
	source := func(version string) string {
		return background(`M.states = 2 M.version = "` + version + `"
function M:initialize(conf, state) ns.ready(function() ns.sleep(0) ns.log.info("` + version + ` ready " .. state.index) end) end
function M:start(state) if state.index == 1 then ns.route("GET", "/later", function() ns.ready(function() ns.log.info("at once") end) return 200 end) end end`)
	}
	h, log := start(t, source("one"))
	if strings.Contains(log.all(), "ready") {
		t.Error(log.all())
	}
	h.Listening()
	log.wait(t, "one ready 1")
	log.wait(t, "one ready 2")
	if _, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/later"}); err != nil {
		t.Error(err)
	}
	log.wait(t, "at once")
	rewrite(t, h, source("two"))
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "two ready 1")
	log.wait(t, "two ready 2")
	closeHost(t, h)
	if n := strings.Count(log.all(), " ready "); n != 4 {
		t.Errorf("%d calls, want 4:\n%s", n, log.all())
	}
	refused(t, Options{Dir: folder(t, map[string]string{"p.lua": "require('nearside').ready(print)"}), Active: []string{"p"}}, "from initialize on")
}

// TestRoutesOfSeveralStates: requests go to the states that have registered a
// route, in turn; those of the main side come first.
func TestRoutesOfSeveralStates(t *testing.T) {
	h, _ := start(t, `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background", "matching"}, states = 3}
function M:initialize(conf, state)
  ns.route("GET", "/all", function() return 200, state.side .. state.index end)
  if state.index == 2 then ns.route("GET", "/second", function() return 200, state.side .. state.index end) end
  if state.side == "matching" then ns.route("GET", "/matching", function() return 200, state.side end) end
end
function M:prefilter(req, set) return set end
return M`, func(o *Options) { o.MatchStates = 2 })
	get := func(path string) string {
		t.Helper()
		r, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/" + path})
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Body)
	}
	var got []string
	for range 6 {
		got = append(got, get("all"))
	}
	if s := strings.Join(got, " "); s != "main1 main2 main3 main1 main2 main3" {
		t.Error(s)
	}
	if s := get("second") + get("second") + get("matching"); s != "main2main2matching" {
		t.Error(s)
	}
	p := h.current.Load().plugins[0]
	p.routes.remove(p.main.all()[0])
	if s := get("all") + get("all") + get("all"); strings.Contains(s, "main1") || !strings.Contains(s, "main3") {
		t.Error(s)
	}
	p.routes.remove(p.main.all()[1])
	if s := get("second"); s != "matching2" {
		t.Error(s)
	}
}

// degradable is a plugin of all kinds that starts when its peer is up: a key
// that others set.
const degradable = `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event", "background", "matching"}, events = {"monitoring_event"}, required = false, matching = {on_error = "fail"}}
function M:initialize(conf, state)
  ns.kv.incr("attempts " .. state.side)
  if not ns.kv.get("up") then error("the peer is down", 0) end
  ns.ready(function() ns.log.info("ready") end)
end
function M:start() ns.route("GET", "/x", function() return 200, "yes" end) end
function M:handle_event(points) for _, p in ipairs(points) do ns.log.info("event " .. p.n) end end
function M:prefilter(req, set) return set:where("age", "==", 1) end
function M:cost() return 1 end
function M:match(req, set) return set:scan(1) end
function M:close(reason) ns.kv.incr("close " .. reason) end
return M`

// TestDegraded: a plugin that is not required does not stop the service. While
// it does not run, nothing passes it by, and it is tried with growing pauses.
func TestDegraded(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	m, version := people(t, 3)
	refused(t, Options{
		Dir: folder(t, map[string]string{"p.lua": strings.Replace(degradable, "required = false", "required = true", 1)}), Active: []string{"p"},
	}, "initialize: the peer is down")
	h, log := start(t, degradable, with(m), func(o *Options) { o.Clock = clock })
	h.Listening()

	event := func(n int) {
		h.Emit("monitoring_event", func() any { return map[string]any{"n": float64(n)} })
	}
	stands := func() {
		t.Helper()
		s := h.Plugins()[0]
		if len(s.Degraded) != 1 || !strings.Contains(s.Degraded[0], "the peer is down") || s.LastError == "" || s.Name != "p" || s.States != 0 {
			t.Errorf("%+v", s)
		}
		if _, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/x"}); matcher.CodeOf(err) != matcher.CodeUnavailable {
			t.Errorf("the route: %v", err)
		}
		sub := ask(version, 1, &matcher.Candidates{Limit: 5})
		if rows, err := narrow(t, h, m, sub); matcher.CodeOf(err) != matcher.CodeUnavailable {
			t.Errorf("the policy: %v, %v", rows, err)
		}
		matchers, _, release := h.Acquire()
		defer release()
		if _, reason, ok := matchers[0].Cost(t.Context(), &sub); ok || !strings.Contains(reason, "the peer is down") {
			t.Errorf("the cost: %v, %s", ok, reason)
		}
	}
	stands()
	event(1)
	event(2)
	if s := h.Plugins()[0]; s.Queued != 2 {
		t.Errorf("%+v", s)
	}
	attempts := func() float64 {
		s := h.kv["p"]
		s.mu.Lock()
		defer s.mu.Unlock()
		v, _ := s.get("attempts main")
		return v.(float64)
	}
	for i, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		clock.sleeping(t, 1)
		clock.advance(pause*time.Second - 1)
		if n := attempts(); n != float64(i+1) {
			t.Errorf("%v attempts before pause %d has passed", n, i)
		}
		clock.advance(1)
		waitFor(t, func() bool { return attempts() == float64(i+2) })
	}
	clock.sleeping(t, 1)
	stands()

	// A reload is no way around it, and keeps the events.
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	stands()
	event(3)
	clock.sleeping(t, 1)
	up := h.kv["p"]
	up.mu.Lock()
	if err := up.set("up", true, 0); err != nil {
		t.Error(err)
	}
	up.mu.Unlock()
	clock.advance(time.Second)
	for _, line := range []string{"event 1", "event 2", "event 3", "ready", "runs now"} {
		log.wait(t, line)
	}
	if r, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/x"}); err != nil || string(r.Body) != "yes" {
		t.Error(r, err)
	}
	if rows, err := narrow(t, h, m, ask(version, 1, &matcher.Candidates{Limit: 5})); err != nil || fmt.Sprint(rows) != "[1]" {
		t.Error(rows, err)
	}
	if s := h.Plugins()[0]; len(s.Degraded) > 0 || s.Failures == 0 || s.States != 3 {
		t.Errorf("%+v", s)
	}
	closeHost(t, h)
	if got := counted(h); got["close shutdown"] != 3.0 || got["close reload"] != nil {
		t.Error(got)
	}
}

// TestDegradedUntilTheEnd: a plugin that never came to run says what is lost,
// and leaves nothing behind.
func TestDegradedUntilTheEnd(t *testing.T) {
	h, log := start(t, degradable, func(o *Options) { o.MatchStates = 1 })
	h.Emit("monitoring_event", func() any { return map[string]any{"n": 1.0} })
	closeHost(t, h)
	if got := counted(h); !strings.Contains(log.all(), "are lost") || got["close shutdown"] != nil {
		t.Errorf("%s\n%v", log.all(), got)
	}
}

// TestDegradedInTests: a test of a plugin sees it degraded, and running when
// the peer is there.
func TestDegradedInTests(t *testing.T) {
	got, err := trials(t, map[string]string{"p.lua": `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, permissions = {"http:*"}, required = false}
function M:initialize()
  local answer = assert(ns.http.get("http://peer/"))
  ns.ready(function() ns.log.info("ready") end)
end
return M`, "p_test.lua": `
local test = require("nearside.test")
test.case("starts later", function()
  local up = false
  test.http.handle(function() if up then return {status = 200} end return nil, "refused" end)
  local plugin = test.start()
  test.equal(plugin:status().state, "degraded")
  test.contains(plugin:status().reason, "refused")
  test.clock.advance(3.5)
  test.equal(#test.http.requests(), 3)
  up = true
  test.clock.advance(4)
  test.equal(plugin:status().state, "running")
  local lines = test.log.lines()
  test.equal(lines[#lines].message, "ready")
end)`})
	if err != nil || strings.Count(got, ": ok\n") != 1 {
		t.Error(got, err)
	}
}
