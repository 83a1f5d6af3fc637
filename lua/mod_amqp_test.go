package lua

import (
	"context"
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/lua/luatest"
	"nearside/lua/ns/peer"
	"nearside/matcher"
)

func connectAMQP(addr string) string {
	return `local c = assert(ns.amqp.connect("` + luatest.RabbitURL(addr) + `")) `
}

// rabbitChannel returns a channel that does not go through plugins.
func rabbitChannel(t testing.TB) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(luatest.RabbitURL(luatest.RabbitAddr(t)))
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

// publishToQueue publishes a message and returns after the server has accepted it.
func publishToQueue(t testing.TB, ch *amqp.Channel, queue, body string) {
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
	addr, q := luatest.RabbitAddr(t), matcher.NewID().String()
	h, log := startHost(t, script(`"amqp:`+addr+`"`, connectAMQP(addr)+`
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
	log.Wait(t, "got 3")
	all := log.All()
	luatest.WantLines(t, all, `published\ttrue`, `published\ttrue`, `published\ttrue`, `published\tnil\t`, `NOT_FOUND`, `published\ttrue`,
		`consume\tnil\t`, `NOT_FOUND`, `declare\tnil\t`, `PRECONDITION_FAILED`, "got 1 6hello a.b")
	for _, want := range []string{`\"n\":1`, `\"f\":0.5`, `\"s\":\"x\"`, `\"b\":true`, "11unconfirmed", "15after the error"} {
		luatest.WantLines(t, all, want)
	}
	closeHost(t, h)
	if left, err := rabbitChannel(t).QueueDelete(q, false, false, false); err != nil || left > 1 { // the last message may lose its ack
		t.Errorf("%d messages are left, %v", left, err)
	}
	log.WantNoSecret(t)
}

func TestAMQPMistakesRaise(t *testing.T) {
	addr := luatest.RabbitAddr(t)
	f := func(call, want string) {
		t.Helper()
		all := eval(t, `"amqp:`+addr+`"`, connectAMQP(addr)+`local ok, err = pcall(function() return `+call+` end) print(tostring(ok) .. " " .. tostring(err))`)
		luatest.WantLines(t, all, "false", want)
		if strings.Contains(all, "s3cret") {
			t.Errorf("the password is in:\n%s", all)
		}
	}
	f(`ns.amqp.connect("amqp://u:s3cret@127.0.0.1:1")`, "not permitted: add")
	f(`ns.amqp.connect("http://u:s3cret@127.0.0.1:1")`, "scheme must be one of amqp, amqps")
	f(`c:publish("", "k")`, "string expected")
	f(`c:publish("", "k", "b", {confirm = 1})`, "confirm")
	f(`c:publish("", "k", "b", {headers = {a = {}}})`, "headers.a")
	f(`c:publish(("x"):rep(256), "k", "b")`, "255")
	f(`c:consume("", print)`, "no name")
	f(`c:consume("q", print, {prefetch = 0})`, "prefetch")
	f(`c:consume("q", print, {attempts = 1.5})`, "attempts: 1.5 is not a whole number")
	f(`c:consume("q", print, {attempts = 0})`, "attempts: 0 is not a whole number from 1")
	f(`c:consume("q", print, {dead = "q"})`, "is the queue itself")
	f(`c:consume("q", print, {dead = 5})`, "dead: 5 is not the name of a queue")
	f(`c:consume("q", print, {dead = {key = "k"}})`, "dead.exchange: is missing")
	f(`c:consume("q", print, {deadd = "x"})`, "deadd: is unknown")
	f(`c:publish("", "k", "b", {mandatory = true, confirm = false})`, "mandatory: needs confirm")
	f(`c:publish("", "k", "b", {content_typ = "x"})`, "content_typ: is unknown")
	f(`c:publish("", "k", "b", {content_type = 1})`, "content_type: 1 is not a text")
	f(`c:publish("", "k", "b", {priority = 256})`, "priority: 256 is not a whole number from 0 to 255")
	f(`c:publish("", "k", "b", {priority = 1.5})`, "priority: 1.5 is not a whole number")
	f(`c:publish("", "k", "b", {expiration = "soon"})`, "expiration: soon is not a whole number of milliseconds")
	f(`c:publish("", "k", "b", {timestamp = "now"})`, `timestamp: text \"now\" is not a number`)
	f(`c:publish("", "k", "b", {message_id = ("x"):rep(256)})`, "message_id: is longer than 255 bytes")
	f(`c:declare("topic", "x")`, "kind")
	f(`c:declare("queue", "")`, "empty")
	f(`c:declare("exchange", "x", {type = "odd"})`, "type")
	f(`c:declare("exchange", "x", {bind = {}})`, "unknown")
	f(`c:declare("queue", "x", {bind = {{key = "k"}}})`, "exchange: is missing")
}

// A refused login appears in the status and in the errors of the client. The password
// does not appear anywhere.
func TestAMQPRefusedLogin(t *testing.T) {
	for url, want := range map[string]string{
		"amqp://nearside:s3cret@" + luatest.RabbitAddr(t):                                 "403",
		"amqp://nearside:" + luatest.Password + "@" + luatest.RabbitAddr(t) + "/no-vhost": "no-vhost",
	} {
		h, log := startHost(t, script(`"amqp:*"`, `local c = assert(ns.amqp.connect("`+url+`"))
print("publish", c:publish("", "q", "x"))`))
		log.Wait(t, want)
		luatest.WantLines(t, log.All(), `publish\tnil\t`, want)
		luatest.WaitFor(t, func() bool {
			degraded := strings.Join(h.Plugins()[0].Degraded, "\n")
			return strings.Contains(degraded, want) && !strings.Contains(degraded, "s3cret") && !strings.Contains(degraded, luatest.Password)
		})
		closeHost(t, h)
		log.WantNoSecret(t, "s3cret")
	}
}

// A plugin starts even if the server is down. When the server comes up, consumers begin
// and queues are declared.
func TestAMQPDownAtStart(t *testing.T) {
	proxy, q := luatest.NewProxy(t, luatest.RabbitAddr(t)), matcher.NewID().String()
	proxy.SetDown(true)
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.kinds, M.events = {"amqp:*"}, {"background", "event"}, {"sending_event"}
local c
function M:start()
  c = assert(ns.amqp.connect("`+luatest.RabbitURL(proxy.Addr())+`", {timeout_ms = 5000}))
  print("publish", c:publish("", "`+q+`", "x"))
  assert(c:declare("exchange", "`+q+`x", {type = "fanout", auto_delete = true}))
  assert(c:declare("queue", "`+q+`", {auto_delete = true, bind = {{exchange = "`+q+`x"}}}))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))
