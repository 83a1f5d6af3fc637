package ns

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nearside/lua/goval"
	"nearside/lua/ns/amqp"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// Limits of the options of a RabbitMQ client.
const (
	maxAMQPHeaders = 128
	maxBindings    = 64 // of one queue
)

// An AMQPClient is the part of a client that ns.amqp uses. It is a real client, or a
// double in plugin tests. Methods may be called by any goroutine.
type AMQPClient interface {
	Publish(ctx context.Context, o amqp.Outgoing) error
	Declare(ctx context.Context, d amqp.Declaration) error
	// Consume starts a consumer, which runs until the task is cancelled.
	Consume(ctx context.Context, o amqp.ConsumerOptions) (peer.Task, error)
	// Close ends the client and its consumers.
	Close(ctx context.Context) error
}

var amqpPorts = map[string]string{"amqp": "5672", "amqps": "5671"}

var exchangeTypes = []string{"direct", "fanout", "headers", "topic"}

// amqpModule is ns.amqp: RabbitMQ through AMQP 0-9-1.
func amqpModule() vm.Module {
	return vm.Module{
		Name: "amqp", Doc: "RabbitMQ (AMQP 0-9-1).", Classes: []*vm.Class{amqpClass},
		Functions: []vm.Function{{
			Name: "connect", Params: []string{"url: string", "options?: {timeout_ms: number?}"}, Returns: []string{"AmqpClient?", "string? err"},
			Doc: "Makes a client of amqp://[user:password@]host[:port][/vhost], or amqps:// for TLS. The client connects by itself, also when the server is down now, and connects again when the connection is lost.",
			Run: amqpConnect,
		}},
	}
}

const amqpProperties = "content_type: string?, content_encoding: string?, message_id: string?, correlation_id: string?, reply_to: string?, timestamp: number?, priority: integer?, type: string?, app_id: string?"

var amqpClass = &vm.Class{
	Name: "AmqpClient", Doc: "A RabbitMQ client.",
	Methods: []vm.Function{
		{
			Name: "publish", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Params: []string{
				"exchange: string", "key: string", "body: string",
				"options?: {confirm: boolean?, mandatory: boolean?, headers: table<string, string|number|boolean>?, persistent: boolean?, expiration: (integer|string)?, " + amqpProperties + "}",
			},
			Doc: "Sends a persistent message, and waits until the server has confirmed it unless confirm is false. With mandatory it fails when no queue took the message; confirm = true sets mandatory unless mandatory is false. expiration is in milliseconds, timestamp in Unix seconds. The message may have been sent also when there is an error.",
			Run: amqpPublish,
		},
		{
			Name: "consume", Returns: []string{"Task?", "string? err"}, Waits: true,
			Params: []string{
				"queue: string",
				"fn: fun(message: {body: string, headers: table<string, any>, exchange: string, key: string, redelivered: boolean, attempt: integer, persistent: boolean, expiration: string?, " + amqpProperties + "}): (\"ack\"|\"retry\"|\"dead\"|boolean|{retry: number})?, string?",
				"options?: {prefetch: integer?, attempts: integer?, dead: (string|boolean|{exchange: string, key: string?})?}",
			},
			Doc: "Calls fn for each message of a queue, one after the other. \"ack\" or true acknowledges it. After \"retry\", false, nil or an error it comes again, after 1 to 60 seconds or {retry = seconds}, up to attempts (10) times; then, or after \"dead\", it goes to dead: a queue, or an exchange and key, or true for the x-dead-letter-exchange of a queue that this client has not declared. Without one it stays in the queue. While the store is full or not available (12052, 12050) the consumer pauses, and no attempt is used. A second result is the reason.",
			Run: amqpConsume,
		},
		{
			Name: "declare", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Params: []string{
				"kind: \"queue\"|\"exchange\"", "name: string",
				"options?: {type: string?, durable: boolean?, auto_delete: boolean?, exclusive: boolean?, arguments: table<string, any>?, bind: {exchange: string, key: string?, arguments: table<string, any>?}[]?}",
			},
			Doc: "Makes an exchange (type: direct, fanout, headers, topic) or a queue with bindings, durable unless that is false. The client makes it again when it connects again and when it disappears. While the server cannot be reached it returns true, and makes it later.",
			Run: amqpDeclare,
		},
		{
			Name: "close", Waits: true, Doc: "Ends the client and its consumers.",
			Run: func(c *vm.Call) error { return c.Wait(c.Self().(AMQPClient).Close) },
		},
	},
}

func amqpConnect(c *vm.Call) error {
	e, err := peer.ParseEndpoint(c.Text(1), amqpPorts)
	if err != nil {
		return err
	}
	k, err := newClient(c, "amqp", e.Target(), e.Target())
	if err != nil {
		return err
	}
	a, err := self(c).Plugin.Host.Doubles.amqp(k, e)
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: amqpClass, Value: amqpHandle{a, k.Target}})
}

// An amqpHandle is the Go value of a script's AmqpClient.
type amqpHandle struct {
	AMQPClient
	target string // host:port
}

