package lua

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/lua/vm"
)

// Bounds of a RabbitMQ client.
const (
	maxAMQPCalls    = 256      // operations in progress; more wait for their turn
	maxAMQPPrefetch = 1000     // messages of a consumer that the server sends ahead
	maxAMQPMessage  = 16 << 20 // bytes of a body
	maxAMQPHeaders  = 128
	maxDeclarations = 256 // that a client makes again when it connects again
	maxBindings     = 64  // of one queue
)

var amqpPorts = map[string]string{"amqp": "5672", "amqps": "5671"}

var exchangeTypes = []string{"direct", "fanout", "headers", "topic"}

// amqpModule talks AMQP 0-9-1, to RabbitMQ.
func amqpModule() vm.Module {
	return vm.Module{
		Name: "amqp", Doc: "RabbitMQ (AMQP 0-9-1).", Classes: []*vm.Class{amqpClass},
		Functions: []vm.Function{{
			Name: "connect", Params: []string{"url: string", "options?: {timeout_ms: number?}"}, Returns: []string{"AmqpClient?", "string? err"},
			Doc: "Connects to amqp://[user:password@]host[:port][/vhost], or amqps:// for TLS. The client then connects again by itself.", Waits: true, Run: amqpConnect,
		}},
	}
}

var amqpClass = &vm.Class{
	Name: "AmqpClient", Doc: "A RabbitMQ client: one connection, and a channel for each consumer.",
	Methods: []vm.Function{
		{
			Name: "publish", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Params: []string{"exchange: string", "key: string", "body: string", "options?: {headers: table<string, string|number|boolean>?, confirm: boolean?}"},
			Doc:    "Sends a persistent message, and waits until the server has confirmed it unless confirm is false. It may have been sent also when there is an error.",
			Run:    amqpPublish,
		},
		{
			Name: "consume", Returns: []string{"Task?", "string? err"}, Waits: true,
			Params: []string{
				"queue: string",
				"fn: fun(message: {body: string, headers: table<string, any>, exchange: string, key: string, redelivered: boolean}): boolean?",
				"options?: {prefetch: integer?}",
			},
			Doc: "Calls fn for each message of a queue, one after the other, and acknowledges it when fn returns true. Else it is put back once, if it was not redelivered already, then dropped (to the dead letters, if the queue has them).",
			Run: amqpConsume,
		},
		{
			Name: "declare", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Params: []string{
				"kind: \"queue\"|\"exchange\"", "name: string",
				"options?: {type: string?, durable: boolean?, auto_delete: boolean?, exclusive: boolean?, arguments: table<string, any>?, bind: {exchange: string, key: string?}[]?}",
			},
			Doc: "Makes an exchange (type: direct, fanout, headers, topic) or a queue with bindings, durable unless that is false; again whenever the client connects again.",
			Run: amqpDeclare,
		},
		{
			Name: "close", Waits: true, Doc: "Ends the client and its consumers.",
			Run: func(c *vm.Call) error { return c.Wait(c.Self().(*amqpClient).close) },
		},
	},
}

func amqpConnect(c *vm.Call) error {
	in := self(c)
	e, err := parseEndpoint(c.Text(1), amqpPorts)
	if err != nil {
		return err
	}
	o := &reader{m: c.Map(2), at: "options."}
	o.known("timeout_ms")
	timeout := o.timeout()
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	if err := in.permit("amqp", e.target()); err != nil {
		return err
	}
	a := &amqpClient{
		client: client{in: in, target: e.target(), timeout: timeout},
		// Without user and password, which no error can then show.
		url:   (&url.URL{Scheme: e.scheme, Host: e.target()}).String(),
		auth:  &amqp.PlainAuth{Username: orDefault(e.user, "guest"), Password: orDefault(e.password, "guest")},
		vhost: orDefault(e.path, "/"),
		slots: make(chan struct{}, maxAMQPCalls),
		turn:  make(chan struct{}, 1),
	}
	if err := a.open(a.end); err != nil {
		return c.Fail(err)
	}
	err = c.Wait(func(ctx context.Context) error {
		return a.within(ctx, func(ctx context.Context) error {
			_, err := a.connection(ctx)
			return err
		})
	})
	if err != nil {
		a.task.Cancel()
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: amqpClass, Value: a})
}

