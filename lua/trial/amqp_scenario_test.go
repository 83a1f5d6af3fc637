package trial

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/lua/ns/amqp"
	"nearside/lua/ns/peer"
)

func textMessage(body string) amqp.Message { return amqp.Message{Body: []byte(body)} }

func TestAMQPVerdicts(t *testing.T) {
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) { verdicts(t, kind) })
	}
}

// verdicts checks all results that a handler can return, on a queue of type kind.
func verdicts(t *testing.T, kind string) {
	eachBroker(t, `
assert(c:declare("exchange", q .. "x", {type = "fanout", auto_delete = true}))
assert(c:declare("queue", q, {arguments = {["x-queue-type"] = "`+kind+`", ["x-expires"] = 60000}, bind = {{exchange = q .. "x"}}}))
assert(c:consume(q, function(m)
  print("got " .. m.body .. " " .. m.attempt .. " " .. m.exchange:sub(-1) .. " " .. m.key .. " " .. ns.json.encode(m.headers):gsub('"x%-delivery%-count":%d+,?', ""))
  if m.body == "ack" then return "ack" end
  if m.body == "true" then return true end
  if m.body == "dead" then return "dead", "of no use" end
  if m.body == "raise" then error("oh") end
  if m.body == "seconds" then return m.attempt == 3 or {retry = 0.01} end
  if m.body == "false" then return m.attempt == 2 end
end, {attempts = 3, dead = q .. "dead"}))
print("begun")`, func(t *testing.T, s *stage) {
		s.awaitLines("begun")
		for _, body := range []string{"ack", "true", "dead", "raise", "seconds", "false", "nil"} {
			p := textMessage(body)
			p.Headers = map[string]any{"h": "v", "CC": []any{s.q + "nowhere"}}
			s.publish(s.q+"x", "key", p)
		}
		s.await(func() bool { c := s.consumer(); return c.Acked == 4 && c.Dead == 3 })
		for body, times := range map[string]int{"ack": 1, "true": 1, "dead": 1, "raise": 3, "seconds": 3, "false": 2, "nil": 3} {
			if n := strings.Count(s.log.All(), "got "+body+" "); n != times {
				t.Errorf("%s was handled %d times, want %d", body, n, times)
			}
			for attempt := 1; attempt <= times; attempt++ {
				luatest.WantLines(t, s.log.All(), fmt.Sprintf("got %s %d x key ", body, attempt))
			}
		}
		if strings.Contains(s.log.All(), "x-nearside") || !strings.Contains(s.log.All(), "plugin consumer failed") {
			t.Error("internal headers are visible, or the error was not logged:", s.log.All())
		}
		if n, dead := s.depth(s.q), s.depth(s.q+"dead"); n != 0 || dead != 3 {
			t.Errorf("%d messages are left, %d are dead; want 0 and 3", n, dead)
		}
		if c := s.consumer(); c.Retried != 2+2+1+2 || c.State != peer.Running || c.Stuck != 0 {
			t.Errorf("the consumer has the status %+v", c)
		}
		s.remove("queue", s.q+"dead")
	})
}

func TestAMQPProperties(t *testing.T) {
	eachBroker(t, `
assert(c:declare("queue", q, {durable = false, arguments = {["x-expires"] = 60000}}))
assert(c:consume(q, function(m)
  m.redelivered = nil
  local names = {}
  for name in pairs(m) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = name .. "=" .. (type(m[name]) == "table" and ns.json.encode(m[name]) or tostring(m[name])) end
  print("got " .. table.concat(names, " "))
  return true
end))
assert(c:publish("", q, "b", {confirm = true, headers = {n = 1}, content_type = "text/plain", content_encoding = "gzip", message_id = "m", correlation_id = "co",
  reply_to = "r", timestamp = 1700000000, expiration = 60000, priority = 7, type = "t", app_id = "a", persistent = false}))
assert(c:publish("", q, "plain"))
assert(c:publish("", q, "text", {expiration = "60000"}))`, func(_ *testing.T, s *stage) {
		s.awaitLines(
			`got app_id=a attempt=1 body=b content_encoding=gzip content_type=text/plain correlation_id=co exchange= expiration=60000 headers={\"n\":1} key=`+s.q+` message_id=m persistent=false priority=7 reply_to=r timestamp=1700000000 type=t`,
			`got attempt=1 body=plain exchange= headers={} key=`+s.q+` persistent=true priority=0`,
			`body=text exchange= expiration=60000 `)
	})
}