end
function M:handle_event() print("sent", c:publish("`+q+`x", "", "hello", {mandatory = true})) end`))
	luatest.WantLines(t, log.All(), `publish\tnil\t`+proxy.Addr())
	status := h.Plugins()[0]
	if len(status.Consumers) != 1 || status.Consumers[0].State != peer.Connecting {
		t.Errorf("%+v", status.Consumers)
	}
	luatest.WaitFor(t, func() bool { return len(h.Plugins()[0].Degraded) > 0 })
	proxy.SetDown(false)
	luatest.WaitFor(t, func() bool {
		status := h.Plugins()[0]
		return status.Consumers[0].State == peer.Running && len(status.Degraded) == 0
	})
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.Wait(t, "got hello")
	log.Wait(t, `sent\ttrue`)
	closeHost(t, h)
	log.WantNoSecret(t)
}

// The connection breaks while a plugin uses it. Publishing fails while it is down.
// Afterwards the queue exists again, although it belonged to the old connection.
func TestAMQPComesBack(t *testing.T) {
	proxy, q := luatest.NewProxy(t, luatest.RabbitAddr(t)), matcher.NewID().String()
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.kinds, M.events = {"amqp:`+proxy.Addr()+`"}, {"background", "event"}, {"sending_event"}
local c
function M:initialize()
  c = assert(ns.amqp.connect("`+luatest.RabbitURL(proxy.Addr())+`"))
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
		log.Wait(t, "sent "+body)
	}
	emit("one")
	log.Wait(t, "got one")
	proxy.SetDown(true)
	log.Wait(t, "consumer connecting")
	emit("lost")
	luatest.WantLines(t, log.All(), "sent one nil", "sent lost "+proxy.Addr())
	proxy.SetDown(false)
	emit("two")
	luatest.WantLines(t, log.All(), "sent two nil")
	log.Wait(t, "got two")
	closeHost(t, h)
	log.WantNoSecret(t)
}

// If the broker hangs, calls end after their timeout, and the host can be closed.
func TestAMQPFrozenBroker(t *testing.T) {
	proxy, q := luatest.NewProxy(t, luatest.RabbitAddr(t)), matcher.NewID().String()
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.kinds, M.events = {"amqp:*"}, {"background", "event"}, {"sending_event"}
local c
function M:initialize()
  c = assert(ns.amqp.connect("`+luatest.RabbitURL(proxy.Addr())+`", {timeout_ms = 1000}))
  assert(c:declare("queue", "`+q+`", {durable = false, auto_delete = true}))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))
end
function M:handle_event(events)
  print("confirm", c:publish("", "`+q+`", "held"))
  print("declare", c:declare("queue", "`+q+`", {durable = false, auto_delete = true}))
  print("done")
end`))
	proxy.Freeze(true)
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.Wait(t, "done")
	luatest.WantLines(t, log.All(), `confirm\tnil\t`, "timeout", `declare\tnil\t`, "timeout")
	closeHost(t, h)
}

