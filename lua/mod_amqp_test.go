package lua

import (
	"context"
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/matcher"
)

func connectAMQP(addr string) string {
	return `local c = assert(ns.amqp.connect("` + rabbitURL(addr) + `")) `
}

// rabbitChannel is a connection that does not go through plugins.
func rabbitChannel(t testing.TB) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(rabbitURL(rabbitAddr(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// send publishes a message that the server has taken when it returns.
func send(t testing.TB, ch *amqp.Channel, queue, body string) {
	t.Helper()
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	d, err := ch.PublishWithDeferredConfirm("", queue, false, false, amqp.Publishing{Body: []byte(body)})
	if err != nil || !d.Wait() {
		t.Fatal("not published", err)
	}
}

func TestAMQPPublishAndConsume(t *testing.T) {
	addr, q := rabbitAddr(t), matcher.NewID().String()
	h, log := start(t, script(`"amqp:`+addr+`"`, connectAMQP(addr)+`
local q = "`+q+`"
assert(c:declare("exchange", q, {type = "topic", auto_delete = true, durable = false}))
assert(c:declare("queue", q, {durable = false, arguments = {["x-max-length"] = 1000}, bind = {{exchange = q, key = "a.*"}}}))
print("published", c:publish(q, "a.b", "hello\0", {headers = {n = 1, f = 0.5, s = "x", b = true}}))
print("published", c:publish(q, "other", "nowhere"))
print("published", c:publish("", q, "unconfirmed", {confirm = false}))
print("published", c:publish("no such exchange", q, "x"))
print("published", c:publish("", q, "after the error"))
print("consume", c:consume("no such queue", print))
print("declare", c:declare("queue", q, {durable = true}))
local n = 0
assert(c:consume(q, function(m)
  n = n + 1
  print("got " .. n .. " " .. #m.body .. m.body:gsub("%z", "") .. " " .. m.key .. " " .. ns.json.encode(m.headers) .. tostring(m.redelivered))
  return true
end, {prefetch = 2}))`))
	log.wait(t, "got 3")
	all := log.all()
	logged(t, all, `published\ttrue`, `published\ttrue`, `published\ttrue`, `published\tnil\t`, `NOT_FOUND`, `published\ttrue`,
		`consume\tnil\t`, `NOT_FOUND`, `declare\tnil\t`, `PRECONDITION_FAILED`, "got 1 6hello a.b")
	for _, want := range []string{`\"n\":1`, `\"f\":0.5`, `\"s\":\"x\"`, `\"b\":true`, "11unconfirmed", "15after the error"} {
		logged(t, all, want)
	}
	closeHost(t, h)
	if left, err := rabbitChannel(t).QueueDelete(q, false, false, false); err != nil || left > 1 { // the last may be cut before its ack
		t.Errorf("%d messages are left, %v", left, err)
	}
	log.secret(t)
}

func TestAMQPMistakesRaise(t *testing.T) {
	addr := rabbitAddr(t)
	f := func(call, want string) {
		t.Helper()
		all := eval(t, `"amqp:`+addr+`"`, connectAMQP(addr)+`local ok, err = pcall(function() return `+call+` end) print(tostring(ok) .. " " .. tostring(err))`)
		logged(t, all, "false", want)
		if strings.Contains(all, "s3cret") {
			t.Errorf("the password is in:\n%s", all)
		}
	}
	f(`ns.amqp.connect("amqp://u:s3cret@127.0.0.1:1")`, "not permitted: add")
	f(`ns.amqp.connect("http://u:s3cret@127.0.0.1:1")`, "scheme")
	f(`c:publish("", "k")`, "string expected")
	f(`c:publish("", "k", "b", {confirm = 1})`, "confirm")
	f(`c:publish("", "k", "b", {headers = {a = {}}})`, "headers.a")
	f(`c:publish(("x"):rep(256), "k", "b")`, "255")
	f(`c:consume("", print)`, "no name")
	f(`c:consume("q", print, {prefetch = 0})`, "prefetch")
	f(`c:consume("q", print, {attempts = 1.5})`, "attempts: 1.5 is not a whole number")
	f(`c:consume("q", print, {attempts = 0})`, "attempts: 0 is not a number from 1")
	f(`c:consume("q", print, {dead = "q"})`, "is the queue itself")
	f(`c:consume("q", print, {dead = 5})`, "dead: 5 is not the name of a queue")
	f(`c:consume("q", print, {dead = {key = "k"}})`, "dead.exchange: is missing")
	f(`c:consume("q", print, {deadd = "x"})`, "deadd: is unknown")
	f(`c:publish("", "k", "b", {mandatory = true, confirm = false})`, "mandatory: needs confirm")
	f(`c:publish("", "k", "b", {content_typ = "x"})`, "content_typ: is unknown")
	f(`c:publish("", "k", "b", {content_type = 1})`, "content_type: 1 is not a text")
	f(`c:publish("", "k", "b", {priority = 256})`, "priority: 256 is not a number from 0 to 255")
	f(`c:publish("", "k", "b", {priority = 1.5})`, "priority: 1.5 is not a whole number")
	f(`c:publish("", "k", "b", {expiration = "soon"})`, "expiration: soon is not a whole number of milliseconds")
	f(`c:publish("", "k", "b", {timestamp = "now"})`, "timestamp: now is not a number")
	f(`c:publish("", "k", "b", {message_id = ("x"):rep(256)})`, "message_id: is longer than 255 bytes")
	f(`c:declare("topic", "x")`, "kind")
	f(`c:declare("queue", "")`, "empty")
	f(`c:declare("exchange", "x", {type = "odd"})`, "type")
	f(`c:declare("exchange", "x", {bind = {}})`, "unknown")
	f(`c:declare("queue", "x", {bind = {{key = "k"}}})`, "exchange: is missing")
}

// A login that is refused shows in the state and in what the client is asked
// for; the password shows nowhere.
func TestAMQPRefusedLogin(t *testing.T) {
	for url, want := range map[string]string{
		"amqp://nearside:s3cret@" + rabbitAddr(t):                         "403",
		"amqp://nearside:" + password + "@" + rabbitAddr(t) + "/no-vhost": "no-vhost",
	} {
		h, log := start(t, script(`"amqp:*"`, `local c = assert(ns.amqp.connect("`+url+`"))
print("publish", c:publish("", "q", "x"))`))
		log.wait(t, want)
		logged(t, log.all(), `publish\tnil\t`, want)
		waitFor(t, func() bool {
			degraded := strings.Join(h.Plugins()[0].Degraded, "\n")
			return strings.Contains(degraded, want) && !strings.Contains(degraded, "s3cret") && !strings.Contains(degraded, password)
		})
		closeHost(t, h)
		log.secret(t, "s3cret")
	}
}

// A server that is down does not keep a plugin from starting. Its consumers
// begin, and its queues are made, when the server comes.
func TestAMQPDeadAtStart(t *testing.T) {
	between, q := cut(t, rabbitAddr(t)), matcher.NewID().String()
	between.set(true)
	h, log := start(t, background(`
M.permissions, M.kinds, M.events = {"amqp:*"}, {"background", "event"}, {"sending_event"}
local c
function M:start()
  c = assert(ns.amqp.connect("`+rabbitURL(between.addr())+`", {timeout_ms = 5000}))
  print("publish", c:publish("", "`+q+`", "x"))
  assert(c:declare("exchange", "`+q+`x", {type = "fanout", auto_delete = true}))
  assert(c:declare("queue", "`+q+`", {auto_delete = true, bind = {{exchange = "`+q+`x"}}}))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))
end
function M:handle_event() print("sent", c:publish("`+q+`x", "", "hello", {mandatory = true})) end`))
	logged(t, log.all(), `publish\tnil\t`+between.addr())
	status := h.Plugins()[0]
	if len(status.Consumers) != 1 || status.Consumers[0].State != consumerConnecting {
		t.Errorf("%+v", status.Consumers)
	}
	waitFor(t, func() bool { return len(h.Plugins()[0].Degraded) > 0 })
	between.set(false)
	waitFor(t, func() bool {
		status := h.Plugins()[0]
		return status.Consumers[0].State == consumerRunning && len(status.Degraded) == 0
	})
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.wait(t, "got hello")
	log.wait(t, `sent\ttrue`)
	closeHost(t, h)
	log.secret(t)
}

// The connection is cut in the middle; while it is down, publishing fails;
// afterwards the queue, which was the connection's own, is there again.
func TestAMQPComesBack(t *testing.T) {
	between, q := cut(t, rabbitAddr(t)), matcher.NewID().String()
	h, log := start(t, background(`
M.permissions, M.kinds, M.events = {"amqp:`+between.addr()+`"}, {"background", "event"}, {"sending_event"}
local c
function M:initialize()
  c = assert(ns.amqp.connect("`+rabbitURL(between.addr())+`"))
  assert(c:declare("queue", "`+q+`", {durable = false, exclusive = true}))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))
end
function M:handle_event(events)
  for _, e in ipairs(events) do
    local ok, err = c:publish("", "`+q+`", e.body)
    print("sent " .. e.body .. " " .. tostring(err))
  end
end`))
	emit := func(body string) {
		t.Helper()
		h.Emit("sending_event", func() any { return map[string]any{"body": body} })
		log.wait(t, "sent "+body)
	}
	emit("one")
	log.wait(t, "got one")
	between.set(true)
	log.wait(t, "consumer connecting")
	emit("lost")
	logged(t, log.all(), "sent one nil", "sent lost "+between.addr())
	between.set(false)
	emit("two")
	logged(t, log.all(), "sent two nil")
	log.wait(t, "got two")
	closeHost(t, h)
	log.secret(t)
}

// A broker that hangs: calls end by their timeout, and so does a reload.
func TestAMQPFrozenBroker(t *testing.T) {
	between, q := cut(t, rabbitAddr(t)), matcher.NewID().String()
	h, log := start(t, background(`
M.permissions, M.kinds, M.events = {"amqp:*"}, {"background", "event"}, {"sending_event"}
local c
function M:initialize()
  c = assert(ns.amqp.connect("`+rabbitURL(between.addr())+`", {timeout_ms = 1000}))
  assert(c:declare("queue", "`+q+`", {durable = false, auto_delete = true}))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))
end
function M:handle_event(events)
  print("confirm", c:publish("", "`+q+`", "held"))
  print("declare", c:declare("queue", "`+q+`", {durable = false, auto_delete = true}))
  print("done")
end`))
	between.freeze(true)
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.wait(t, "done")
	logged(t, log.all(), `confirm\tnil\t`, "timeout", `declare\tnil\t`, "timeout")
	closeHost(t, h)
}

// A queue that is deleted ends its consumer, which comes back with the queue.
func TestAMQPQueueIsDeleted(t *testing.T) {
	addr, q := rabbitAddr(t), matcher.NewID().String()
	ch := rabbitChannel(t)
	if _, err := ch.QueueDeclare(q, false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	h, log := start(t, script(`"amqp:*"`, connectAMQP(addr)+`assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))`))
	if _, err := ch.QueueDelete(q, false, false, false); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "has ended the consumer of queue "+q)
	waitFor(t, func() bool {
		c := h.Plugins()[0].Consumers[0]
		return c.State == consumerDegraded && strings.Contains(c.Reason, "NOT_FOUND")
	})
	if _, err := ch.QueueDeclare(q, false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	send(t, ch, q, "again")
	log.wait(t, "got again")
	closeHost(t, h)
}

// A reload in the middle of a message, of an idle consumer and of calls: all
// end, and the message comes to the new generation.
func TestAMQPEndsWithItsGeneration(t *testing.T) {
	addr, q := rabbitAddr(t), matcher.NewID().String()
	ch := rabbitChannel(t)
	if _, err := ch.QueueDeclare(q, false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	defer ch.QueueDelete(q, false, false, false)
	h, log := start(t, script(`"amqp:*"`, connectAMQP(addr)+`
assert(c:declare("queue", "`+q+`idle", {durable = false, auto_delete = true}))
assert(c:consume("`+q+`idle", print))
for i = 1, 5 do ns.spawn(function() while true do pcall(c.publish, c, "", "`+q+`idle", "x") ns.sleep(0) end end) end
assert(c:consume("`+q+`", function(m)
  print("got " .. m.body .. " " .. tostring(m.redelivered))
  if not m.redelivered then ns.sleep(3600) end
  print("done") return true
end))`))
	send(t, ch, q, "m")
	log.wait(t, "got m false")
	for range 3 {
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	log.wait(t, "got m true")
	log.wait(t, "done")
	closeHost(t, h)
}

// Publishers in parallel share a channel; each gets its own confirmation.
func TestAMQPParallelPublishers(t *testing.T) {
	addr, q := rabbitAddr(t), matcher.NewID().String()
	const tasks, each = 20, 25
	_, log := start(t, script(`"amqp:*"`, connectAMQP(addr)+fmt.Sprintf(`
local q, left = %q, %d
assert(c:declare("queue", q, {durable = false, auto_delete = true}))
for i = 1, left do
  ns.spawn(function()
    for j = 1, %d do assert(c:publish("", q, i .. "." .. j)) end
    left = left - 1
    if left == 0 then print("all sent") end
  end)
end`, q, tasks, each)))
	log.wait(t, "all sent")
	queue, err := rabbitChannel(t).QueueDeclarePassive(q, false, true, false, false, nil)
	if err != nil || queue.Messages != tasks*each {
		t.Errorf("%d messages, want %d, %v", queue.Messages, tasks*each, err)
	}
	rabbitChannel(t).QueueDelete(q, false, false, false)
}