func amqpPublish(c *vm.Call) error {
	a := c.Self().(amqpHandle)
	out, err := readPublish(c)
	if err != nil {
		return err
	}
	err = c.Wait(func(ctx context.Context) error {
		err := a.Publish(ctx, out)
		peer.Note(ctx, a.target, notOfMessage(err))
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// notOfMessage returns err, or nil if the server has refused the message. In that
// case the handler that published it, or its message, caused the failure, not the
// connection.
func notOfMessage(err error) error {
	if amqp.IsRefused(err) || errors.Is(err, amqp.ErrNoQueue) {
		return nil
	}
	return err
}

func amqpConsume(c *vm.Call) error {
	in := self(c)
	o, err := readConsume(c)
	if err != nil {
		return err
	}
	fn := c.Func(2)
	o.Handle = func(d *amqp.Delivery) peer.Verdict { return in.Judge(fn, AMQPMessage(d)) }
	o.Release = in.State.Keep(fn)
	var task peer.Task
	err = c.Wait(func(ctx context.Context) (err error) {
		task, err = c.Self().(AMQPClient).Consume(ctx, o)
		return err
	})
	return returnTask(c, task, err)
}

// readConsume reads the arguments of consume.
func readConsume(c *vm.Call) (amqp.ConsumerOptions, error) {
	k := amqp.ConsumerOptions{Queue: c.Text(1)}
	c.Func(2) // raises an error if it is not a function
	o := &goval.Reader{Map: c.Map(3), Path: "options."}
	o.Known("prefetch", "attempts", "dead")
	k.Prefetch = o.Whole("prefetch", 16, 1, amqp.MaxPrefetch)
	k.Attempts = o.Whole("attempts", peer.DefaultAttempts, 1, peer.MaxAttempts)
	k.Dead = readDead(o)
	if k.Queue == "" {
		o.Faults = append(o.Faults, errors.New("the queue has no name"))
	}
	if k.Dead.Queue == k.Queue && k.Queue != "" {
		o.Fault("dead", "%q is the queue itself", k.Queue)
	}
	return k, errors.Join(append(o.Faults, shortText("queue", k.Queue))...)
}

// readDead reads the option dead of consume.
func readDead(o *goval.Reader) amqp.DeadTarget {
	switch v := o.Map["dead"].(type) {
	case nil:
	case string:
		if v == "" || len(v) > 255 {
			o.Fault("dead", "is not the name of a queue, of 1 to 255 bytes")
		}
		return amqp.DeadTarget{Queue: v}
	case bool:
		return amqp.DeadTarget{Own: v}
	case map[string]any:
		d := &goval.Reader{Map: v, Path: o.Path + "dead."}
		d.Known("exchange", "key")
		t := amqp.DeadTarget{Exchange: d.Text("exchange", ""), Key: d.Text("key", "")}
		if t.Exchange == "" {
			d.Fault("exchange", "is missing; for a queue write dead = \"name\"")
		}
		o.Faults = append(o.Faults, append(d.Faults, shortText("dead.exchange", t.Exchange), shortText("dead.key", t.Key))...)
		return t
	default:
		o.Fault("dead", "%v is not the name of a queue, {exchange = name, key = key} or true", v)
	}
	return amqp.DeadTarget{}
}

func amqpDeclare(c *vm.Call) error {
	a := c.Self().(AMQPClient)
	d, err := readDeclare(c)
	if err != nil {
		return err
	}
	if err := c.Wait(func(ctx context.Context) error { return a.Declare(ctx, d) }); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// readDeclare reads the arguments of declare.
func readDeclare(c *vm.Call) (amqp.Declaration, error) {
	d := amqp.Declaration{Kind: c.Text(1), Name: c.Text(2)}
	o := &goval.Reader{Map: c.Map(3), Path: "options."}
	d.Durable, d.AutoDelete = o.Boolean("durable", true), o.Boolean("auto_delete", false)
	d.Arguments = amqpTable(o, "arguments")
	switch d.Kind {
	case "exchange":
		o.Known("type", "durable", "auto_delete", "arguments")
		d.ExchangeType = o.Text("type", "direct")
		if !slices.Contains(exchangeTypes, d.ExchangeType) {
			o.Fault("type", "%q is not one of %q", d.ExchangeType, exchangeTypes)
		}
	case "queue":
		o.Known("durable", "auto_delete", "exclusive", "arguments", "bind")
		d.Exclusive = o.Boolean("exclusive", false)
		d.Bindings = bindings(o)
	default:
		return d, fmt.Errorf("kind %q is not one of queue, exchange", d.Kind)
	}
	if d.Name == "" {
		return d, errors.New("the name is empty; for a name of its own use ns.uuid()")
	}
	return d, errors.Join(append(o.Faults, shortText("name", d.Name))...)
}

func bindings(o *goval.Reader) []amqp.Binding {
	list := o.List("bind")
	if len(list) > maxBindings {
		o.Fault("bind", "there are more than %d", maxBindings)
		return nil
	}
	var all []amqp.Binding
	for i, item := range list {
		m, _ := item.(map[string]any)
		b := &goval.Reader{Map: m, Path: fmt.Sprintf("options.bind[%d].", i+1)}
		b.Known("exchange", "key", "arguments")
		one := amqp.Binding{Exchange: b.Text("exchange", ""), Key: b.Text("key", ""), Arguments: amqpTable(b, "arguments")}
		if one.Exchange == "" {
			b.Fault("exchange", "is missing")
		}
		all = append(all, one)
		o.Faults = append(o.Faults, append(b.Faults, shortText("exchange", one.Exchange), shortText("key", one.Key))...)
	}
	return all
}

// shortText checks the length of a name: the protocol allows at most 255 bytes.
func shortText(what, text string) error {
	if len(text) > 255 {
		return fmt.Errorf("%s: is longer than 255 bytes", what)
	}
	return nil
}
