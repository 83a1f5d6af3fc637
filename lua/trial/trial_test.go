package trial

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"nearside/lua"
	"nearside/lua/luatest"
)

// runTrials runs the tests of a plugin named p and returns a line for each.
func runTrials(t *testing.T, files map[string]string) (string, error) {
	t.Helper()
	var b strings.Builder
	err := Run(t.Context(), lua.Options{Dir: luatest.Folder(t, files)}, "p", func(r Result) {
		fmt.Fprintf(&b, "%s: %s\n", r.Name, cmp.Or(r.Fault, "ok"))
	})
	return folders.ReplaceAllString(b.String(), ""), err
}

// folders matches the folders before file names.
var folders = regexp.MustCompile(`/\S+/`)

// wantPass checks that all tests in body pass.
func wantPass(t *testing.T, plugin, body string) {
	t.Helper()
	got, err := runTrials(t, map[string]string{"p.lua": plugin, "p_test.lua": "local test = require('nearside.test')\n" + body})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got) {
		if !strings.HasSuffix(line, ": ok\n") {
			t.Error(line)
		}
	}
}

func TestTrialClock(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
local order = {}
function M:start()
  ns.every(10, function() order[#order + 1] = "tick@" .. ns.monotonic() end)
  ns.spawn(function() ns.sleep(15) order[#order + 1] = "task@" .. ns.monotonic() ns.kv.set("order", order) end)
  ns.sleep(5)
  order[1] = "start@" .. ns.monotonic()
end
function M:close() ns.sleep(20) ns.log.info("closed " .. table.concat(order, " ")) end
`), `
test.case("timers and tasks run in the order of their times", function()
  local from = test.clock.now()
  local p = test.start()
  test.equal(test.clock.now() - from, 5, "start has slept")
  test.clock.advance(10.5)
  p:close()
  test.equal(test.log.lines()[1].message, "closed start@5 tick@10 task@15", "timers stop before close")
  test.fails(function() p:status() end, "closed")
end)
test.case("a test has no tasks of the previous test", function()
  local p = test.start()
  test.equal(p:status().tasks, 2)
end)`)
}

// TestTrialReports checks the reports of tests that pass, fail or cannot run.
func TestTrialReports(t *testing.T) {
	got, err := runTrials(t, map[string]string{
		"p.lua": luatest.BackgroundPlugin("local function bad() error('oops') end\nfunction M:start() ns.every(1, bad) end"),
		"p_test.lua": `local test = require("nearside.test")
test.case("passes", function() end)
test.case("wrong", function()
  test.equal({a = {1, 2}}, {a = {1, 3}}, "lists")
end)
test.case("silent failure", function() test.start() test.clock.advance(1) end)
test.case("asked for", function() local p = test.start() test.clock.advance(2) test.equal(p:status().failures, 2) end)
test.case("raises", function() local x = nil + 1 end)
test.case("settings", function() test.start({n = 1}) end)
test.case("no event", function() test.start():emit({}) end)
test.case("equal", function() test.equal({}, {}) test.equal({a = {}}, {a = {}}) test.equal(1, "1") end)
`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"passes: ok\n", `p_test.lua:4: equal: lists: got {"a":[1,2]}, want {"a":[1,3]}`, "silent failure: the plugin has failed: timer: ",
		"p.lua:3: oops", "asked for: ok\n", "p_test.lua:8: cannot perform add", "p_test.lua:9: start: plugins.settings.p: n is unknown",
		"p_test.lua:10: emit: the plugin has no handle_event", `equal: p_test.lua:11: equal: got 1, want "1"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	got, err = runTrials(t, map[string]string{
		"p.lua": luatest.BackgroundPlugin("function M:close() error('cannot end') end"),
		"p_test.lua": `local test = require("nearside.test")
test.case("at the end", function() test.start() end)
test.case("before", function() test.start():close() end)`,
	})
	if err != nil || strings.Count(got, ": the plugin has failed: close: p.lua:3: cannot end\n") != 2 {
		t.Error(got, err)
	}
	for source, want := range map[string]string{
		"x = 1": "global", "local t = require('nearside.test')\nt.nothing()": `p_test.lua:2: nearside.test has no "nothing"`, "": "no test.case",
		"local t = require('nearside.test') t.clock.now()": "only a test (test.case) can call this", "require('nearside')": "not found",
	} {
		_, err := runTrials(t, map[string]string{"p.lua": luatest.BackgroundPlugin(""), "p_test.lua": source})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", source, err, want)
		}
	}
	if _, err := runTrials(t, map[string]string{"p.lua": luatest.BackgroundPlugin("")}); err == nil || !strings.Contains(err.Error(), "there is no") {
		t.Error(err)
	}
}

func TestTrialHTTP(t *testing.T) {
	wantPass(t, `local ns = require('nearside')
local M = {api = 1, name = 'p', kinds = {'event'}, events = {'monitoring_event'}, permissions = {"http:sink:80"}}
function M:handle_event(points)
  for _, p in ipairs(points) do
    local r, err = ns.http.post(p.url or "http://sink/in?a=1", {json = {n = p.n}, headers = {["X-Key"] = "k"}})
    ns.log.info(err or (r.status .. " " .. r.body), {event = p.n})
  end
end
return M`, `
test.case("answers", function()
  local p = test.start()
  test.http.handle(function(r)
    test.equal({r.method, r.host, r.path, r.query.a, r.headers["x-key"], r.json.n}, {"POST", "sink", "/in", "1", "k", 7})
    return {status = 201, json = {ok = true}}
  end)
  p:emit({{n = 7}})
  test.equal(test.log.lines()[1], {level = "INFO", message = '201 {"ok":true}', fields = {event = 7}})
  test.equal(#test.http.requests(), 1)
end)
test.case("fails", function()
  local p = test.start()
  p:emit({{n = 1}})
  test.http.handle(function() return nil, "timeout" end)
  p:emit({{n = 1}})
  test.contains(test.log.lines()[1].message, "connection refused")
  test.contains(test.log.lines()[2].message, "timeout")
  test.contains(test.fails(function() p:emit({{url = "http://other/"}}) end), 'add "http:other:80"')
  test.http.handle(function() test.clock.advance(1) end)
  p:emit({{n = 1}})
  test.contains(test.log.lines()[3].message, "handler cannot move the time")
end)`)
}

func TestTrialRedis(t *testing.T) {
	wantPass(t, `local ns = require('nearside')
local M = {api = 1, name = 'p', kinds = {'background'}, permissions = {"redis:r:6379"}}
function M:start()
  local r = assert(ns.redis.connect("redis://r"))
  r:call("SET", "k", "v")
  r:pipeline({{"HSET", "h", "a", 1}, {"RPUSH", "l", "x", "y"}, {"NOPE", "x"}})
  r:subscribe("c", function(m) r:call("RPUSH", "got", m) end)
  r:xreadgroup({group = "g", stream = "s"}, function(e) ns.sleep(1) r:call("RPUSH", "entries", e.fields.n) return e.fields.n ~= "2" or {retry = 3600} end)
end
return M`, `
test.case("commands, a subscription and a stream", function()
  local p = test.start()
  local function call(...) local v, err = test.redis.call(...) return v or err end
  test.equal(call("GET", "k"), "v")
  test.equal(call("HGETALL", "h"), {"a", "1"})
  test.equal(call("LRANGE", "l", 0, -1), {"x", "y"})
  test.contains(call("EVAL", "x", 0), "redis.script")
  test.redis.script(function(script, keys, args) return script .. keys[1] .. args[1] end)
  test.equal(call("EVAL", "x", 1, "k", "a"), "xka")
  call("PUBLISH", "c", "m1") call("PUBLISH", "c", "m2")
  test.equal(call("LRANGE", "got", 0, -1), {"m1", "m2"})
  for n = 1, 3 do call("XADD", "s", "*", "n", n) end
  test.clock.advance(2)
  test.equal(call("LRANGE", "entries", 0, -1), {"1", "2"}, "one after the other")
  test.clock.advance(1)
  test.equal(#test.redis.pending("s", "g"), 1)
  p:reload()
  call("PUBLISH", "c", "m3")
  test.equal(call("LRANGE", "got", 0, -1), {"m1", "m2", "m3"}, "the old generation receives nothing")
  call("XADD", "s", "*", "n", 4)
  test.clock.advance(5)
  local later = call("LRANGE", "entries", 3, -1)
  table.sort(later) -- a new entry and one that was given back come in any order
  test.equal(later, {"2", "4"}, "the new generation tries again what the old one gave back")
end)
test.case("down", function()
  test.redis.down("no route to host")
  local p = test.start()
  test.redis.call("XADD", "s", "*", "n", 5)
  test.clock.advance(60)
  test.equal(test.redis.call("LLEN", "entries"), 0)
  test.redis.down()
  test.clock.advance(15)
  test.equal(test.redis.call("LRANGE", "entries", 0, -1), {"5"})
  test.ok(p:status().failures > 0)
end)`)
}

func TestTrialAMQP(t *testing.T) {
	wantPass(t, `local ns = require('nearside')
local M = {api = 1, name = 'p', kinds = {'background'}, permissions = {"amqp:mq:5672"}}
function M:start()
  local a = assert(ns.amqp.connect("amqp://mq"))
  assert(a:declare("exchange", "x", {type = "topic"}))
  assert(a:declare("queue", "q", {bind = {{exchange = "x", key = "a.*"}}}))
  assert(a:consume("q", function(m)
    a:publish("", "out", m.body .. m.attempt .. (m.redelivered and "!" or ""))
    if m.body == "slow" then ns.sleep(5) end
    return m.body ~= "bad"
  end, {attempts = 3}))
end
return M`, `
local function bodies()
  local all = {}
  for i, m in ipairs(test.amqp.published()) do all[i] = m.body end
  return all
end
test.case("attempts", function()
  test.start()
  test.ok(test.amqp.publish("x", "a.b", "good"))
  test.ok(not test.amqp.publish("x", "a.b.c", "unroutable"))
  test.amqp.publish("", "q", "bad")
  test.equal(bodies(), {"good1", "bad1"})
  test.equal({test.amqp.queue("q"), test.amqp.unacked("q")}, {{ready = 0, acked = 1, dropped = 0}, 1}, "it waits")
  test.clock.advance(1)
  test.clock.advance(2)
  test.equal(bodies(), {"good1", "bad1", "bad2", "bad3"})
  test.clock.advance(60)
  test.equal({#bodies(), test.amqp.unacked("q")}, {4, 1}, "it has no dead letters, and stays")
  test.fails(function() test.amqp.publish("none", "k", "b") end, "no exchange 'none'")
  test.fails(function() test.amqp.publish("", "k", "b", nil, {expiration = "x"}) end, "milliseconds")
end)
test.case("reload", function()
  local p = test.start()
  test.amqp.publish("", "q", "slow")
  test.amqp.publish("", "q", "next")
  p:reload()
  test.equal(bodies(), {"slow1", "next1"}, "the handler has ended, the other message is not redelivered")
  test.equal(test.amqp.queue("q"), {ready = 0, acked = 2, dropped = 0})
end)
test.case("down", function()
  test.start()
  test.amqp.publish("", "q", "slow")
  test.amqp.down("no route to host")
  test.equal(#test.amqp.messages("q"), 1, "it goes back")
  test.amqp.down()
  test.clock.advance(10)
  test.equal(bodies(), {"slow1", "slow1!"}, "no attempt is used")
end)
test.case("deletion", function()
  test.start()
  test.amqp.delete("queue", "q")
  test.clock.advance(1)
  test.ok(test.amqp.publish("x", "a.b", "again"), "with its binding")
  test.equal(bodies(), {"again1"})
  test.amqp.delete("exchange", "x")
  test.clock.advance(10)
  test.ok(test.amqp.publish("x", "a.b", "again"))
end)`)
}

func TestTrialMatching(t *testing.T) {
	wantPass(t, luatest.MatchingPlugin(`
M.matching = {origins = {"faces"}, orders = {"similarity"}, on_error = "fail"}
function M:cost(req) if req.filters.list_id then return 10 end end
function M:prefilter(req, set)
  if req.limit == 13 then error("unlucky") end
  return set:where("age", ">=", 18)
end
function M:match(req, set) if req.limit > 1 then return set:scan(req.limit) end end`), `
local rows = test.faces({{age = 17, user_data = "young"}, {age = 18, descriptor = {3}, user_data = "a"}, {age = 40, descriptor = {1}, user_data = "b"}, {}})
test.case("prefilter", function()
  local p = test.start()
  local kept = p:prefilter(rows)
  test.equal({#kept, kept[1].user_data, kept[2].user_data}, {2, "a", "b"})
  test.equal(#p:prefilter(rows, {filters = {age__lt = 40}}), 1)
  test.fails(function() p:prefilter(rows, {limit = 13}) end, "unlucky")
  test.fails(function() p:prefilter(rows, {filters = {aeg = 1}}) end, "aeg")
end)
test.case("match", function()
  local p = test.start()
  local list = "00000000-0000-4000-8000-00000000000a"
  test.equal(p:cost(), nil)
  test.equal(p:cost({filters = {list_id = list}}), 10)
  local found = p:match(rows, {1}, {limit = 2})
  test.equal({#found, found[1].user_data, found[1].distance, found[2].distance}, {2, "b", 0, 1})
  test.equal(p:match(rows, {1}, {limit = 1}), nil, "declined")
end)`)
}

// TestTrialShowsRejections checks that a test of a plugin gets the status and the detail
// of a rejection.
func TestTrialShowsRejections(t *testing.T) {
	wantPass(t, luatest.MatchingPlugin(`function M:prefilter(req, set) return ns.reject(451, "blocked") end`), `
test.case("rejects", function()
  local rows, why = test.start():prefilter(test.faces({{age = 1}}))
  test.equal(rows, nil)
  test.equal(why, {status = 451, detail = "blocked"})
end)`)
}

// TestTrialShowsLoggedFields checks that a test of a plugin gets logged values unchanged.
func TestTrialShowsLoggedFields(t *testing.T) {
	wantPass(t, `local ns = require('nearside')
local M = {api = 1, name = 'p', kinds = {'background'}}
function M:start() ns.log.info("m", {n = 1.5, list = {1, {a = "b"}}, big = ns.int64("9007199254740993"), text = "t"}) end
return M`, `
test.case("fields", function()
  test.start()
  local fields = test.log.lines()[1].fields
  test.equal({fields.n, fields.list, fields.text, tostring(fields.big)}, {1.5, {1, {a = "b"}}, "t", "9007199254740993"})
end)`)
}