// Deleting a queue ends its consumer. The consumer returns with the queue.
func TestAMQPQueueIsDeleted(t *testing.T) {
	addr, q := luatest.RabbitAddr(t), matcher.NewID().String()
	ch := rabbitChannel(t)
	if _, err := ch.QueueDeclare(q, false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	h, log := startHost(t, script(`"amqp:*"`, connectAMQP(addr)+`assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))`))
	if _, err := ch.QueueDelete(q, false, false, false); err != nil {
		t.Fatal(err)
	}
	log.Wait(t, "has ended the consumer of queue "+q)
	luatest.WaitFor(t, func() bool {
		c := h.Plugins()[0].Consumers[0]
		return c.State == peer.Degraded && strings.Contains(c.Reason, "NOT_FOUND")
	})
	if _, err := ch.QueueDeclare(q, false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	publishToQueue(t, ch, q, "again")
	log.Wait(t, "got again")
	closeHost(t, h)
}

// A reload happens while a message is handled, messages are published and a consumer is
// idle. All of them end, and the new generation receives the message.
func TestAMQPEndsWithItsGeneration(t *testing.T) {
	addr, q := luatest.RabbitAddr(t), matcher.NewID().String()
	ch := rabbitChannel(t)
	if _, err := ch.QueueDeclare(q, false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	defer ch.QueueDelete(q, false, false, false)
	h, log := startHost(t, script(`"amqp:*"`, connectAMQP(addr)+`
assert(c:declare("queue", "`+q+`idle", {durable = false, auto_delete = true}))
assert(c:consume("`+q+`idle", print))
for i = 1, 5 do ns.spawn(function() while true do pcall(c.publish, c, "", "`+q+`idle", "x") ns.sleep(0) end end) end
assert(c:consume("`+q+`", function(m)
  print("got " .. m.body .. " " .. tostring(m.redelivered))
  if not m.redelivered then ns.sleep(3600) end
  print("done") return true
end))`))
	publishToQueue(t, ch, q, "m")
	log.Wait(t, "got m false")
	for range 3 {
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	log.Wait(t, "got m true")
	log.Wait(t, "done")
	closeHost(t, h)
}

// Parallel publishers share a channel, and each receives its own confirmation.
func TestAMQPParallelPublishers(t *testing.T) {
	addr, q := luatest.RabbitAddr(t), matcher.NewID().String()
	const tasks, each = 20, 25
	_, log := startHost(t, script(`"amqp:*"`, connectAMQP(addr)+fmt.Sprintf(`
local q, left = %q, %d
assert(c:declare("queue", q, {durable = false, auto_delete = true}))
for i = 1, left do
  ns.spawn(function()
    for j = 1, %d do assert(c:publish("", q, i .. "." .. j)) end
    left = left - 1
    if left == 0 then print("all sent") end
  end)
end`, q, tasks, each)))
	log.Wait(t, "all sent")
	queue, err := rabbitChannel(t).QueueDeclarePassive(q, false, true, false, false, nil)
	if err != nil || queue.Messages != tasks*each {
		t.Errorf("%d messages, want %d, %v", queue.Messages, tasks*each, err)
	}
	rabbitChannel(t).QueueDelete(q, false, false, false)
}
