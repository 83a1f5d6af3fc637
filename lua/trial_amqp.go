package lua

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// An amqpDouble is the RabbitMQ of one test.
type amqpDouble struct {
	clock *trialClock
	life  context.Context // of what waits for its time
	end   context.CancelFunc
	waits sync.WaitGroup

	mu        sync.Mutex
	exchanges map[string]string // types
	queues    map[string]*amqpDoubleQueue
	clients   []*amqpDoubleClient
	published []any
	down      string // why nothing works; empty: it does
}

type amqpDoubleQueue struct {
	declaration
	ready     []*amqpDoubleMessage // the oldest first
	consumers []*amqpDoubleConsumer
	unacked   int
	acked     int // by handlers
	dropped   int // rejected or expired, without dead letters
	numbers   uint64
}

type amqpDoubleMessage struct {
	amqp.Delivery
	number  uint64    // its place in the queue
	expires time.Time // zero: never
}

func newAMQPDouble(clock *trialClock) *amqpDouble {
	d := &amqpDouble{clock: clock, exchanges: map[string]string{}, queues: map[string]*amqpDoubleQueue{}}
	d.life, d.end = context.WithCancel(context.Background())
	return d
}

// close ends what waits for its time.
func (d *amqpDouble) close() {
	d.end()
	d.waits.Wait()
}

// after calls f in the test's time.
func (d *amqpDouble) after(wait time.Duration, f func()) {
	d.clock.add(1)
	d.waits.Go(func() {
		defer d.clock.add(-1)
		if d.clock.Sleep(d.life, wait) == nil {
			f()
		}
	})
}

// notFound is what RabbitMQ says of what does not exist.
func notFound(kind, name string) error {
	return &amqp.Error{Code: amqp.NotFound, Reason: fmt.Sprintf("NOT_FOUND - no %s '%s' in vhost '/'", kind, name), Server: true}
}

// route puts a message into the queues that it is for. The caller has the
// lock, also of the functions that follow.
func (d *amqpDouble) route(exchange, key string, p amqp.Publishing) error {
	var to []*amqpDoubleQueue
	if exchange == "" {
		if q := d.queues[key]; q != nil {
			to = append(to, q)
		}
	} else {
		kind, ok := d.exchanges[exchange]
		if !ok {
			return notFound("exchange", exchange)
		}
		for _, name := range slices.Sorted(maps.Keys(d.queues)) {
			q := d.queues[name]
			if slices.ContainsFunc(q.bindings, func(b binding) bool { return b.exchange == exchange && b.binds(kind, key, p.Headers) }) {
				to = append(to, q)
			}
		}
	}
	if len(to) == 0 {
		return fmt.Errorf("%w: NO_ROUTE", errNoQueue)
	}
	for _, q := range to {
		d.put(q, exchange, key, p)
	}
	return nil
}

// put adds a message to a queue.
func (d *amqpDouble) put(q *amqpDoubleQueue, exchange, key string, p amqp.Publishing) {
	m := &amqpDoubleMessage{Delivery: amqp.Delivery{
		Headers: maps.Clone(p.Headers), ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, DeliveryMode: p.DeliveryMode,
		Priority: p.Priority, CorrelationId: p.CorrelationId, ReplyTo: p.ReplyTo, Expiration: p.Expiration, MessageId: p.MessageId,
		Timestamp: p.Timestamp, Type: p.Type, AppId: p.AppId, Body: p.Body, Exchange: exchange, RoutingKey: key,
	}}
	q.numbers++
	m.number = q.numbers
	if ttl, ok := q.lifetime(p.Expiration); ok {
		m.expires = d.clock.Now().Add(ttl)
		d.after(ttl, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.expire(q)
		})
	}
	q.ready = append(q.ready, m)
	if most, ok := headerInt(q.arguments, "x-max-length"); ok && int64(len(q.ready)) > most {
		d.die(q, q.ready[0], "maxlen")
		q.ready = q.ready[1:]
	}
	d.serve(q)
}

// lifetime is the shorter one of the message's and the queue's.
func (q *amqpDoubleQueue) lifetime(expiration string) (time.Duration, bool) {
	ms, ok := headerInt(q.arguments, "x-message-ttl")
	if own, err := strconv.ParseInt(expiration, 10, 64); err == nil && (!ok || own < ms) {
		ms, ok = own, true
	}
	return time.Duration(ms) * time.Millisecond, ok
}

// expire removes messages from the head of a queue whose time is over, as
// RabbitMQ does: one behind a message that lives has to wait.
func (d *amqpDouble) expire(q *amqpDoubleQueue) {
	for len(q.ready) > 0 && !q.ready[0].expires.IsZero() && !q.ready[0].expires.After(d.clock.Now()) {
		m := q.ready[0]
		q.ready = q.ready[1:]
		d.die(q, m, "expired")
	}
}

