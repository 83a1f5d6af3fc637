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

	"nearside/matcher"
	"nearside/plugins"
)

// shipped starts a shipped plugin over a real store.
func shipped(t *testing.T, name string, settings map[string]any) (*database, *lines) {
	t.Helper()
	d := openDatabase(t, t.TempDir(), 0)
	_, log := start(t, background(""), d.services, func(o *Options) {
		o.Shipped, o.Active, o.Settings = plugins.Files, []string{name}, map[string]any{name: settings}
		o.Clock = nil
	})
	return d, log
}

// stored waits until there are n objects.
func (d *database) stored(t *testing.T, o matcher.Origin, n int) {
	t.Helper()
	waitFor(t, func() bool { return d.memory.Stats().Rows[o] == n })
}

// TestRedisIngest: the doubles of its own test behave as Redis does.
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
		d, log := shipped(t, "redis_ingest", map[string]any{"url": url, "list_id": list1, "attempts": 1})
		add("face", face(2))
		add("face", face(2)) // again
		add("face", "{")     // a dead letter
		add("face", `{"age":300}`)
		log.wait(t, "age: 300")
		d.stored(t, matcher.Faces, 2)
		if got := d.near(t, matcher.MustID(list1)); len(got) != 2 {
			t.Errorf("in the list: %v", got)
		}
		waitFor(t, func() bool {
			pending, err := outside.XPending(t.Context(), "faces", "nearside").Result()
			return err == nil && pending.Count == 0 && outside.XLen(t.Context(), "faces.dead").Val() == 2
		})
	})
}

// TestRabbitEvents: alike, with RabbitMQ.
func TestRabbitEvents(t *testing.T) {
	ch := rabbitChannel(t)
	queue := fmt.Sprintf("events-%d", time.Now().UnixNano())
	d, log := shipped(t, "rabbitmq_events", map[string]any{"url": rabbitURL(rabbitAddr(t)), "exchange": queue + ".x", "queue": queue, "key": "camera.*"})
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
	publish("door.1", string(event)) // is not for it
	publish("camera.1", string(event))
	publish("camera.1", "no JSON")
	d.stored(t, matcher.Events, 1)
	log.wait(t, "a message went to the dead letters")
	dead, ok, err := ch.Get(queue+".dead", true)
	if err != nil || !ok || string(dead.Body) != "no JSON" || !strings.Contains(fmt.Sprint(dead.Headers[headerDeadReason]), "is not an event") {
		t.Errorf("%s %v %v", dead.Body, dead.Headers, err)
	}
}

// TestRabbitEventsFull: while the store has no room, events stay in the queue
// and use no attempt; they are stored when there is room.
func TestRabbitEventsFull(t *testing.T) {
	ch := rabbitChannel(t)
	queue := fmt.Sprintf("full-%d", time.Now().UnixNano())
	d := openDatabase(t, t.TempDir(), 0)
	var full atomic.Bool
	full.Store(true)
	services := func(o *Options) {
		d.services(o)
		o.Services.Store = &refusingStore{Writer: o.Services.Store, full: &full}
	}
	h, log := start(t, background(""), services, func(o *Options) {
		o.Shipped, o.Active, o.Settings = plugins.Files, []string{"rabbitmq_events"}, map[string]any{"rabbitmq_events": map[string]any{
			"url": rabbitURL(rabbitAddr(t)), "exchange": queue + ".x", "queue": queue, "attempts": 1,
		}}
		o.Clock = nil
	})
	const events = 20
	for n := range events {
		send(t, ch, queue, fmt.Sprintf(`{"source":"cam-%d","face_descriptor":{"version":1,"data":"AQI="}}`, n))
	}
	log.wait(t, "consumer paused")
	if c := h.Plugins()[0].Consumers[0]; c.State != consumerPaused || !strings.Contains(c.Reason, "no room") || c.Dead+c.Retried > 0 {
		t.Errorf("%+v", c)
	}
	full.Store(false)
	d.stored(t, matcher.Events, events)
	waitFor(t, func() bool { c := h.Plugins()[0].Consumers[0]; return c.Acked == events && c.State == consumerRunning })
}

// A refusingStore has no room while full is set.
type refusingStore struct {
	Writer
	full *atomic.Bool
}

func (s *refusingStore) PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (int, error) {
	if s.full.Load() {
		return 0, matcher.Errorf(matcher.CodeFull, "there is no room")
	}
	return s.Writer.PutObjects(ctx, account, objects)
}
