package lua

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/matcher"
	"nearside/plugins"
)

// startShipped starts a shipped plugin with a real store.
func startShipped(t *testing.T, name string, settings map[string]any) (*database, *luatest.Lines) {
	t.Helper()
	d := openDatabase(t, t.TempDir(), 0)
	_, log := startHost(t, luatest.BackgroundPlugin(""), d.services, func(o *Options) {
		o.Shipped, o.Active, o.Settings = plugins.Files, []string{name}, map[string]any{name: settings}
		o.Clock = nil
	})
	return d, log
}

// waitForObjects waits until the store has n objects.
func (d *database) waitForObjects(t *testing.T, o matcher.Origin, n int) {
	t.Helper()
	luatest.WaitFor(t, func() bool { return d.memory.Stats().Rows[o] == n })
}

// TestRedisIngest runs the plugin with miniredis and with a real server. The plugin must
// behave as with the double in its own test.
func TestRedisIngest(t *testing.T) {
	eachRedis(t, func(t *testing.T, address, url string) {
		outside := redisClientOf(t, address)
		add := func(values ...string) {
			t.Helper()
			if err := outside.XAdd(t.Context(), &goredis.XAddArgs{Stream: "faces", Values: values}).Err(); err != nil {
				t.Fatal(err)
			}
		}
		face := func(n int) string {
			return fmt.Sprintf(`{"face_id":"%s","descriptor":{"version":1,"data":"AQI="}}`, faceID(n))
		}
		add("face", face(1)) // before the start
		d, log := startShipped(t, "redis_ingest", map[string]any{"url": url, "list_id": list1, "attempts": 1})
		add("face", face(2))
		add("face", face(2)) // again
		add("face", "{")     // a dead letter
		add("face", `{"age":300}`)
		log.Wait(t, "age: must be an integer from 0 to 255, got 300")
		d.waitForObjects(t, matcher.Faces, 2)
		if got := d.near(t, matcher.MustID(list1)); len(got) != 2 {
			t.Errorf("in the list: %v", got)
		}
		luatest.WaitFor(t, func() bool {
			pending, err := outside.XPending(t.Context(), "faces", "nearside").Result()
			return err == nil && pending.Count == 0 && outside.XLen(t.Context(), "faces.dead").Val() == 2
		})
	})
}

// TestRabbitEvents does the same with RabbitMQ.
func TestRabbitEvents(t *testing.T) {
	ch := rabbitChannel(t)
	queue := fmt.Sprintf("events-%d", time.Now().UnixNano())
	d, log := startShipped(t, "rabbitmq_events", map[string]any{"url": luatest.RabbitURL(luatest.RabbitAddr(t)), "exchange": queue + ".x", "queue": queue, "key": "camera.*"})
	publish := func(key, body string) {
		t.Helper()
		if err := ch.PublishWithContext(context.Background(), queue+".x", key, false, false, amqp.Publishing{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	event, err := json.Marshal(map[string]any{"source": "cam-1", "face_descriptor": map[string]any{"version": 1, "data": "AQI="}})
	if err != nil {
		t.Fatal(err)
	}
	publish("door.1", string(event)) // not for the queue of the plugin
	publish("camera.1", string(event))
	publish("camera.1", "no JSON")
	d.waitForObjects(t, matcher.Events, 1)
	log.Wait(t, "a message went to the dead letters")
	dead, ok, err := ch.Get(queue+".dead", true)
	if err != nil || !ok || string(dead.Body) != "no JSON" || !strings.Contains(fmt.Sprint(dead.Headers["x-nearside-dead-reason"]), "is not an event") {
		t.Errorf("%s %v %v", dead.Body, dead.Headers, err)
	}
}

// TestRabbitEventsFull: while the store is full, events stay in the queue and use no
// attempt. They are stored when the store has room again.
func TestRabbitEventsFull(t *testing.T) {
	ch := rabbitChannel(t)
	queue := fmt.Sprintf("full-%d", time.Now().UnixNano())
	d := openDatabase(t, t.TempDir(), 0)
	var full atomic.Bool
	full.Store(true)
	services := func(o *Options) {
		d.services(o)
		o.Services.Store = &refusingStore{ObjectWriter: o.Services.Store, full: &full}
	}
	h, log := startHost(t, luatest.BackgroundPlugin(""), services, func(o *Options) {
		o.Shipped, o.Active, o.Settings = plugins.Files, []string{"rabbitmq_events"}, map[string]any{"rabbitmq_events": map[string]any{
			"url": luatest.RabbitURL(luatest.RabbitAddr(t)), "exchange": queue + ".x", "queue": queue, "attempts": 1,
		}}
		o.Clock = nil
	})
	const events = 20
	for n := range events {
		publishToQueue(t, ch, queue, fmt.Sprintf(`{"source":"cam-%d","face_descriptor":{"version":1,"data":"AQI="}}`, n))
	}
	log.Wait(t, "consumer paused")
	if c := h.Plugins()[0].Consumers[0]; c.State != peer.Paused || !strings.Contains(c.Reason, "no room") || c.Dead+c.Retried > 0 {
		t.Errorf("%+v", c)
	}
	full.Store(false)
	d.waitForObjects(t, matcher.Events, events)
	luatest.WaitFor(t, func() bool { c := h.Plugins()[0].Consumers[0]; return c.Acked == events && c.State == peer.Running })
}

// A refusingStore refuses writes while full is set.
type refusingStore struct {
	ns.ObjectWriter
	full *atomic.Bool
}

func (s *refusingStore) PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (int, error) {
	if s.full.Load() {
		return 0, matcher.Errorf(matcher.CodeFull, "there is no room")
	}
	return s.ObjectWriter.PutObjects(ctx, account, objects)
}
