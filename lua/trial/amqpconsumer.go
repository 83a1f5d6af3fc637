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
	client         *amqpDoubleClient
	cancelStopping func()           // ends the context Stopping
	finish         func()           // ends the consumer; nil after it was called
	attached       *amqpDoubleQueue // nil while the consumer is not attached

	channel    context.Context // ends when the queue or the server is lost
	endChannel context.CancelFunc
	running    bool                          // a goroutine handles messages
	retry      bool                          // attachLater has scheduled another attempt
	retaken    []*amqp.Delivery              // deliveries that Retake has returned
	lastTag    uint64                        // the last delivery tag
	unacked    map[uint64]*amqpDoubleMessage // by delivery tag
}

func newAMQPDoubleConsumer(a *amqpDoubleClient, o amqp.ConsumerOptions) *amqpDoubleConsumer {
	core, finish := amqp.NewConsumer(a.owner, "amqp "+a.target+" queue "+o.Queue, o)
	c := &amqpDoubleConsumer{Consumer: core, client: a, cancelStopping: core.Stop, finish: finish}
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
	if c.attached != nil || c.Stopping.Err() != nil {
		return
	}
	if a.down == "" && a.queues[c.Queue] == nil {
		a.declareAgain(func(w amqp.Declaration) bool { return w.IsPermanent() || w.Kind == "queue" && w.Name == c.Queue })
	}
	q := a.queues[c.Queue]
	if a.down != "" || q == nil {
		if a.down != "" {
			c.State.Lost(a.errDown())
		} else {
			c.State.Set(peer.Degraded, amqp.NotFound("queue", c.Queue))
		}
		c.attachLater()
		return
	}
	c.attached, c.unacked, c.retaken = q, map[uint64]*amqpDoubleMessage{}, nil
	c.channel, c.endChannel = context.WithCancel(a.owner.Context())
	q.consumers = append(q.consumers, c)
	c.State.Set(peer.Running, nil)
	a.startConsumers(q)
}

// attachLater calls attach after a pause.
func (c *amqpDoubleConsumer) attachLater() {
	if c.retry {
		return
	}
	c.retry = true
	c.client.callAfter(amqpDoublePause, func() {
		c.client.mu.Lock()
		defer c.client.mu.Unlock()
		c.retry = false
		c.attach()
	})
}

// loseChannel ends the channel because of err. Unacknowledged messages return to the
// queue. The consumer attaches again later.
func (c *amqpDoubleConsumer) loseChannel(err error) {
	if c.detach() {
		c.State.Lost(err)
		c.attachLater()
	}
}

// detach returns unacknowledged messages to the queue and leaves the queue. It returns
// false if the consumer was not attached.
func (c *amqpDoubleConsumer) detach() bool {
	q := c.attached
	if q == nil {
		return false
	}
	c.endChannel()
	c.attached = nil
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
	c.cancelStopping()
	c.endStopped()
}

// endStopped ends a stopped consumer. If a handler runs, it does nothing, and the
// handler's goroutine calls it later.
func (c *amqpDoubleConsumer) endStopped() {
	if c.running || c.finish == nil {
		return
	}
	c.detach()
	finish := c.finish
	c.finish = nil
	finish()
}

// startHandling starts the consumer's goroutine unless it runs already.
func (c *amqpDoubleConsumer) startHandling() {
	if c.running || c.Stopping.Err() != nil {
		return
	}
	_, err := c.client.owner.Go(func(context.Context) { c.handleMessages() })
	c.running = err == nil
}

// handleMessages handles messages until the queue is empty or the consumer ends.
func (c *amqpDoubleConsumer) handleMessages() {
	c.AwaitLive(c.Stopping)
	for {
		c.client.mu.Lock()
		d, channel := c.nextDelivery(), c.channel
		if d == nil {
			c.running = false
			if c.Stopping.Err() != nil {
				c.endStopped()
			}
			c.client.mu.Unlock()
			return
		}
		c.client.mu.Unlock()
		_, _ = c.HandleDelivery(channel, c, d) // the error means that the channel is lost
	}
}

// nextDelivery returns the next message to handle, or nil.
func (c *amqpDoubleConsumer) nextDelivery() *amqp.Delivery {
	if c.attached == nil || c.Stopping.Err() != nil {
		return nil
	}
	if len(c.retaken) > 0 {
		d := c.retaken[0]
		c.retaken = c.retaken[1:]
		return d
	}
	m := c.client.takeMessage(c.attached, c)
	if m == nil {
		return nil
	}
	c.lastTag++
	c.unacked[c.lastTag], m.Tag = m, c.lastTag
	return amqp.NewDelivery(c.attached.Name, m.Delivery)
}

var errChannelLost = errors.New("the channel is closed")

// settle removes a message from the unacknowledged ones and passes it to f.
func (c *amqpDoubleConsumer) settle(d *amqp.Delivery, f func(q *amqpDoubleQueue, m *amqpDoubleMessage)) error {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	m := c.unacked[d.Tag]
	if c.attached == nil || m == nil {
		return errChannelLost
	}
	delete(c.unacked, d.Tag)
	c.attached.unacked--
	f(c.attached, m)
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
	return c.settle(d, func(q *amqpDoubleQueue, m *amqpDoubleMessage) { c.client.deadLetter(q, m, "rejected") })
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
	return c.client.declare(amqp.Declaration{Kind: "queue", Name: name, Durable: true})
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
	_, exists := c.client.exchanges[name]
	if kind == "queue" {
		exists = c.client.queues[name] != nil
	}
	if !exists {
		return false, fmt.Errorf("the dead-letter %s %s does not exist", kind, name)
	}
	return true, nil
}

// Retake implements [amqp.Broker].
func (c *amqpDoubleConsumer) Retake(d *amqp.Delivery) {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	if c.attached != nil {
		c.retaken = append(c.retaken, d)
		c.startHandling()
	}
}

// Freed implements [amqp.Broker].
func (c *amqpDoubleConsumer) Freed(*amqp.Delivery) {}