// TestAMQPMandatory checks that publishing a message that reaches no queue is an error if
// the plugin requests that.
func TestAMQPMandatory(t *testing.T) {
	eachBroker(t, `
assert(c:declare("exchange", q .. "x", {type = "topic", auto_delete = true}))
assert(c:declare("queue", q, {auto_delete = true, bind = {{exchange = q .. "x", key = "a.#"}}}))
assert(c:consume(q, function(m) print("got " .. m.body) return true end))
print("1", c:publish("", q .. "none", "x", {confirm = true, mandatory = true}))
print("2", c:publish("", q .. "none", "x", {confirm = true}))
print("3", c:publish("", q .. "none", "x", {confirm = true, mandatory = false}))
print("4", c:publish("", q .. "none", "x"))
print("5", c:publish(q .. "x", "b", "x", {mandatory = true}))
print("6", c:publish(q .. "x", "a.b", "routed", {mandatory = true}))
print("7", c:publish(q .. "none", "a.b", "x"))
print("8", c:publish("", q .. "none", "x", {confirm = false}))`, func(t *testing.T, s *stage) {
		s.awaitLines("got routed", `8\ttrue`)
		for n, want := range []string{"", `nil\t`, `nil\t`, "true", "true", `nil\t`, "true", `nil\t`, "true"} {
			if n > 0 {
				luatest.WantLines(t, s.log.All(), fmt.Sprintf(`%d\t%s`, n, want))
			}
		}
		luatest.WantLines(t, s.log.All(), "no queue took the message", "NOT_FOUND - no exchange")
	})
}

// TestAMQPDeclaresAgain checks that deleted queues and exchanges that a plugin has declared
// are declared again, with their bindings. A message that the plugin publishes before that
// is not lost.
func TestAMQPDeclaresAgain(t *testing.T) {
	eachBroker(t, `
assert(c:declare("exchange", q .. "x", {type = "topic", durable = false}))
assert(c:declare("queue", q, {durable = false, bind = {{exchange = q .. "x", key = "a"}}}))
assert(c:consume(q, function(m)
  print("got " .. m.body)
  if m.body == "ask" then print("sent", c:publish("", q, "again")) end
  if m.body == "exchange" then print("routed", c:publish(q .. "x", "a", "through")) end
  return true
end))
assert(c:declare("queue", q .. "2", {durable = false}))
assert(c:consume(q .. "2", function(m) print("second", c:publish("", q, m.body)) return true end))
print("begun")`, func(_ *testing.T, s *stage) {
		s.awaitLines("begun")
		s.publish(s.q+"x", "a", textMessage("one"))
		s.awaitLines("got one")
		s.remove("queue", s.q)
		s.publish("", s.q+"2", textMessage("two")) // the handler of this message finds that the queue is missing
		s.awaitLines(`second\ttrue`, "got two")
		s.remove("exchange", s.q+"x")
		s.publish("", s.q, textMessage("exchange"))
		s.awaitLines(`routed\ttrue`, "got through")
		s.remove("queue", s.q)
		s.await(func() bool { return s.consumer().State == peer.Connecting })
		s.await(func() bool { return s.consumer().State == peer.Running })
		s.publish(s.q+"x", "a", textMessage("three"))
		s.awaitLines("got three")
		s.await(func() bool { return len(s.host.Plugins()[0].Degraded) == 0 })
		s.remove("queue", s.q)
		s.remove("queue", s.q+"2")
		s.remove("exchange", s.q+"x")
	})
}