func amqpPublish(c *vm.Call) error {
	a := c.Self().(*amqpClient)
	exchange, key := c.Text(1), c.Text(2)
	message := amqp.Publishing{Body: []byte(c.Text(3)), DeliveryMode: amqp.Persistent}
	o := &reader{m: c.Map(4), at: "options."}
	o.known("headers", "confirm")
	message.Headers = amqpTable(o, "headers")
	confirm := o.flag("confirm", true)
	if len(message.Body) > maxAMQPMessage {
		return fmt.Errorf("the body is larger than %d bytes", maxAMQPMessage)
	}
	if err := errors.Join(append(o.faults, shortText("exchange", exchange), shortText("key", key))...); err != nil {
		return err
	}
	err := c.Wait(func(ctx context.Context) error {
		return a.operate(ctx, func(ctx context.Context) error { return a.publish(ctx, exchange, key, message, confirm) })
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

func amqpConsume(c *vm.Call) error {
	a := c.Self().(*amqpClient)
	queue, fn := c.Text(1), c.Func(2)
	o := &reader{m: c.Map(3), at: "options."}
	o.known("prefetch")
	prefetch := int(o.number("prefetch", 16, 1, maxAMQPPrefetch))
	if err := errors.Join(append(o.faults, shortText("queue", queue))...); err != nil {
		return err
	}
	if queue == "" {
		return errors.New("the queue has no name")
	}
	return a.follow(c, "consumer", "amqp "+a.target+" queue "+queue, func(ctx context.Context, k *consumer) error {
		return a.consume(ctx, k, queue, prefetch, fn)
	})
}

func amqpDeclare(c *vm.Call) error {
	a := c.Self().(*amqpClient)
	d := declaration{kind: c.Text(1), name: c.Text(2)}
	o := &reader{m: c.Map(3), at: "options."}
	d.durable, d.autoDelete = o.flag("durable", true), o.flag("auto_delete", false)
	d.arguments = amqpTable(o, "arguments")
	switch d.kind {
	case "exchange":
		o.known("type", "durable", "auto_delete", "arguments")
		d.exchangeType = o.text("type", "direct")
		if !slices.Contains(exchangeTypes, d.exchangeType) {
			o.fault("type", "%q is not one of %q", d.exchangeType, exchangeTypes)
		}
	case "queue":
		o.known("durable", "auto_delete", "exclusive", "arguments", "bind")
		d.exclusive = o.flag("exclusive", false)
		d.bindings = bindings(o)
	default:
		return fmt.Errorf("kind %q is not one of queue, exchange", d.kind)
	}
	if d.name == "" {
		return errors.New("the name is empty; for a name of its own use ns.uuid()")
	}
	if err := errors.Join(append(o.faults, shortText("name", d.name))...); err != nil {
		return err
	}
	err := c.Wait(func(ctx context.Context) error {
		return a.operate(ctx, func(ctx context.Context) error { return a.declare(ctx, d) })
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

func bindings(o *reader) []binding {
	list := o.list("bind")
	if len(list) > maxBindings {
		o.fault("bind", "there are more than %d", maxBindings)
		return nil
	}
	var all []binding
	for i, item := range list {
		m, _ := item.(map[string]any)
		b := &reader{m: m, at: fmt.Sprintf("options.bind[%d].", i+1)}
		b.known("exchange", "key")
		one := binding{b.text("exchange", ""), b.text("key", "")}
		if one.exchange == "" {
			b.fault("exchange", "is missing")
		}
		all = append(all, one)
		o.faults = append(o.faults, append(b.faults, shortText("exchange", one.exchange), shortText("key", one.key))...)
	}
	return all
}

// shortText checks a name: the protocol's have at most 255 bytes.
func shortText(what, text string) error {
	if len(text) > 255 {
		return fmt.Errorf("%s: is longer than 255 bytes", what)
	}
	return nil
}

// flag is an option that is true or false.
func (r *reader) flag(field string, other bool) bool {
	switch v := r.m[field].(type) {
	case nil:
		return other
	case bool:
		return v
	default:
		r.fault(field, "%v is not true or false", v)
		return other
	}
}

// amqpTable is an option that is a table of texts, numbers and booleans.
func amqpTable(o *reader, field string) amqp.Table {
	in := o.table(field)
	if len(in) == 0 {
		return nil
	}
	if len(in) > maxAMQPHeaders {
		o.fault(field, "there are more than %d", maxAMQPHeaders)
	}
	out := make(amqp.Table, len(in))
	for name, v := range in {
		if err := shortText(name, name); err != nil {
			o.faults = append(o.faults, err)
		}
		switch v := v.(type) {
		case string, bool:
			out[name] = v
		case float64:
			out[name] = v
			if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
				out[name] = int64(v)
			}
		case vm.Integer:
			n, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil {
				o.fault(field+"."+name, "%v does not fit into 64 bits", v)
			}
			out[name] = n
		default:
			o.fault(field+"."+name, "is no string, number or boolean")
		}
	}
	return out
}
