package trial

import (
	"context"
	"errors"
	"maps"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/ns/amqp"
	"nearside/lua/vm"
)

func trialAMQPModule() vm.Module {
	return vm.Module{Name: "amqp", Doc: "The RabbitMQ of the test. It has no queues at first.", Functions: []vm.Function{
		{
			Name: "publish", Params: []string{"exchange: string", "key: string", "body: string", "headers?: table", "options?: table"}, Returns: []string{"boolean"}, Waits: true,
			Doc: "Sends a message as another client. Returns when the plugin is idle: true if a queue took the message. options sets message properties, with the names of the options of publish. With the default exchange (\"\"), a queue that does not exist is created.",
			Run: trialAMQPPublish,
		},
		{
			Name: "published", Returns: []string{"{exchange: string, key: string, body: string, headers: table}[]"}, Doc: "The messages that the plugin has published.",
			Run: onAMQP(func(c *vm.Call, d *amqpDouble) error { return c.Return(append([]any{}, d.published...)) }),
		},
		{
			Name: "queue", Params: []string{"name: string"}, Returns: []string{"{ready: integer, acked: integer, dropped: integer}?"},
			Doc: "The numbers of messages of a queue: ready wait in the queue, acked were acknowledged by handlers, dropped were rejected or have expired and were not dead-lettered. nil if the queue does not exist.",
			Run: onAMQP(func(c *vm.Call, d *amqpDouble) error {
				q := d.queues[c.Text(1)]
				if q == nil {
					return c.Return(nil)
				}
				d.expire(q)
				return c.Return(map[string]any{"ready": len(q.ready), "acked": q.acked, "dropped": q.dropped})
			}),
		},
		{
			Name: "unacked", Params: []string{"name: string"}, Returns: []string{"integer"},
			Doc: "The number of messages of a queue that consumers have received and not acknowledged. Such a message is being handled, waits for its next attempt, or is stuck.",
			Run: onAMQP(func(c *vm.Call, d *amqpDouble) error {
				if q := d.queues[c.Text(1)]; q != nil {
					return c.Return(q.unacked)
				}
				return c.Return(0)
			}),
		},
		{
			Name: "messages", Params: []string{"name: string"}, Returns: []string{"table[]"}, Doc: "The messages that wait in a queue, in the form that a consumer receives.",
			Run: onAMQP(func(c *vm.Call, d *amqpDouble) error {
				all := []any{}
				if q := d.queues[c.Text(1)]; q != nil {
					for _, m := range q.ready {
						all = append(all, ns.AMQPMessage(amqp.NewDelivery(q.Name, m.Delivery)))
					}
				}
				return c.Return(all)
			}),
		},
		{
			Name: "delete", Params: []string{"kind: \"queue\"|\"exchange\"", "name: string"}, Waits: true,
			Doc: "Deletes a queue with its messages, or an exchange with its bindings, as another client. Returns when the plugin is idle.",
			Run: func(c *vm.Call) error {
				kind, name := c.Text(1), c.Text(2)
				return trialAMQPChange(c, func(d *amqpDouble) error {
					defer d.noticeDeletion()
					return d.deleteDeclared(kind, name)
				})
			},
		},
		{
			Name: "down", Params: []string{"reason?: string"}, Waits: true,
			Doc: "Stops the server: all connections are lost, and calls of the plugin fail with reason. A call without reason starts the server again.",
			Run: func(c *vm.Call) error {
				reason := c.TextOr(1, "")
				return trialAMQPChange(c, func(d *amqpDouble) error { d.setDown(reason); return nil })
			},
		},
	}}
}

// onAMQP returns a function that runs f under the double's lock. It also releases the
// lock if an argument of the wrong type raises an error.
func onAMQP(f func(c *vm.Call, d *amqpDouble) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		t, err := trialOf(c)
		if err != nil {
			return err
		}
		t.amqp.mu.Lock()
		defer t.amqp.mu.Unlock()
		return f(c, t.amqp)
	}
}

// trialAMQPChange runs f under the double's lock and then waits until the plugin is
// idle.
func trialAMQPChange(c *vm.Call, f func(d *amqpDouble) error) error {
	t, err := trialOf(c)
	if err != nil {
		return err
	}
	t.amqp.mu.Lock()
	err = f(t.amqp)
	t.amqp.mu.Unlock()
	if err != nil {
		return err
	}
	return c.Wait(func(ctx context.Context) error { return t.clock.advance(ctx, 0) })
}

func trialAMQPPublish(c *vm.Call) error {
	exchange, key, body := c.Text(1), c.Text(2), c.Text(3)
	o := &goval.Reader{Map: map[string]any{}, Path: "options."}
	maps.Copy(o.Map, c.Map(5))
	if headers := c.Map(4); headers != nil {
		o.Map["headers"] = headers
	}
	o.RefuseUnknown(ns.PublishOptions...)
	message := ns.ReadMessage(o, body)
	if err := errors.Join(o.Faults...); err != nil {
		return err
	}
	routed := true
	err := trialAMQPChange(c, func(d *amqpDouble) error {
		if exchange == "" && d.queues[key] == nil {
			if err := d.declare(amqp.Declaration{Kind: "queue", Name: key, Durable: true}); err != nil {
				return err
			}
		}
		err := d.route(exchange, key, message)
		if errors.Is(err, amqp.ErrNoQueue) {
			routed, err = false, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.Return(routed)
}
