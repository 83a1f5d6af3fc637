package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nearside/lua/ns"
	"nearside/lua/ns/amqp"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// amqpDoublePause is the pause before a consumer of the double attaches again.
const amqpDoublePause = time.Second

// An amqpDoubleClient is the RabbitMQ client of a plugin in a test. It implements
// [ns.AMQPClient].
type amqpDoubleClient struct {
	*amqpDouble
	owner     peer.Owner
	target    string
	timeout   time.Duration
	wanted    amqp.Declarations
	consumers []*amqpDoubleConsumer
	closed    bool
}

// connect is the value of [ns.Doubles].AMQP.
func (d *amqpDouble) connect(c peer.Client, _ peer.Endpoint) (ns.AMQPClient, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &amqpDoubleClient{amqpDouble: d, owner: c.Owner, target: c.Target, timeout: c.Timeout}
	d.clients = append(d.clients, a)
	if d.down != "" {
		a.degrade()
	}
	return a, nil
}

// degrade makes the plugin degraded because the server is down.
func (a *amqpDoubleClient) degrade() { a.owner.Degrade("amqp "+a.target, a.errDown()) }

func (a *amqpDoubleClient) errDown() error { return errors.New(a.target + ": " + a.down) }

func (a *amqpDoubleClient) errClosed() error { return errors.New(a.target + ": the client is closed") }

// Publish implements [ns.AMQPClient]. It returns the same errors as the real client.
func (a *amqpDoubleClient) Publish(_ context.Context, out amqp.Outgoing) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return a.errClosed()
	}
	if a.down != "" {
		return amqp.UnreachableError{Reason: a.errDown()}
	}
	var headers any = vm.Empty{}
	if len(out.Message.Headers) > 0 {
		headers = ns.AMQPValue(out.Message.Headers)
	}
	a.published = append(a.published, map[string]any{
		"exchange": out.Exchange, "key": out.Key, "body": string(out.Message.Body), "headers": headers,
	})
	err := a.publish(out)
	if errors.Is(err, amqp.ErrNoQueue) && !out.Mandatory || amqp.IsNotFound(err) && !out.Confirm {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.target, err)
	}
	return nil
}

// publish routes a message. If a declared queue, exchange or binding is missing, it
// declares everything again and retries.
func (a *amqpDoubleClient) publish(out amqp.Outgoing) error {
	err := a.route(out.Exchange, out.Key, out.Message)
	if err != nil && a.wanted.ShouldRoute(out.Exchange, out.Key, out.Message.Headers, errors.Is(err, amqp.ErrNoQueue)) {
		a.declareAgain(func(amqp.Declaration) bool { return true })
		err = a.route(out.Exchange, out.Key, out.Message)
	}
	return err
}

// declareAgain declares the chosen declarations of the plugin again.
func (a *amqpDoubleClient) declareAgain(choose func(amqp.Declaration) bool) {
	for _, w := range a.wanted.Snapshot() {
		if !choose(w) {
			continue
		}
		if err := a.declare(w); err != nil {
			a.owner.Degrade(w.StatusName(a.target), err)
		} else {
			a.owner.Recovered(w.StatusName(a.target))
		}
	}
}

// Declare implements [ns.AMQPClient].
func (a *amqpDoubleClient) Declare(_ context.Context, w amqp.Declaration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return a.errClosed()
	}
	if a.down == "" {
		if err := a.declare(w); err != nil {
			return err
		}
	}
	return a.wanted.Add(w)
}

// Consume implements [ns.AMQPClient].
func (a *amqpDoubleClient) Consume(_ context.Context, o amqp.ConsumerOptions) (peer.Task, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o.Timeout = a.timeout
	_, declared := a.wanted.Find("queue", o.Queue)
	var err error
	if a.closed {
		err = a.errClosed()
	} else if a.down == "" && a.queues[o.Queue] == nil && !declared {
		err = amqp.NotFound("queue", o.Queue)
	}
	if err != nil {
		o.Release()
		return nil, err
	}
	k := newAMQPDoubleConsumer(a, o)
	a.consumers = append(a.consumers, k)
	k.attach()
	return a.owner.GoIdle(func(ctx context.Context) {
		<-ctx.Done()
		k.Stop()
	})
}

// Close implements [ns.AMQPClient].
func (a *amqpDoubleClient) Close(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, k := range a.consumers {
		k.halt()
	}
	return nil
}

// setDown disconnects all clients. reason is the error that they report. If reason is
// empty, the clients connect again.
func (d *amqpDouble) setDown(reason string) {
	d.down = reason
	for _, a := range d.clients {
		if a.closed || a.owner.Context().Err() != nil {
			continue
		}
		if reason == "" {
			a.owner.Recovered("amqp " + a.target)
			a.declareAgain(func(amqp.Declaration) bool { return true })
			for _, k := range a.consumers {
				k.attach()
			}
			continue
		}
		a.degrade()
		for _, k := range a.consumers {
			k.loseChannel(a.errDown())
		}
	}
}

// noticeDeletion makes clients notice a deletion after amqp.CheckInterval, as real clients do.
func (d *amqpDouble) noticeDeletion() {
	for _, a := range d.clients {
		d.callAfter(amqp.CheckInterval, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.down == "" && !a.closed && a.owner.Context().Err() == nil {
				a.declareAgain(amqp.Declaration.IsPermanent)
			}
		})
	}
}
