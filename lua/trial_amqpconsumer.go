package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// An amqpDoubleConsumer is a consumer of a test. It decides as the real one
// does, and implements amqpQueue on the double. Fields are guarded by the
// double's lock.
type amqpDoubleConsumer struct {
	*amqpConsumer
	client *amqpDoubleClient
	quit   func()           // ends stopping
	finish func()           // ends the consumer; nil when it has been called
	at     *amqpDoubleQueue // nil while it is not attached

	channel context.Context // ends when the queue or the server is lost
	cut     context.CancelFunc
	running bool // a goroutine handles messages
	retry   bool // attach is to be called again
	again   []*amqpDelivery
	tags    uint64
	unacked map[uint64]*amqpDoubleMessage // by delivery tag
}

func newAMQPDoubleConsumer(a *amqpDoubleClient, shape amqpShape) *amqpDoubleConsumer {
	core, finish := newAMQPConsumer(a.in, "amqp "+a.target+" queue "+shape.queue, shape)
	c := &amqpDoubleConsumer{amqpConsumer: core, client: a, quit: core.stop, finish: finish}
	core.stop = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		c.halt()
	}
	return c
}

// attach begins to consume. While the queue or the server is missing, it is
// tried again.
func (c *amqpDoubleConsumer) attach() {
	a := c.client
	if c.at != nil || c.stopping.Err() != nil {
		return
	}
	if a.down == "" && a.queues[c.queue] == nil {
		a.restore(func(w declaration) bool { return w.stays() || w.kind == "queue" && w.name == c.queue })
	}
	q := a.queues[c.queue]
	if a.down != "" || q == nil {
		if a.down != "" {
			c.state.lost(a.gone())
		} else {
			c.state.set(consumerDegraded, notFound("queue", c.queue))
		}
		c.later()
		return
	}
	c.at, c.unacked, c.again = q, map[uint64]*amqpDoubleMessage{}, nil
	c.channel, c.cut = context.WithCancel(a.in.state.Context())
	q.consumers = append(q.consumers, c)
	c.state.set(consumerRunning, nil)
	a.serve(q)
}

// later calls attach after a pause.
func (c *amqpDoubleConsumer) later() {
	if c.retry {
		return
	}
	c.retry = true
	c.client.after(amqpDoublePause, func() {
		c.client.mu.Lock()
		defer c.client.mu.Unlock()
		c.retry = false
		c.attach()
	})
}

// lose ends the channel: what was not acknowledged goes back.
func (c *amqpDoubleConsumer) lose(why error) {
	if c.detach() {
		c.state.lost(why)
		c.later()
	}
}

func (c *amqpDoubleConsumer) detach() bool {
	q := c.at
	if q == nil {
		return false
	}
	c.cut()
	c.at = nil
	q.consumers = slices.DeleteFunc(q.consumers, func(o *amqpDoubleConsumer) bool { return o == c })
	for _, m := range c.unacked {
		q.unacked--
		c.client.putBack(q, m)
	}
	if q.autoDelete && len(q.consumers) == 0 {
		delete(c.client.queues, q.name)
	}
	return true
}

// halt stops the consumer; the caller has the lock.
func (c *amqpDoubleConsumer) halt() {
	c.quit()
	c.leave()
}

// leave ends a consumer that has been stopped, unless a handler runs: then the
// goroutine does it.
func (c *amqpDoubleConsumer) leave() {
	if c.running || c.finish == nil {
		return
	}
	c.detach()
	finish := c.finish
	c.finish = nil
	finish()
}

// begin runs the consumer if it does not run.
func (c *amqpDoubleConsumer) begin() {
	if c.running || c.stopping.Err() != nil {
		return
	}
	_, err := c.in.goroutine(func(context.Context) { c.run() })
	c.running = err == nil
}

func (c *amqpDoubleConsumer) run() {
	c.awaitLive(c.stopping)
	for {
		c.client.mu.Lock()
		d, channel := c.next(), c.channel
		if d == nil {
			c.running = false
			if c.stopping.Err() != nil {
				c.leave()
			}
			c.client.mu.Unlock()
			return
		}
		c.client.mu.Unlock()
		_, _ = c.handle(channel, c, d) // its error says that the channel is lost
	}
}

func (c *amqpDoubleConsumer) next() *amqpDelivery {
	if c.at == nil || c.stopping.Err() != nil {
		return nil
	}
	if len(c.again) > 0 {
		d := c.again[0]
		c.again = c.again[1:]
		return d
	}
	m := c.client.take(c.at, c)
	if m == nil {
		return nil
	}
	c.tags++
	c.unacked[c.tags], m.DeliveryTag = m, c.tags
	return newDelivery(c.at.name, m.Delivery)
}

var errChannelLost = errors.New("the channel is closed")

// settle takes a message out of those that are not acknowledged.
func (c *amqpDoubleConsumer) settle(d *amqpDelivery, f func(q *amqpDoubleQueue, m *amqpDoubleMessage)) error {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	m := c.unacked[d.DeliveryTag]
	if c.at == nil || m == nil {
		return errChannelLost
	}
	delete(c.unacked, d.DeliveryTag)
	c.at.unacked--
	f(c.at, m)
	return nil
}

func (c *amqpDoubleConsumer) ack(d *amqpDelivery) error {
	return c.settle(d, func(q *amqpDoubleQueue, _ *amqpDoubleMessage) { q.acked++ })
}

func (c *amqpDoubleConsumer) requeue(d *amqpDelivery) error {
	return c.settle(d, c.client.putBack)
}

func (c *amqpDoubleConsumer) reject(d *amqpDelivery) error {
	return c.settle(d, func(q *amqpDoubleQueue, m *amqpDoubleMessage) { c.client.die(q, m, "rejected") })
}

func (c *amqpDoubleConsumer) forward(_ context.Context, d *amqpDelivery, exchange, key string, p amqp.Publishing) error {
	c.client.mu.Lock()
	err := c.client.publish(outgoing{exchange: exchange, key: key, message: p})
	c.client.mu.Unlock()
	if err != nil {
		return err
	}
	return c.settle(d, func(*amqpDoubleQueue, *amqpDoubleMessage) {})
}

func (c *amqpDoubleConsumer) makeQueue(_ context.Context, name string) error {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	if c.client.queues[name] != nil {
		return nil
	}
	return c.client.make(declaration{kind: "queue", name: name, durable: true})
}

func (c *amqpDoubleConsumer) ownDead(_ context.Context, d *amqpDelivery) (bool, error) {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	declared, _ := c.client.wanted.find("queue", c.queue)
	kind, name, ok := declared.deadLetters(d.RoutingKey)
	if !ok {
		return false, nil
	}
	_, there := c.client.exchanges[name]
	if kind == "queue" {
		there = c.client.queues[name] != nil
	}
	if !there {
		return false, fmt.Errorf("the dead-letter %s %s does not exist", kind, name)
	}
	return true, nil
}

func (c *amqpDoubleConsumer) retake(d *amqpDelivery) {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	if c.at != nil {
		c.again = append(c.again, d)
		c.begin()
	}
}

func (c *amqpDoubleConsumer) freed(*amqpDelivery) {}
