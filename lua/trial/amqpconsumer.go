package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nearside/lua/ns/amqp"
	"nearside/lua/ns/peer"
)

// An amqpDoubleConsumer is a consumer of the double. It makes its decisions with the
// code of the real consumer, and implements [amqp.Broker] on the double. The double's
// lock protects its fields.
type amqpDoubleConsumer struct {
	*amqp.Consumer
	client *amqpDoubleClient
	quit   func()           // ends stopping
	finish func()           // ends the consumer; nil after it was called
	at     *amqpDoubleQueue // nil while the consumer is not attached

	channel context.Context // ends when the queue or the server is lost
	cut     context.CancelFunc
	running bool // a goroutine handles messages
	retry   bool // later has scheduled another attach
	again   []*amqp.Delivery
	tags    uint64
	unacked map[uint64]*amqpDoubleMessage // by delivery tag
}

func newAMQPDoubleConsumer(a *amqpDoubleClient, o amqp.ConsumerOptions) *amqpDoubleConsumer {
	core, finish := amqp.NewConsumer(a.owner, "amqp "+a.target+" queue "+o.Queue, o)
	c := &amqpDoubleConsumer{Consumer: core, client: a, quit: core.Stop, finish: finish}
	core.Stop = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		c.halt()
	}
	return c
}

// attach starts to consume. If the queue is missing or the server is down, it schedules
// another attempt.
func (c *amqpDoubleConsumer) attach() {
	a := c.client
	if c.at != nil || c.Stopping.Err() != nil {
		return
	}
	if a.down == "" && a.queues[c.Queue] == nil {
		a.restore(func(w amqp.Declaration) bool { return w.IsPermanent() || w.Kind == "queue" && w.Name == c.Queue })
	}
	q := a.queues[c.Queue]
	if a.down != "" || q == nil {
		if a.down != "" {
			c.State.Lost(a.gone())
		} else {
			c.State.Set(peer.Degraded, amqp.NotFound("queue", c.Queue))
		}
		c.later()
		return
	}
	c.at, c.unacked, c.again = q, map[uint64]*amqpDoubleMessage{}, nil
	c.channel, c.cut = context.WithCancel(a.owner.Context())
	q.consumers = append(q.consumers, c)
	c.State.Set(peer.Running, nil)
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

// lose ends the channel. Unacknowledged messages return to the queue.
func (c *amqpDoubleConsumer) lose(why error) {
	if c.detach() {
		c.State.Lost(why)
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
	if q.AutoDelete && len(q.consumers) == 0 {
		delete(c.client.queues, q.Name)
	}
	return true
}

// halt stops the consumer. The caller must hold the lock.
func (c *amqpDoubleConsumer) halt() {
	c.quit()
	c.leave()
}

// leave ends a stopped consumer. If a handler runs, leave does nothing, and the
// handler's goroutine calls it later.
func (c *amqpDoubleConsumer) leave() {
	if c.running || c.finish == nil {
		return
	}
	c.detach()
	finish := c.finish
	c.finish = nil
	finish()
}

// begin starts the consumer's goroutine unless it runs already.
func (c *amqpDoubleConsumer) begin() {
	if c.running || c.Stopping.Err() != nil {
		return
	}
	_, err := c.client.owner.Go(func(context.Context) { c.run() })
	c.running = err == nil
}

func (c *amqpDoubleConsumer) run() {
	c.AwaitLive(c.Stopping)
	for {
		c.client.mu.Lock()
		d, channel := c.next(), c.channel
		if d == nil {
			c.running = false
			if c.Stopping.Err() != nil {
				c.leave()
			}
			c.client.mu.Unlock()
			return
		}
		c.client.mu.Unlock()
		_, _ = c.HandleDelivery(channel, c, d) // the error means that the channel is lost
	}
}

func (c *amqpDoubleConsumer) next() *amqp.Delivery {
	if c.at == nil || c.Stopping.Err() != nil {
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
	c.unacked[c.tags], m.Tag = m, c.tags
	return amqp.NewDelivery(c.at.Name, m.Delivery)
}

var errChannelLost = errors.New("the channel is closed")

// settle removes a message from the unacknowledged ones and passes it to f.
func (c *amqpDoubleConsumer) settle(d *amqp.Delivery, f func(q *amqpDoubleQueue, m *amqpDoubleMessage)) error {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	m := c.unacked[d.Tag]
	if c.at == nil || m == nil {
		return errChannelLost
	}
	delete(c.unacked, d.Tag)
	c.at.unacked--
	f(c.at, m)
	return nil
}

// Ack implements [amqp.Broker].
func (c *amqpDoubleConsumer) Ack(d *amqp.Delivery) error {
	return c.settle(d, func(q *amqpDoubleQueue, _ *amqpDoubleMessage) { q.acked++ })
}

// Requeue implements [amqp.Broker].
func (c *amqpDoubleConsumer) Requeue(d *amqp.Delivery) error {
	return c.settle(d, c.client.putBack)
}

// Reject implements [amqp.Broker].
func (c *amqpDoubleConsumer) Reject(d *amqp.Delivery) error {
	return c.settle(d, func(q *amqpDoubleQueue, m *amqpDoubleMessage) { c.client.die(q, m, "rejected") })
}

// Forward implements [amqp.Broker].
func (c *amqpDoubleConsumer) Forward(_ context.Context, d *amqp.Delivery, exchange, key string, m amqp.Message) error {
	c.client.mu.Lock()
	err := c.client.publish(amqp.Outgoing{Exchange: exchange, Key: key, Message: m})
	c.client.mu.Unlock()
	if err != nil {
		return err
	}
	return c.settle(d, func(*amqpDoubleQueue, *amqpDoubleMessage) {})
}

// MakeQueue implements [amqp.Broker].
func (c *amqpDoubleConsumer) MakeQueue(_ context.Context, name string) error {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	if c.client.queues[name] != nil {
		return nil
	}
	return c.client.make(amqp.Declaration{Kind: "queue", Name: name, Durable: true})
}

// OwnDead implements [amqp.Broker].
func (c *amqpDoubleConsumer) OwnDead(_ context.Context, d *amqp.Delivery) (bool, error) {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	declared, _ := c.client.wanted.Find("queue", c.Queue)
	kind, name, ok := declared.DeadLetters(d.Key)
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

// Retake implements [amqp.Broker].
func (c *amqpDoubleConsumer) Retake(d *amqp.Delivery) {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	if c.at != nil {
		c.again = append(c.again, d)
		c.begin()
	}
}

// Freed implements [amqp.Broker].
func (c *amqpDoubleConsumer) Freed(*amqp.Delivery) {}
