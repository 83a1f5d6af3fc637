package lua

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/lua/vm"
	"nearside/matcher"
)

// counted returns the counters that a plugin keeps in kv.
func counted(h *Host) map[string]any {
	s := h.kv["p"]
	s.Lock()
	defer s.Unlock()
	all := map[string]any{}
	for _, key := range s.Keys("") {
		all[key], _ = s.Get(key)
	}
	return all
}

// TestStateInfo: initialize and start receive side, index, count and reason. A state is
// kept after an error and replaced after it exceeds a budget. close runs only at a reload
// and at the end.
func TestStateInfo(t *testing.T) {
	m, version := people(t, 3)
	h, _ := startHost(t, `
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
return M`, withMatcher(m))
	want := map[string]any{}
	check := func() {
		t.Helper()
		if got := counted(h); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	wantCreated := func(reason string) { // all states were created for this reason
		for i := 1; i <= 3; i++ {
			want[fmt.Sprintf("init main %d/3 %s", i, reason)] = 1.0
			want[fmt.Sprintf("start main %d/3 %s", i, reason)] = 1.0
		}
		want["init matching 1/2 "+reason], want["init matching 2/2 "+reason] = 1.0, 1.0
	}
	wantCreated("start")
	check()

	p := h.current.Load().plugins[0]
	use := func(limit int) {
		t.Helper()
		if _, err := runPrefilter(t, h, m, subRequest(version, 1, &matcher.Candidates{Limit: limit})); err != nil {
			t.Error(err)
		}
		waitForStates(t, p.pool)
	}
	for range 3 {
		use(7) // raises an error
		check()
	}
	use(8)                                                                                     // exceeds the budget
	for _, key := range []string{"init matching 1/2 replaced", "init matching 2/2 replaced"} { // either of the two may have been replaced
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
	wantCreated("reload")
	want["close main reload"], want["close matching reload"] = 3.0, 2.0
	check()
	closeHost(t, h)
	want["close main shutdown"], want["close matching shutdown"] = 3.0, 2.0
	check()
}

// TestReady: functions passed to ns.ready run once, when the server listens. After a
// reload, they run when the new generation has replaced the old one.
func TestReady(t *testing.T) {
	source := func(version string) string {
		return luatest.BackgroundPlugin(`M.states = 2 M.version = "` + version + `"
function M:initialize(conf, state) ns.ready(function() ns.sleep(0) ns.log.info("` + version + ` ready " .. state.index) end) end
function M:start(state) if state.index == 1 then ns.route("GET", "/later", function() ns.ready(function() ns.log.info("at once") end) return 200 end) end end`)
	}
	h, log := startHost(t, source("one"))
	if strings.Contains(log.All(), "ready") {
		t.Error(log.All())
	}
	h.ServerReady()
	log.Wait(t, "one ready 1")
	log.Wait(t, "one ready 2")
	if _, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/later"}); err != nil {
		t.Error(err)
	}
	log.Wait(t, "at once")
	rewrite(t, h, source("two"))
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.Wait(t, "two ready 1")
	log.Wait(t, "two ready 2")
	closeHost(t, h)
	if n := strings.Count(log.All(), " ready "); n != 4 {
		t.Errorf("%d calls, want 4:\n%s", n, log.All())
	}
	wantRefused(t, Options{Dir: luatest.Folder(t, map[string]string{"p.lua": "require('nearside').ready(print)"}), Active: []string{"p"}}, "from initialize on")
}

// TestRoutesOfSeveralStates: the states that have registered a route receive requests in
// turn, beginning with those of the main side.
func TestRoutesOfSeveralStates(t *testing.T) {
	h, _ := startHost(t, `
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
	p.Routes.Remove(&p.main.all()[0].Instance)
	if s := get("all") + get("all") + get("all"); strings.Contains(s, "main1") || !strings.Contains(s, "main3") {
		t.Error(s)
	}
	p.Routes.Remove(&p.main.all()[1].Instance)
	if s := get("second"); s != "matching2" {
		t.Error(s)
	}
}

// degradable is a plugin of all kinds that starts only if a key is set, which stands for
// a peer that is up.
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

// TestDegraded: a plugin with required = false does not prevent the start of the service.
// While it does not run, requests for it fail, its events are queued, and its start is
// tried again after growing pauses.
func TestDegraded(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	m, version := people(t, 3)
	wantRefused(t, Options{
		Dir: luatest.Folder(t, map[string]string{"p.lua": strings.Replace(degradable, "required = false", "required = true", 1)}), Active: []string{"p"},
	}, "initialize: the peer is down")
	h, log := startHost(t, degradable, withMatcher(m), func(o *Options) { o.Clock = clock })
	h.ServerReady()

	event := func(n int) {
		h.Emit("monitoring_event", func() any { return map[string]any{"n": float64(n)} })
	}
	checkDegraded := func() {
		t.Helper()
		s := h.Plugins()[0]
		if len(s.Degraded) != 1 || !strings.Contains(s.Degraded[0], "the peer is down") || s.LastError == "" || s.Name != "p" || s.States != 0 {
			t.Errorf("%+v", s)
		}
		if _, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/x"}); matcher.CodeOf(err) != matcher.CodeUnavailable {
			t.Errorf("the route: %v", err)
		}
		sub := subRequest(version, 1, &matcher.Candidates{Limit: 5})
		if rows, err := runPrefilter(t, h, m, sub); matcher.CodeOf(err) != matcher.CodeUnavailable {
			t.Errorf("the prefilter: %v, %v", rows, err)
		}
		matchers, _, release := h.Acquire()
		defer release()
		if _, reason, ok := matchers[0].Cost(t.Context(), &sub); ok || !strings.Contains(reason, "does not run") {
			t.Errorf("the cost: %v, %s", ok, reason)
		}
	}
	checkDegraded()
	event(1)
	event(2)
	if s := h.Plugins()[0]; s.Queued != 2 {
		t.Errorf("%+v", s)
	}
	attempts := func() float64 {
		s := h.kv["p"]
		s.Lock()
		defer s.Unlock()
		v, _ := s.Get("attempts main")
		return v.(float64)
	}
	for i, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		clock.WaitForSleepers(t, 1)
		clock.Advance(pause*time.Second - 1)
		if n := attempts(); n != float64(i+1) {
			t.Errorf("%v attempts before pause %d has passed", n, i)
		}
		clock.Advance(1)
		luatest.WaitFor(t, func() bool { return attempts() == float64(i+2) })
	}
	clock.WaitForSleepers(t, 1)
	checkDegraded()

	// After a reload, the plugin is still degraded, and the queued events are kept.
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkDegraded()
	event(3)
	clock.WaitForSleepers(t, 1)
	up := h.kv["p"]
	up.Lock()
	if err := up.Set("up", true, 0); err != nil {
		t.Error(err)
	}
	up.Unlock()
	clock.Advance(time.Second)
	for _, line := range []string{"event 1", "event 2", "event 3", "ready", "runs now"} {
		log.Wait(t, line)
	}
	if r, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/x"}); err != nil || string(r.Body) != "yes" {
		t.Error(r, err)
	}
	if rows, err := runPrefilter(t, h, m, subRequest(version, 1, &matcher.Candidates{Limit: 5})); err != nil || fmt.Sprint(rows) != "[1]" {
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

// TestDegradedUntilTheEnd: if a plugin never runs, the number of lost events is logged when
// the host is closed, and its close hook is not called.
func TestDegradedUntilTheEnd(t *testing.T) {
	h, log := startHost(t, degradable, func(o *Options) { o.MatchStates = 1 })
	h.Emit("monitoring_event", func() any { return map[string]any{"n": 1.0} })
	closeHost(t, h)
	if got := counted(h); !strings.Contains(log.All(), "are lost") || got["close shutdown"] != nil {
		t.Errorf("%s\n%v", log.All(), got)
	}
}

// waitForStates waits until no state of the pool is in use or being replaced.
func waitForStates(t *testing.T, p *vm.Pool) {
	t.Helper()
	for range p.Size() {
		s, err := p.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Put(s, false)
	}
}
