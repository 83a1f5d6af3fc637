package lua

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/matcher"
)

// reloads is how many reloads TestAMQPReloadsUnderLoad does: NEARSIDE_RELOADS,
// or a few.
func reloads(t *testing.T) int {
	text := os.Getenv("NEARSIDE_RELOADS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Counted messages over many reloads: none is lost, none is handled twice, and
// none uses an attempt without being handled. It is so for queues that count
// deliveries, and with several states.
func TestAMQPReloadsUnderLoad(t *testing.T) {
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			q, ch := matcher.NewID().String(), rabbitChannel(t)
			h, log := start(t, background(`
M.permissions, M.states = {"amqp:*"}, 2
local function take(m)
  if ns.kv.incr("n " .. m.body, 1) > 1 then print("TWICE " .. m.body) end
  if m.attempt > 1 then print("ATTEMPT " .. m.attempt) end
  ns.sleep(0.0005)
  ns.kv.incr("handled", 1)
  return "ack"
end
function M:initialize()
  local c = assert(ns.amqp.connect("`+rabbitURL(rabbitAddr(t))+`"))
  assert(c:declare("queue", "`+q+`", {arguments = {["x-queue-type"] = "`+kind+`"}}))
  assert(c:consume("`+q+`", take, {prefetch = 50, attempts = 2}))
end`))
			handled := func() int {
				h.mu.Lock()
				kept := h.store("p")
				h.mu.Unlock()
				kept.mu.Lock()
				defer kept.mu.Unlock()
				n, _ := kept.get("handled")
				count, _ := n.(float64)
				return int(count)
			}
			sent, stop := 0, make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for ; ; sent++ {
					select {
					case <-stop:
						return
					default:
					}
					err := ch.Publish("", q, false, false, text(strconv.Itoa(sent)))
					if err != nil {
						t.Error(err)
						return
					}
					for sent-handled() > 200 && !t.Failed() { // no faster than they are handled
						runtime.Gosched()
					}
				}
			}()
			for range reloads(t) {
				before := handled()
				waitFor(t, func() bool { return handled() >= before+50 })
				if err := h.Reload(context.Background()); err != nil {
					t.Error(err)
				}
			}
			close(stop)
			<-done
			waitFor(t, func() bool { return handled() >= sent })
			closeHost(t, h) // a message that comes twice has come then
			if all := log.all(); strings.Contains(all, "TWICE") || strings.Contains(all, "ATTEMPT") {
				t.Error(all)
			}
			if left, err := ch.QueueDelete(q, false, false, false); err != nil || left != 0 || handled() != sent {
				t.Errorf("%d are left and %d handled of %d, %v", left, handled(), sent, err)
			}
		})
	}
}

// Messages that were only sent ahead when the connection broke have used no
// attempt; what was handled comes again, because its end is not known.
func TestAMQPPrefetchedUsesNoAttempt(t *testing.T) {
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			between, q, ch := cut(t, rabbitAddr(t)), matcher.NewID().String(), rabbitChannel(t)
			if _, err := ch.QueueDeclare(q, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{q, q + "dead", q + "deadgo"} {
				defer ch.QueueDelete(name, false, false, false)
			}
			for n := range 5 {
				send(t, ch, q, strconv.Itoa(n))
			}
			h, log := start(t, script(`"amqp:*"`, connectAMQP(between.addr())+`
local dead, seen = "`+q+`dead", {}
assert(c:declare("queue", dead))
assert(c:consume(dead, function(m) print("dead " .. m.body) return true end))
assert(c:declare("queue", dead .. "go"))
assert(c:consume(dead .. "go", function(m) seen.go = true return true end))
assert(c:consume("`+q+`", function(m)
  print("got " .. m.body .. " " .. m.attempt)
  if not seen.cut then
    seen.cut = true
    while not seen.go do ns.sleep(0.001) end -- the connection is cut meanwhile
  end
  return {retry = 0.001}
end, {prefetch = 8, attempts = 2, dead = dead}))`))
			log.wait(t, "got 0 1")
			for range 3 {
				between.set(true)
				between.set(false)
			}
			waitFor(t, func() bool { // the client has noticed, and is back
				all := h.Plugins()[0].Consumers
				return strings.Contains(log.all(), "consumer connecting") && all[0].State == consumerRunning && all[1].State == consumerRunning
			})
			send(t, ch, q+"deadgo", "go")
			for n := range 5 {
				log.wait(t, fmt.Sprintf("dead %d", n))
				if n > 0 {
					logged(t, log.all(), fmt.Sprintf("got %d 1", n), fmt.Sprintf("got %d 2", n))
				}
			}
			closeHost(t, h)
		})
	}
}

