package lua

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/lua/vm"
)

// amqpDoublePause is how long a client of a test waits before it tries again.
const amqpDoublePause = time.Second

// An amqpDoubleClient is what connect gives the plugin in a test.
type amqpDoubleClient struct {
	*amqpDouble
	in        *instance
	target    string
	timeout   time.Duration
	wanted    declarations
	consumers []*amqpDoubleConsumer
	closed    bool
}

var amqpDoubleClass = &vm.Class{Name: amqpClass.Name, Doc: amqpClass.Doc}

func amqpDoubles() map[string]func(*vm.Call) error {
	client := func(f func(c *vm.Call, a *amqpDoubleClient) error) func(*vm.Call) error {
		return func(c *vm.Call) error {
			a := c.Self().(*amqpDoubleClient)
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.closed {
				return c.Fail(errors.New(a.target + ": the client is closed"))
			}
			return f(c, a)
		}
	}
	return map[string]func(*vm.Call) error{
		"connect":            amqpDoubleConnect,
		"AmqpClient.publish": amqpDoublePublish,
		"AmqpClient.declare": client(amqpDoubleDeclare),
		"AmqpClient.consume": client(amqpDoubleConsume),
		"AmqpClient.close":   client(amqpDoubleClose),
	}
}

func amqpDoubleConnect(c *vm.Call) error {
	e, timeout, err := amqpEndpoint(c)
	if err != nil {
		return err
	}
	in := self(c)
	d := in.plugin.host.o.trial.amqp
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &amqpDoubleClient{amqpDouble: d, in: in, target: e.target(), timeout: timeout}
	d.clients = append(d.clients, a)
	if d.down != "" {
		a.missing()
	}
	return c.Return(vm.Object{Class: amqpDoubleClass, Value: a})
}

// missing shows that the server is down.
func (a *amqpDoubleClient) missing() { a.in.degrade("amqp "+a.target, a.gone()) }

func (a *amqpDoubleClient) gone() error { return errors.New(a.target + ": " + a.down) }

func amqpDoublePublish(c *vm.Call) error {
	a := c.Self().(*amqpDoubleClient)
	out, err := readPublish(c)
	if err != nil {
		return err
	}
	err = c.Wait(func(ctx context.Context) error {
		err := a.send(out)
		note(ctx, a.target, notOfMessage(err))
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// send publishes a message of the plugin. Its errors are those of the real
// client.
func (a *amqpDoubleClient) send(out outgoing) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errors.New(a.target + ": the client is closed")
	}
	if a.down != "" {
		return unreachable{a.gone()}
	}
	var headers any = vm.Empty{}
	if len(out.message.Headers) > 0 {
		headers = amqpValue(out.message.Headers)
	}
	a.published = append(a.published, map[string]any{
		"exchange": out.exchange, "key": out.key, "body": string(out.message.Body), "headers": headers,
	})
	err := a.publish(out)
	if errors.Is(err, errNoQueue) && !out.mandatory || hasCode(err, amqp.NotFound) && !out.confirm {
		return nil
	}
	return named(a.target, err)
}

// publish routes a message, and makes again what the client has declared if
// that is missing.
func (a *amqpDoubleClient) publish(out outgoing) error {
	err := a.route(out.exchange, out.key, out.message)
	if err != nil && a.wanted.expects(out.exchange, out.key, out.message.Headers, errors.Is(err, errNoQueue)) {
		a.restore(func(declaration) bool { return true })
		err = a.route(out.exchange, out.key, out.message)
	}
	return err
}

func (a *amqpDoubleClient) restore(choose func(declaration) bool) {
	for _, w := range a.wanted.snapshot() {
		if !choose(w) {
			continue
		}
		if err := a.make(w); err != nil {
			a.in.degrade(w.what(a.target), err)
		} else {
			a.in.recovered(w.what(a.target))
		}
	}
}

func amqpDoubleDeclare(c *vm.Call, a *amqpDoubleClient) error {
	w, err := readDeclare(c)
	if err != nil {
		return err
	}
	if a.down == "" {
		if err := a.make(w); err != nil {
			return c.Fail(err)
		}
	}
	if err := a.wanted.add(w); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

func amqpDoubleConsume(c *vm.Call, a *amqpDoubleClient) error {
	shape, err := readConsume(c)
	if err != nil {
		return err
	}
	shape.timeout = a.timeout
	_, declared := a.wanted.find("queue", shape.queue)
	if a.down == "" && a.queues[shape.queue] == nil && !declared {
		return c.Fail(notFound("queue", shape.queue))
	}
	k := newAMQPDoubleConsumer(a, shape)
	a.consumers = append(a.consumers, k)
	k.attach()
	return following(c, a.in, func() { k.stop() })
}

func amqpDoubleClose(_ *vm.Call, a *amqpDoubleClient) error {
	a.closed = true
	for _, k := range a.consumers {
		k.halt()
	}
	return nil
}

// setDown takes the server away from its clients, or gives it back.
func (d *amqpDouble) setDown(why string) {
	d.down = why
	for _, a := range d.clients {
		if a.closed || a.in.state.Context().Err() != nil {
			continue
		}
		if why == "" {
			a.in.recovered("amqp " + a.target)
			a.restore(func(declaration) bool { return true })
			for _, k := range a.consumers {
				k.attach()
			}
			continue
		}
		a.missing()
		for _, k := range a.consumers {
			k.lose(a.gone())
		}
	}
}

// deleted tells clients that something is gone, as the real ones notice it.
func (d *amqpDouble) deleted() {
	for _, a := range d.clients {
		d.after(amqpLook, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.down == "" && !a.closed && a.in.state.Context().Err() == nil {
				a.restore(declaration.stays)
			}
		})
	}
}