// die sends a message to the queue's own dead letters, if there are any.
func (d *amqpDouble) die(q *amqpDoubleQueue, m *amqpDoubleMessage, why string) {
	exchange, ok := q.arguments["x-dead-letter-exchange"].(string)
	if !ok {
		q.dropped++
		return
	}
	key := m.RoutingKey
	if other, ok := q.arguments["x-dead-letter-routing-key"].(string); ok {
		key = other
	}
	p := (&amqpDelivery{Delivery: m.Delivery}).copied()
	p.Headers = maps.Clone(m.Headers)
	if p.Headers == nil {
		p.Headers = amqp.Table{}
	}
	p.Expiration = ""
	p.Headers["x-death"] = died(p.Headers["x-death"], amqp.Table{
		"queue": q.name, "reason": why, "exchange": m.Exchange, "routing-keys": []any{m.RoutingKey}, "count": int64(1), "time": d.clock.Now(),
	})
	if d.route(exchange, key, p) != nil {
		q.dropped++
	}
}

// died adds an entry to a header x-death: one for each queue and reason.
func died(header any, entry amqp.Table) []any {
	all, _ := header.([]any)
	var rest []any
	for _, item := range all {
		if old, ok := item.(amqp.Table); ok && old["queue"] == entry["queue"] && old["reason"] == entry["reason"] {
			n, _ := headerInt(old, "count")
			entry["count"] = n + 1
			continue
		}
		rest = append(rest, item)
	}
	return append([]any{entry}, rest...)
}

// serve gives a queue's messages to consumers that are free.
func (d *amqpDouble) serve(q *amqpDoubleQueue) {
	for i := 0; i < len(q.consumers) && len(q.ready) > 0; i++ {
		q.consumers[i].begin()
	}
}

// take removes the next message, and has the consumers take turns.
func (d *amqpDouble) take(q *amqpDoubleQueue, c *amqpDoubleConsumer) *amqpDoubleMessage {
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

// putBack puts a message that was not acknowledged back to its place.
func (d *amqpDouble) putBack(q *amqpDoubleQueue, m *amqpDoubleMessage) {
	m.Redelivered = true
	if q.arguments["x-queue-type"] == "quorum" {
		n, _ := headerInt(m.Headers, "x-delivery-count")
		if m.Headers == nil {
			m.Headers = amqp.Table{}
		}
		m.Headers["x-delivery-count"] = n + 1
	}
	i := slices.IndexFunc(q.ready, func(o *amqpDoubleMessage) bool { return o.number > m.number })
	if i < 0 {
		i = len(q.ready)
	}
	q.ready = slices.Insert(q.ready, i, m)
	d.serve(q)
}

// make declares a queue or an exchange.
func (d *amqpDouble) make(w declaration) error {
	other := &amqp.Error{Code: amqp.PreconditionFailed, Reason: fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg for %s '%s' in vhost '/'", w.kind, w.name), Server: true}
	if w.kind == "exchange" {
		if kind, ok := d.exchanges[w.name]; ok && kind != w.exchangeType {
			return other
		}
		d.exchanges[w.name] = w.exchangeType
		return nil
	}
	q := d.queues[w.name]
	if q == nil {
		q = &amqpDoubleQueue{declaration: w}
		q.bindings = nil
		d.queues[w.name] = q
	} else if q.durable != w.durable || q.autoDelete != w.autoDelete || len(q.arguments)+len(w.arguments) > 0 && !reflect.DeepEqual(q.arguments, w.arguments) {
		return other
	}
	for _, b := range w.bindings {
		if _, ok := d.exchanges[b.exchange]; !ok {
			return notFound("exchange", b.exchange)
		}
		if !slices.ContainsFunc(q.bindings, func(o binding) bool { return reflect.DeepEqual(o, b) }) {
			q.bindings = append(q.bindings, b)
		}
	}
	return nil
}

// remove deletes a queue with its messages, or an exchange with its bindings.
func (d *amqpDouble) remove(kind, name string) error {
	if kind == "exchange" {
		if _, ok := d.exchanges[name]; !ok {
			return notFound(kind, name)
		}
		delete(d.exchanges, name)
		for _, q := range d.queues {
			q.bindings = slices.DeleteFunc(q.bindings, func(b binding) bool { return b.exchange == name })
		}
		return nil
	}
	q := d.queues[name]
	if q == nil {
		return notFound(kind, name)
	}
	delete(d.queues, name)
	for _, c := range slices.Clone(q.consumers) {
		c.lose(fmt.Errorf("the server has ended the consumer of queue %s", name))
	}
	return nil
}
