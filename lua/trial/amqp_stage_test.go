package trial

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"nearside/lua"
	"nearside/lua/luatest"
	"nearside/lua/ns/amqp"
	"nearside/lua/ns/peer"
	"nearside/matcher"
)

// A stage runs a plugin with RabbitMQ or with its double. The same cases run with both,
// so they check that the double behaves like the real server.
type stage struct {
	host *lua.Host
	log  *luatest.Lines
	q    string // a name that no other test uses

	publish func(exchange, key string, p amqp.Message)
	remove  func(kind, name string)
	depth   func(queue string) int // the number of ready and unacknowledged messages; on a real server, only stuck ones count as unacknowledged
	await   func(want func() bool)
	reload  func(t *testing.T)
}

// eachBroker runs a case on the double and on a real server. In the plugin's source, URL is
// the server's address and QUEUE is a unique name.
func eachBroker(t *testing.T, source string, play func(t *testing.T, s *stage)) {
	t.Helper()
	fill := func(url, name string) string {
		source := `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}, permissions = {"amqp:*", "store"}}
local q, c = "QUEUE"
function M:start()
  c = assert(ns.amqp.connect("URL"))
` + source + `
end
return M`
		return strings.NewReplacer("URL", url, "QUEUE", name).Replace(source)
	}
	t.Run("double", func(t *testing.T) { play(t, doubleStage(t, fill)) })
	t.Run("rabbitmq", func(t *testing.T) { play(t, realStage(t, fill)) })
}

func realStage(t *testing.T, fill func(url, name string) string) *stage {
	ch, control := rabbitChannel(t), rabbitChannel(t)
	s := &stage{q: matcher.NewID().String()}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	s.publish = func(exchange, key string, p amqp.Message) {
		t.Helper()
		d, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, amqp091.Publishing{Headers: p.Headers, Body: p.Body})
		if err != nil || !d.Wait() {
			t.Fatal("the message was not confirmed:", err)
		}
	}
	s.remove = func(kind, name string) {
		t.Helper()
		var err error
		if kind == "queue" {
			_, err = control.QueueDelete(name, false, false, false)
		} else {
			err = control.ExchangeDelete(name, false, false)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.depth = func(queue string) int {
		t.Helper()
		inspected, err := control.QueueDeclarePassive(queue, true, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		unacked := 0
		for _, c := range s.host.Plugins()[0].Consumers {
			if strings.HasSuffix(c.Name, " "+queue) {
				unacked += c.Stuck
			}
		}
		return inspected.Messages + unacked
	}
	s.await = func(want func() bool) { t.Helper(); luatest.WaitFor(t, want) }
	s.reload = func(t *testing.T) {
		t.Helper()
		if err := s.host.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.host, s.log = start(t, fill(luatest.RabbitURL(luatest.RabbitAddr(t)), s.q))
	return s
}

func doubleStage(t *testing.T, fill func(url, name string) string) *stage {
	s := &stage{q: matcher.NewID().String(), log: luatest.NewLines()}
	tr := newTrial(lua.Options{Dir: luatest.Folder(t, map[string]string{"p.lua": fill("amqp://double", s.q)})}, "p")
	o := tr.options
	if err := tr.connect(&o); err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	do := func(f func(ctx context.Context) error) {
		t.Helper()
		if err := tr.runUntilIdle(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	do(func(ctx context.Context) (err error) {
		s.host, err = lua.New(ctx, o)
		return err
	})
	tr.hosts = append(tr.hosts, s.host)
	t.Cleanup(func() {
		if err := tr.closeAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s.reload = func(t *testing.T) { t.Helper(); do(s.host.Reload) }
	broker := func(f func(d *amqpDouble) error) {
		t.Helper()
		do(func(context.Context) error {
			tr.amqp.mu.Lock()
			defer tr.amqp.mu.Unlock()
			return f(tr.amqp)
		})
	}
	s.publish = func(exchange, key string, p amqp.Message) {
		t.Helper()
		broker(func(d *amqpDouble) error { _ = d.route(exchange, key, p); return nil })
	}
	s.remove = func(kind, name string) {
		t.Helper()
		broker(func(d *amqpDouble) error { d.noticeDeletion(); return d.deleteDeclared(kind, name) })
	}
	s.depth = func(queue string) (n int) {
		t.Helper()
		broker(func(d *amqpDouble) error { n = len(d.queues[queue].ready) + d.queues[queue].unacked; return nil })
		return n
	}
	s.await = func(want func() bool) {
		t.Helper()
		for range 100 {
			if want() {
				return
			}
			if err := tr.clock.advance(t.Context(), time.Second); err != nil {
				t.Fatal(err)
			}
		}
		t.Fatalf("the condition was not met within 100 s of the test's time:\n%s", s.log.All())
	}
	return s
}

// awaitLines waits until all lines are logged, in any order.
func (s *stage) awaitLines(want ...string) {
	for _, text := range want {
		s.await(func() bool { return strings.Contains(s.log.All(), text) })
	}
}

func (s *stage) consumer() peer.ConsumerStatus { return s.host.Plugins()[0].Consumers[0] }