// While the server is short of memory it takes no messages: publish ends by its
// timeout and says why, and consumers go on.
func TestAMQPBlockedPublisher(t *testing.T) {
	addr, q, ch := rabbitAddr(t), matcher.NewID().String(), rabbitChannel(t)
	if _, err := ch.QueueDeclare(q, false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		send(t, ch, q, strconv.Itoa(n))
	}
	rabbitctl(t, "set_vm_memory_high_watermark", "absolute", "1000")
	defer rabbitctl(t, "set_vm_memory_high_watermark", "0.9")
	h, log := start(t, script(`"amqp:*"`, `
local c = assert(ns.amqp.connect("`+rabbitURL(addr)+`", {timeout_ms = 1500}))
assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end, {prefetch = 1}))
print("blocked", c:publish("", "`+q+`", "x", {confirm = true}))
ns.spawn(function()
  while not c:publish("", "`+q+`", "again", {confirm = true}) do ns.sleep(0.1) end
  print("unblocked")
end)`))
	logged(t, log.all(), `blocked\tnil\t`)
	for n := range 3 {
		log.wait(t, fmt.Sprintf("got %d", n))
	}
	logged(t, log.all(), "the server takes no messages: low on memory")
	rabbitctl(t, "set_vm_memory_high_watermark", "0.9")
	log.wait(t, "unblocked")
	log.wait(t, "got again")
	waitFor(t, func() bool { return len(h.Plugins()[0].Degraded) == 0 })
	closeHost(t, h)
}

// Each state has a consumer of its own on the queue.
func TestAMQPStates(t *testing.T) {
	q, ch := matcher.NewID().String(), rabbitChannel(t)
	h, log := start(t, background(`
M.permissions, M.states = {"amqp:*"}, 3
function M:initialize()
  local c = assert(ns.amqp.connect("`+rabbitURL(rabbitAddr(t))+`"))
  assert(c:declare("queue", "`+q+`"))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body .. ".") return true end, {prefetch = 1}))
end`))
	queue, err := ch.QueueDeclarePassive(q, false, false, false, false, nil)
	if err != nil || queue.Consumers != 3 || len(h.Plugins()[0].Consumers) != 3 {
		t.Errorf("%+v %v %+v", queue, err, h.Plugins()[0].Consumers)
	}
	for n := range 30 {
		send(t, ch, q, strconv.Itoa(n))
	}
	for n := range 30 {
		log.wait(t, fmt.Sprintf("got %d.", n))
	}
	closeHost(t, h)
	if n := strings.Count(log.all(), "got "); n != 30 {
		t.Errorf("handled %d, want 30", n)
	}
	if left, err := ch.QueueDelete(q, false, false, false); err != nil || left != 0 {
		t.Error(left, err)
	}
}

// An exclusive queue belongs to the connection of the old generation until that
// has ended: a reload works, and the new one consumes then.
func TestAMQPExclusiveOverReload(t *testing.T) {
	q, ch := matcher.NewID().String(), rabbitChannel(t)
	h, log := start(t, script(`"amqp:*"`, connectAMQP(rabbitAddr(t))+`
assert(c:declare("queue", "`+q+`", {exclusive = true, durable = false}))
assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))`))
	for n := range 3 {
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool {
			return h.Plugins()[0].Consumers[0].State == consumerRunning && len(h.Plugins()[0].Degraded) == 0
		})
		send(t, ch, q, strconv.Itoa(n))
		log.wait(t, fmt.Sprintf("got %d", n))
	}
	closeHost(t, h)
}
