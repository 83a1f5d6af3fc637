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

	"nearside/lua/luatest"
	"nearside/lua/ns/peer"
	"nearside/matcher"
)

// reloadCount returns the number of reloads in a test under load: the value of
// NEARSIDE_RELOADS, or fallback.
func reloadCount(t *testing.T, fallback int) int {
	t.Helper()
	text := os.Getenv("NEARSIDE_RELOADS")
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAMQPReloadsUnderLoad counts messages over many reloads. No message is lost or
// handled twice, and no message uses up an attempt without being handled. This also
// holds for queues that count deliveries, and with several states.
func TestAMQPReloadsUnderLoad(t *testing.T) {
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			q, ch := matcher.NewID().String(), rabbitChannel(t)
			h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.states = {"amqp:*"}, 2
local function take(m)
  if ns.kv.incr("n " .. m.body, 1) > 1 then print("TWICE " .. m.body) end
  if m.attempt > 1 then print("ATTEMPT " .. m.attempt) end
  ns.sleep(0.0005)
  ns.kv.incr("handled", 1)
  return "ack"
end
function M:initialize()
  local c = assert(ns.amqp.connect("`+luatest.RabbitURL(luatest.RabbitAddr(t))+`"))
  assert(c:declare("queue", "`+q+`", {arguments = {["x-queue-type"] = "`+kind+`"}}))
  assert(c:consume("`+q+`", take, {prefetch = 50, attempts = 2}))
end`))
			handled := func() int {
				h.mu.Lock()
				kept := h.kvOf("p")
				h.mu.Unlock()
				kept.Lock()
				defer kept.Unlock()
				n, _ := kept.Get("handled")
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
					err := ch.Publish("", q, false, false, amqp.Publishing{Body: []byte(strconv.Itoa(sent))})
					if err != nil {
						t.Error(err)
						return
					}
					for sent-handled() > 200 && !t.Failed() { // do not send faster than the plugin handles
						runtime.Gosched()
					}
				}
			}()
			for range reloadCount(t, 5) {
				before := handled()
				luatest.WaitFor(t, func() bool { return handled() >= before+50 })
				if err := h.Reload(context.Background()); err != nil {
					t.Error(err)
				}
			}
			close(stop)
			<-done
			luatest.WaitFor(t, func() bool { return handled() >= sent })
			closeHost(t, h) // by now, a duplicate would have been delivered
			if all := log.All(); strings.Contains(all, "TWICE") || strings.Contains(all, "ATTEMPT") {
				t.Error(all)
			}
			if left, err := ch.QueueDelete(q, false, false, false); err != nil || left != 0 || handled() != sent {
				t.Errorf("%d are left and %d handled of %d, %v", left, handled(), sent, err)
			}
		})
	}
}

// Messages that were prefetched but not handled when the connection broke have used no
// attempt. The message that was being handled is delivered again, because its outcome is
// not known.
func TestAMQPPrefetchedUsesNoAttempt(t *testing.T) {
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			proxy, q, ch := luatest.NewProxy(t, luatest.RabbitAddr(t)), matcher.NewID().String(), rabbitChannel(t)
			if _, err := ch.QueueDeclare(q, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{q, q + "dead", q + "deadgo"} {
				defer ch.QueueDelete(name, false, false, false)
			}
			for n := range 5 {
				publishToQueue(t, ch, q, strconv.Itoa(n))
			}
			h, log := startHost(t, script(`"amqp:*"`, connectAMQP(proxy.Addr())+`
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
			log.Wait(t, "got 0 1")
			for range 3 {
				proxy.SetDown(true)
				proxy.SetDown(false)
			}
			luatest.WaitFor(t, func() bool { // the client has noticed and has reconnected
				all := h.Plugins()[0].Consumers
				return strings.Contains(log.All(), "consumer connecting") && all[0].State == peer.Running && all[1].State == peer.Running
			})
			publishToQueue(t, ch, q+"deadgo", "go")
			for n := range 5 {
				log.Wait(t, fmt.Sprintf("dead %d", n))
				if n > 0 {
					luatest.WantLines(t, log.All(), fmt.Sprintf("got %d 1", n), fmt.Sprintf("got %d 2", n))
				}
			}
			closeHost(t, h)
		})
	}
}

