package lua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"nearside/lua/vm"
)

// An amqpDouble is the RabbitMQ of one test.
type amqpDouble struct {
	mu        sync.Mutex
	exchanges map[string]*amqpDoubleExchange
	queues    map[string]*amqpDoubleQueue
	published []any
	down      string
}

type amqpDoubleExchange struct {
	kind     string
	bindings []amqpDoubleBinding
}

type amqpDoubleBinding struct{ queue, key string }

type amqpDoubleQueue struct {
	ready          []map[string]any // without a consumer yet
	consumer       *amqpDoubleConsumer
	acked, dropped int
}

type amqpDoubleConsumer struct {
	in    *instance
	fn    *vm.Func
	inbox inbox
}

type amqpDoubleClient struct {
	*amqpDouble
	in *instance
}

func newAMQPDouble() *amqpDouble {
	return &amqpDouble{exchanges: map[string]*amqpDoubleExchange{}, queues: map[string]*amqpDoubleQueue{}}
}

var amqpDoubleClass = &vm.Class{Name: amqpClass.Name, Doc: amqpClass.Doc}

func amqpDoubles() map[string]func(*vm.Call) error {
	client := func(f func(c *vm.Call, a *amqpDoubleClient) error) func(*vm.Call) error {
		return func(c *vm.Call) error {
			a := c.Self().(*amqpDoubleClient)
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.down != "" {
				return c.Fail(errors.New(a.down))
			}
			return f(c, a)
		}
	}
	return map[string]func(*vm.Call) error{
		"connect":            amqpDoubleConnect,
		"AmqpClient.publish": client(amqpDoublePublish),
		"AmqpClient.declare": client(amqpDoubleDeclare),
		"AmqpClient.consume": client(amqpDoubleConsume),
		"AmqpClient.close":   func(*vm.Call) error { return nil },
	}
}

func amqpDoubleConnect(c *vm.Call) error {
	in := self(c)
	e, err := parseEndpoint(c.Text(1), amqpPorts)
	if err != nil {
		return err
	}
	if err := in.permit("amqp", e.target()); err != nil {
		return err
	}
	d := in.plugin.host.o.trial.amqp
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down != "" {
		return c.Fail(errors.New(d.down))
	}
	return c.Return(vm.Object{Class: amqpDoubleClass, Value: &amqpDoubleClient{d, in}})
}

func amqpDoublePublish(c *vm.Call, a *amqpDoubleClient) error {
	o := &reader{m: c.Map(4), at: "options."}
	o.known("headers", "confirm")
	headers := o.table("headers")
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	a.published = append(a.published, map[string]any{"exchange": c.Text(1), "key": c.Text(2), "body": c.Text(3), "headers": headers})
	if err := a.route(c.Text(1), c.Text(2), c.Text(3), headers); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// route puts a message into the queues that it is for.
func (d *amqpDouble) route(exchange, key, body string, headers map[string]any) error {
	message := map[string]any{"exchange": exchange, "key": key, "body": body, "headers": headers, "redelivered": false}
	if exchange == "" {
		if q := d.queues[key]; q != nil {
			q.put(message)
		}
		return nil
	}
	e := d.exchanges[exchange]
	if e == nil {
		return fmt.Errorf("NOT_FOUND - no exchange '%s'", exchange)
	}
	for _, b := range e.bindings {
		if e.kind == "fanout" || e.kind == "direct" && b.key == key || e.kind == "topic" && topicMatches(strings.Split(b.key, "."), strings.Split(key, ".")) {
			d.queues[b.queue].put(maps.Clone(message))
		}
	}
	return nil
}

// topicMatches: * is one word, # any number of them.
func topicMatches(pattern, words []string) bool {
	switch {
	case len(pattern) == 0:
		return len(words) == 0
	case pattern[0] == "#":
		return topicMatches(pattern[1:], words) || len(words) > 0 && topicMatches(pattern, words[1:])
	case len(words) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == words[0]) && topicMatches(pattern[1:], words[1:])
}

// put hands a message to the consumer, or keeps it for one.
func (q *amqpDoubleQueue) put(message map[string]any) {
	k := q.consumer
	if k == nil || k.inbox.isEnded() {
		q.ready = append(q.ready, message)
		return
	}
	k.inbox.put(k.in, message, func(ctx context.Context, item any) { q.handle(ctx, k, item.(map[string]any)) })
}

// handle calls the consumer: acknowledged when it returns true, else put back
// once.
func (q *amqpDoubleQueue) handle(ctx context.Context, k *amqpDoubleConsumer, message map[string]any) {
	results, err := k.in.call(ctx, vm.Limits{}, k.fn, message)
	k.in.report("consumer", err)
	d := k.in.plugin.host.o.trial.amqp
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil && len(results) > 0 && results[0] == true:
		q.acked++
	case message["redelivered"] == true:
		q.dropped++
	default:
		again := maps.Clone(message)
		again["redelivered"] = true
		q.put(again)
	}
}

func amqpDoubleDeclare(c *vm.Call, a *amqpDoubleClient) error {
	kind, name := c.Text(1), c.Text(2)
	o := &reader{m: c.Map(3), at: "options."}
	switch kind {
	case "exchange":
		o.known("type", "durable", "auto_delete", "arguments")
		if a.exchanges[name] == nil {
			a.exchanges[name] = &amqpDoubleExchange{kind: o.text("type", "direct")}
		}
	case "queue":
		o.known("durable", "auto_delete", "exclusive", "arguments", "bind")
		if a.queues[name] == nil {
			a.queues[name] = &amqpDoubleQueue{}
		}
		for _, b := range bindings(o) {
			e := a.exchanges[b.exchange]
			if e == nil {
				return c.Fail(fmt.Errorf("NOT_FOUND - no exchange '%s'", b.exchange))
			}
			if binding := (amqpDoubleBinding{name, b.key}); !slices.Contains(e.bindings, binding) {
				e.bindings = append(e.bindings, binding)
			}
		}
	default:
		return fmt.Errorf("kind %q is not one of queue, exchange", kind)
	}
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	return c.Return(true)
}

func amqpDoubleConsume(c *vm.Call, a *amqpDoubleClient) error {
	q := a.queues[c.Text(1)]
	if q == nil {
		return c.Fail(fmt.Errorf("NOT_FOUND - no queue '%s'", c.Text(1)))
	}
	q.consumer = &amqpDoubleConsumer{in: a.in, fn: c.Func(2)}
	ready := q.ready
	q.ready = nil
	for _, message := range ready {
		q.put(message)
	}
	return following(c, a.in, q.consumer.inbox.end)
}
