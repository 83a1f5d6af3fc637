package trial

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"nearside/lua/ns/amqp"
)

// An amqpDouble is the test double of RabbitMQ in one test.
type amqpDouble struct {
	clock *clock
	ctx   context.Context // ends when the test ends
	end   context.CancelFunc
	waits sync.WaitGroup

	mu        sync.Mutex
	exchanges map[string]string // the type of each exchange
	queues    map[string]*amqpDoubleQueue
	clients   []*amqpDoubleClient
	published []any
	down      string // why the server is down; empty: it works
}

type amqpDoubleQueue struct {
	amqp.Declaration
	ready      []*amqpDoubleMessage // oldest first
	consumers  []*amqpDoubleConsumer
	unacked    int
	acked      int    // acknowledged by handlers
	dropped    int    // rejected or expired messages that were not dead-lettered
	lastNumber uint64 // the number of the newest message
}

type amqpDoubleMessage struct {
	amqp.Delivery
	number  uint64    // its position in the queue, ascending
	expires time.Time // zero: never
}

func newAMQPDouble(clock *clock) *amqpDouble {
	d := &amqpDouble{clock: clock, exchanges: map[string]string{}, queues: map[string]*amqpDoubleQueue{}}
	d.ctx, d.end = context.WithCancel(context.Background())
	return d
}

// close ends the waiting goroutines of callAfter.
func (d *amqpDouble) close() {
	d.end()
	d.waits.Wait()
}

// callAfter calls f after a time on the test's clock.
func (d *amqpDouble) callAfter(wait time.Duration, f func()) {
	d.clock.addBusy(1)
	d.waits.Go(func() {
		defer d.clock.addBusy(-1)
		if d.clock.Sleep(d.ctx, wait) == nil {
			f()
		}
	})
}

// route adds a message to all queues that are bound for it. The caller of route and of
// the functions below must hold the lock.
func (d *amqpDouble) route(exchange, key string, p amqp.Message) error {
	var to []*amqpDoubleQueue
	if exchange == "" {
		if q := d.queues[key]; q != nil {
			to = append(to, q)
		}
	} else {
		kind, ok := d.exchanges[exchange]
		if !ok {
			return amqp.NotFound("exchange", exchange)
		}
		for _, name := range slices.Sorted(maps.Keys(d.queues)) {
			q := d.queues[name]
			if slices.ContainsFunc(q.Bindings, func(b amqp.Binding) bool { return b.Exchange == exchange && b.Binds(kind, key, p.Headers) }) {
				to = append(to, q)
			}
		}
	}
	if len(to) == 0 {
		return fmt.Errorf("%w: NO_ROUTE", amqp.ErrNoQueue)
	}
	for _, q := range to {
		d.enqueue(q, exchange, key, p)
	}
	return nil
}

// enqueue adds a message to a queue.
func (d *amqpDouble) enqueue(q *amqpDoubleQueue, exchange, key string, p amqp.Message) {
	m := &amqpDoubleMessage{Delivery: amqp.Delivery{Message: p, Exchange: exchange, Key: key}}
	m.Headers = maps.Clone(p.Headers)
	q.lastNumber++
	m.number = q.lastNumber
	if ttl, ok := q.lifetime(p.Expiration); ok {
		m.expires = d.clock.Now().Add(ttl)
		d.callAfter(ttl, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.expire(q)
		})
	}
	q.ready = append(q.ready, m)
	if limit, ok := amqp.HeaderInt(q.Arguments, "x-max-length"); ok && int64(len(q.ready)) > limit {
		d.deadLetter(q, q.ready[0], "maxlen")
		q.ready = q.ready[1:]
	}
	d.startConsumers(q)
}

// lifetime returns the shorter of the message's and the queue's times to live. The
// second result is false if neither has one.
func (q *amqpDoubleQueue) lifetime(expiration string) (time.Duration, bool) {
	ms, ok := amqp.HeaderInt(q.Arguments, "x-message-ttl")
	if own, err := strconv.ParseInt(expiration, 10, 64); err == nil && (!ok || own < ms) {
		ms, ok = own, true
	}
	return time.Duration(ms) * time.Millisecond, ok
}

// expire removes expired messages from the head of a queue. As in RabbitMQ, an expired
// message stays in the queue while a message before it has not expired.
func (d *amqpDouble) expire(q *amqpDoubleQueue) {
	for len(q.ready) > 0 && !q.ready[0].expires.IsZero() && !q.ready[0].expires.After(d.clock.Now()) {
		m := q.ready[0]
		q.ready = q.ready[1:]
		d.deadLetter(q, m, "expired")
	}
}