// While the server is short of memory or disk, it accepts no messages. publish ends after
// its timeout and returns the reason, and consumers continue.
func TestAMQPBlockedPublisher(t *testing.T) {
	for _, alarm := range []struct {
		name       string
		raise, end []string
	}{
		{"low on memory", []string{"set_vm_memory_high_watermark", "absolute", "1000"}, []string{"set_vm_memory_high_watermark", "0.9"}},
		{"low on disk", []string{"set_disk_free_limit", "1000000GB"}, []string{"set_disk_free_limit", "1MB"}},
	} {
		t.Run(alarm.name, func(t *testing.T) {
			addr, q, ch := luatest.RabbitAddr(t), matcher.NewID().String(), rabbitChannel(t)
			if _, err := ch.QueueDeclare(q, false, true, false, false, nil); err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				publishToQueue(t, ch, q, strconv.Itoa(n))
			}
			luatest.Rabbitctl(t, alarm.raise...)
			defer luatest.Rabbitctl(t, alarm.end...)
			h, log := startHost(t, script(`"amqp:*"`, `
local c = assert(ns.amqp.connect("`+luatest.RabbitURL(addr)+`", {timeout_ms = 1500}))
assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end, {prefetch = 1}))
print("blocked", c:publish("", "`+q+`", "x", {confirm = true}))
ns.spawn(function()
  while not c:publish("", "`+q+`", "again", {confirm = true}) do ns.sleep(0.1) end
  print("unblocked")
end)`))
			luatest.WantLines(t, log.All(), `blocked\tnil\t`)
			for n := range 3 {
				log.Wait(t, fmt.Sprintf("got %d", n))
			}
			luatest.WantLines(t, log.All(), "the server takes no messages: "+alarm.name)
			luatest.Rabbitctl(t, alarm.end...)
			log.Wait(t, "unblocked")
			log.Wait(t, "got again")
			luatest.WaitFor(t, func() bool { return len(h.Plugins()[0].Degraded) == 0 })
			closeHost(t, h)
		})
	}
}

// Each state has its own consumer on the queue.
func TestAMQPStates(t *testing.T) {
	q, ch := matcher.NewID().String(), rabbitChannel(t)
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.states = {"amqp:*"}, 3
function M:initialize()
  local c = assert(ns.amqp.connect("`+luatest.RabbitURL(luatest.RabbitAddr(t))+`"))
  assert(c:declare("queue", "`+q+`"))
  assert(c:consume("`+q+`", function(m) print("got " .. m.body .. ".") return true end, {prefetch = 1}))
end`))
	queue, err := ch.QueueDeclarePassive(q, false, false, false, false, nil)
	if err != nil || queue.Consumers != 3 || len(h.Plugins()[0].Consumers) != 3 {
		t.Errorf("%+v %v %+v", queue, err, h.Plugins()[0].Consumers)
	}
	for n := range 30 {
		publishToQueue(t, ch, q, strconv.Itoa(n))
	}
	for n := range 30 {
		log.Wait(t, fmt.Sprintf("got %d.", n))
	}
	closeHost(t, h)
	if n := strings.Count(log.All(), "got "); n != 30 {
		t.Errorf("handled %d, want 30", n)
	}
	if left, err := ch.QueueDelete(q, false, false, false); err != nil || left != 0 {
		t.Error(left, err)
	}
}

// An exclusive queue belongs to the connection of the old generation until that
// connection ends. A reload still works, and the new generation consumes afterwards.
func TestAMQPExclusiveOverReload(t *testing.T) {
	q, ch := matcher.NewID().String(), rabbitChannel(t)
	h, log := startHost(t, script(`"amqp:*"`, connectAMQP(luatest.RabbitAddr(t))+`
assert(c:declare("queue", "`+q+`", {exclusive = true, durable = false}))
assert(c:consume("`+q+`", function(m) print("got " .. m.body) return true end))`))
	for n := range 3 {
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		luatest.WaitFor(t, func() bool {
			return h.Plugins()[0].Consumers[0].State == peer.Running && len(h.Plugins()[0].Degraded) == 0
		})
		publishToQueue(t, ch, q, strconv.Itoa(n))
		log.Wait(t, fmt.Sprintf("got %d", n))
	}
	closeHost(t, h)
}