// TestAMQPStaysWithoutDeadLetters checks that, without dead letters, a message whose
// attempts are used up stays in the queue. Other messages are handled meanwhile.
func TestAMQPStaysWithoutDeadLetters(t *testing.T) {
	eachBroker(t, `
assert(c:declare("queue", q, {}))
assert(c:consume(q, function(m) print("got " .. m.body) return m.body == "good" or {retry = 0.001} end, {attempts = 2, prefetch = 2}))`,
		func(t *testing.T, s *stage) {
			for range 5 {
				s.publish("", s.q, textMessage("bad"))
			}
			s.publish("", s.q, textMessage("good"))
			s.await(func() bool { c := s.consumer(); return c.Stuck == 5 && c.Acked == 1 })
			if c := s.consumer(); c.State != peer.Degraded || c.Retried != 5 || c.Dead != 0 {
				t.Errorf("the consumer has the status %+v", c)
			}
			if n := strings.Count(s.log.All(), "got bad"); n != 10 {
				t.Errorf("handled %d times, want 10", n)
			}
			if n := s.depth(s.q); n != 5 {
				t.Errorf("the queue has %d messages, want 5", n)
			}
			s.publish("", s.q, textMessage("good"))
			s.await(func() bool {
				return strings.HasPrefix(s.consumer().Reason, "5 messages failed for the last time") && s.consumer().Acked == 2
			})
			if reason := s.consumer().Reason; !strings.HasSuffix(reason, "the last one: the queue has no dead-letter exchange, and the option dead of consume is not set") {
				t.Errorf("after the acknowledgement of another message, the reason is %q", reason)
			}
			s.remove("queue", s.q)
		})
}

// TestAMQPOwnDeadLetters checks that dead letters go through the queue's own dead-letter
// exchange, if it has one, and that they have x-death. If that exchange is missing, no
// message is lost.
func TestAMQPOwnDeadLetters(t *testing.T) {
	eachBroker(t, `
assert(c:declare("queue", q, {arguments = {["x-dead-letter-exchange"] = q .. "x", ["x-dead-letter-routing-key"] = "gone", ["x-expires"] = 60000}}))
assert(c:consume(q, function(m)
  if m.body == "mend" then
    assert(c:declare("exchange", q .. "x", {auto_delete = true}))
    assert(c:declare("queue", q .. "d", {auto_delete = true, bind = {{exchange = q .. "x", key = "gone"}}}))
    assert(c:consume(q .. "d", function(d) print("dead " .. d.body .. " " .. d.key .. " " .. d.headers["x-death"][1].reason .. " " .. d.attempt) return true end))
    return true
  end
  return "dead"
end))`, func(_ *testing.T, s *stage) {
		s.publish("", s.q, textMessage("early"))
		s.await(func() bool { return s.consumer().Stuck == 1 })
		s.publish("", s.q, textMessage("mend"))
		s.awaitLines("dead early gone rejected 1")
		s.publish("", s.q, textMessage("late"))
		s.awaitLines("dead late gone rejected 1")
		s.await(func() bool { c := s.consumer(); return c.State == peer.Running && c.Dead == 2 && c.Stuck == 0 })
	})
}

// TestAMQPExpiry checks that expired messages are dead-lettered. The message or the queue
// has the time to live.
func TestAMQPExpiry(t *testing.T) {
	eachBroker(t, `
assert(c:declare("queue", q .. "d", {auto_delete = true}))
for name, ttl in pairs({[q] = 60000, [q .. "short"] = 20}) do
  assert(c:declare("queue", name, {arguments = {["x-message-ttl"] = ttl, ["x-expires"] = 60000, ["x-dead-letter-exchange"] = "", ["x-dead-letter-routing-key"] = q .. "d"}}))
end
assert(c:consume(q .. "d", function(m) print("dead " .. m.body .. " " .. m.headers["x-death"][1].reason .. " " .. tostring(m.expiration)) return true end))
assert(c:publish("", q, "own", {expiration = 20}))
assert(c:publish("", q .. "short", "queue's"))`, func(_ *testing.T, s *stage) {
		s.awaitLines("dead own expired nil", "dead queue's expired nil")
	})
}