// deadLetter sends a message to the dead-letter exchange of the queue, or drops it if the
// queue has no such exchange.
func (d *amqpDouble) deadLetter(q *amqpDoubleQueue, m *amqpDoubleMessage, reason string) {
	exchange, ok := q.Arguments["x-dead-letter-exchange"].(string)
	if !ok {
		q.dropped++
		return
	}
	key := m.Key
	if other, ok := q.Arguments["x-dead-letter-routing-key"].(string); ok {
		key = other
	}
	p := m.Copy()
	p.Headers = maps.Clone(m.Headers)
	if p.Headers == nil {
		p.Headers = map[string]any{}
	}
	p.Expiration = ""
	p.Headers["x-death"] = addDeath(p.Headers["x-death"], map[string]any{
		"queue": q.Name, "reason": reason, "exchange": m.Exchange, "routing-keys": []any{m.Key}, "count": int64(1), "time": d.clock.Now(),
	})
	if d.route(exchange, key, p) != nil {
		q.dropped++
	}
}

// addDeath adds an entry to a header x-death. The header has one entry for each queue and
// reason.
func addDeath(header any, entry map[string]any) []any {
	all, _ := header.([]any)
	var rest []any
	for _, item := range all {
		if old, ok := item.(map[string]any); ok && old["queue"] == entry["queue"] && old["reason"] == entry["reason"] {
			n, _ := amqp.HeaderInt(old, "count")
			entry["count"] = n + 1
			continue
		}
		rest = append(rest, item)
	}
	return append([]any{entry}, rest...)
}

// startConsumers makes the idle consumers of a queue handle its messages.
func (d *amqpDouble) startConsumers(q *amqpDoubleQueue) {
	for i := 0; i < len(q.consumers) && len(q.ready) > 0; i++ {
		q.consumers[i].startHandling()
	}
}

// takeMessage removes the next message of a queue for c, and returns nil if the queue is
// empty. It moves c to the end of the consumers, so that they take turns.
func (d *amqpDouble) takeMessage(q *amqpDoubleQueue, c *amqpDoubleConsumer) *amqpDoubleMessage {
	d.expire(q)
	if len(q.ready) == 0 {
		return nil
	}
	m := q.ready[0]
	q.ready = q.ready[1:]
	q.unacked++
	if i := slices.Index(q.consumers, c); i >= 0 {
		q.consumers = append(slices.Delete(q.consumers, i, i+1), c)
	}
	return m
}

// putBack returns an unacknowledged message to its position in the queue.
func (d *amqpDouble) putBack(q *amqpDoubleQueue, m *amqpDoubleMessage) {
	m.Redelivered = true
	if q.Arguments["x-queue-type"] == "quorum" {
		n, _ := amqp.HeaderInt(m.Headers, "x-delivery-count")
		if m.Headers == nil {
			m.Headers = map[string]any{}
		}
		m.Headers["x-delivery-count"] = n + 1
	}
	i := slices.IndexFunc(q.ready, func(o *amqpDoubleMessage) bool { return o.number > m.number })
	if i < 0 {
		i = len(q.ready)
	}
	q.ready = slices.Insert(q.ready, i, m)
	d.startConsumers(q)
}

// declare declares a queue or an exchange.
func (d *amqpDouble) declare(w amqp.Declaration) error {
	errOther := amqp.Inequivalent(w.Kind, w.Name)
	if w.Kind == "exchange" {
		if kind, ok := d.exchanges[w.Name]; ok && kind != w.ExchangeType {
			return errOther
		}
		d.exchanges[w.Name] = w.ExchangeType
		return nil
	}
	q := d.queues[w.Name]
	if q == nil {
		q = &amqpDoubleQueue{Declaration: w}
		q.Bindings = nil
		d.queues[w.Name] = q
	} else if q.Durable != w.Durable || q.AutoDelete != w.AutoDelete || len(q.Arguments)+len(w.Arguments) > 0 && !reflect.DeepEqual(q.Arguments, w.Arguments) {
		return errOther
	}
	for _, b := range w.Bindings {
		if _, ok := d.exchanges[b.Exchange]; !ok {
			return amqp.NotFound("exchange", b.Exchange)
		}
		if !slices.ContainsFunc(q.Bindings, func(o amqp.Binding) bool { return reflect.DeepEqual(o, b) }) {
			q.Bindings = append(q.Bindings, b)
		}
	}
	return nil
}

// deleteDeclared deletes a queue with its messages, or an exchange with its bindings.
func (d *amqpDouble) deleteDeclared(kind, name string) error {
	if kind == "exchange" {
		if _, ok := d.exchanges[name]; !ok {
			return amqp.NotFound(kind, name)
		}
		delete(d.exchanges, name)
		for _, q := range d.queues {
			q.Bindings = slices.DeleteFunc(q.Bindings, func(b amqp.Binding) bool { return b.Exchange == name })
		}
		return nil
	}
	q := d.queues[name]
	if q == nil {
		return amqp.NotFound(kind, name)
	}
	delete(d.queues, name)
	for _, c := range slices.Clone(q.consumers) {
		c.loseChannel(fmt.Errorf("the server has ended the consumer of queue %s", name))
	}
	return nil
}