func TestAMQPRouting(t *testing.T) {
	eachBroker(t, `
for _, kind in ipairs({"direct", "fanout", "topic", "headers"}) do
  assert(c:declare("exchange", q .. kind, {type = kind, auto_delete = true}))
  local bind = {{exchange = q .. kind, key = kind == "topic" and "a.*.#" or "a.b", arguments = kind == "headers" and {n = 1, s = "x"} or nil}}
  if kind == "headers" then bind[2] = {exchange = q .. kind, key = "any", arguments = {["x-match"] = "any", b = true, z = "z"}} end
  assert(c:declare("queue", q .. kind .. "q", {auto_delete = true, bind = bind}))
  assert(c:consume(q .. kind .. "q", function(m) print("got " .. kind .. " " .. m.body) return true end))
  for _, key in ipairs({"a.b", "a", "a.b.c"}) do print(kind .. " " .. key, c:publish(q .. kind, key, key, {mandatory = true, headers = {n = 1}})) end
end
print("all", c:publish(q .. "headers", "", "all", {mandatory = true, headers = {n = 1, s = "x", more = 1}}))
print("any", c:publish(q .. "headers", "", "any", {mandatory = true, headers = {z = "z"}}))
print("none", c:publish(q .. "headers", "", "none", {mandatory = true, headers = {n = 2, s = "x"}}))
print("end")`, func(t *testing.T, s *stage) {
		s.awaitLines("msg=end")
		want := map[string]string{
			`direct a.b\t`: "true", `direct a\t`: "nil", `direct a.b.c\t`: "nil", `fanout a.b\t`: "true", `fanout a\t`: "true", `fanout a.b.c\t`: "true",
			`topic a.b\t`: "true", `topic a\t`: "nil", `topic a.b.c\t`: "true", `headers a.b\t`: "nil",
			`all\t`: "true", `any\t`: "true", `none\t`: "nil",
		}
		for line, outcome := range want {
			luatest.WantLines(t, s.log.All(), `"`+line+outcome)
		}
		s.awaitLines("got topic a.b.c", "got headers all", "got headers any", "got direct a.b")
	})
}

// TestAMQPReloadInProgress checks that a reload lets the running handler end. The new
// generation handles prefetched messages, each once and as a first attempt.
func TestAMQPReloadInProgress(t *testing.T) {
	eachBroker(t, `
assert(c:declare("queue", q, {arguments = {["x-expires"] = 60000}}))
assert(c:consume(q, function(m)
  print("begin " .. m.body .. " " .. m.attempt)
  ns.kv.set("seen", true)
  if m.body == "1" then while not ns.kv.get("reloading") do ns.sleep(0.01) end end
  print("end " .. m.body)
  return true
end, {prefetch = 10, attempts = 2}))
ns.kv.set("reloading", ns.kv.get("seen"))`, func(t *testing.T, s *stage) {
		for n := 1; n <= 4; n++ {
			s.publish("", s.q, textMessage(strconv.Itoa(n)))
		}
		s.awaitLines("begin 1 1")
		s.reload(t)
		s.awaitLines("end 1", "end 2", "end 3", "end 4")
		for n := 1; n <= 4; n++ {
			if c := strings.Count(s.log.All(), fmt.Sprintf("begin %d 1", n)); c != 1 {
				t.Errorf("handling of message %d began %d times, want 1", n, c)
			}
		}
		if strings.Contains(s.log.All(), "begin 1 2") || s.depth(s.q) != 0 {
			t.Error(s.log.All())
		}
	})
}
