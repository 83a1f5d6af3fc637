package lua

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

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
			Run: func(c *vm.Call) error { return c.Wait(c.Self().(*amqpClient).close) },
		},
	},
}

func amqpConnect(c *vm.Call) error {
	in := self(c)
	e, timeout, err := amqpEndpoint(c)
	if err != nil {
		return err
	}
	a := &amqpClient{
		client: client{in: in, target: e.target(), timeout: timeout},
		// Without user and password, which no error can then show.
		url:   (&url.URL{Scheme: e.scheme, Host: e.target()}).String(),
		auth:  &amqp.PlainAuth{Username: orDefault(e.user, "guest"), Password: orDefault(e.password, "guest")},
		vhost: orDefault(e.path, "/"),
		slots: make(chan struct{}, maxAMQPCalls),
		work:  amqpLine{turn: make(chan struct{}, 1)},
		out:   amqpLine{turn: make(chan struct{}, 1)},
	}
	if err := a.open(a.end); err != nil {
		return c.Fail(err)
	}
	_, err = in.goroutine(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.ctx, cancel)()
		a.keep(ctx)
	})
	if err != nil {
		a.task.Cancel()
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: amqpClass, Value: a})
}

// amqpEndpoint reads the arguments of connect and checks the permission.
func amqpEndpoint(c *vm.Call) (e endpoint, timeout time.Duration, err error) {
	if e, err = parseEndpoint(c.Text(1), amqpPorts); err != nil {
		return e, 0, err
	}
	o := &reader{m: c.Map(2), at: "options."}
	o.known("timeout_ms")
	timeout = o.timeout()
	if err := errors.Join(o.faults...); err != nil {
		return e, 0, err
	}
	return e, timeout, self(c).permit("amqp", e.target())
}

func amqpPublish(c *vm.Call) error {
	a := c.Self().(*amqpClient)
	out, err := readPublish(c)
	if err != nil {
		return err
	}
	err = c.Wait(func(ctx context.Context) error {
		err := a.operate(ctx, func(ctx context.Context) error { return a.publish(ctx, out) })
		note(ctx, a.target, notOfMessage(err))
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// notOfMessage is err, or nil when the server has refused the message: then a
// handler that publishes is to blame, or its message, and not the connection.
func notOfMessage(err error) error {
	if isRefused(err) || errors.Is(err, errNoQueue) {
		return nil
	}
	return err
}

// readPublish reads the arguments of publish.
func readPublish(c *vm.Call) (outgoing, error) {
	o := &reader{m: c.Map(4), at: "options."}
	o.known(append([]string{"confirm", "mandatory"}, publishOptions...)...)
	out := outgoing{exchange: c.Text(1), key: c.Text(2), message: publishing(o, c.Text(3))}
	out.confirm = o.flag("confirm", true)
	// Who asks for confirmation in so many words wants a queue to have the
	// message; others may publish to an exchange that nobody listens to.
	out.mandatory = o.flag("mandatory", o.m["confirm"] == true)
	if out.mandatory && !out.confirm {
		o.fault("mandatory", "needs confirm: without it nobody waits for the server's answer")
	}
	return out, errors.Join(append(o.faults, shortText("exchange", out.exchange), shortText("key", out.key))...)
}

func amqpConsume(c *vm.Call) error {
	k, err := readConsume(c)
	if err != nil {
		return err
	}
	a := c.Self().(*amqpClient)
	k.timeout = a.timeout
	return a.start(c, k)
}

// readConsume reads the arguments of consume.
func readConsume(c *vm.Call) (amqpShape, error) {
	k := amqpShape{queue: c.Text(1), fn: c.Func(2)}
	o := &reader{m: c.Map(3), at: "options."}
	o.known("prefetch", "attempts", "dead")
	k.prefetch = o.whole("prefetch", 16, 1, maxAMQPPrefetch)
	k.attempts = o.whole("attempts", defaultAttempts, 1, maxAttempts)
	k.dead = readDead(o)
	if k.queue == "" {
		o.faults = append(o.faults, errors.New("the queue has no name"))
	}
	if k.dead.queue == k.queue && k.queue != "" {
		o.fault("dead", "%q is the queue itself", k.queue)
	}
	return k, errors.Join(append(o.faults, shortText("queue", k.queue))...)
}

// readDead reads the option dead of consume.
func readDead(o *reader) deadTarget {
	switch v := o.m["dead"].(type) {
	case nil:
	case string:
		if v == "" || len(v) > 255 {
			o.fault("dead", "is not the name of a queue, of 1 to 255 bytes")
		}
		return deadTarget{queue: v}
	case bool:
		return deadTarget{own: v}
	case map[string]any:
		d := &reader{m: v, at: o.at + "dead."}
		d.known("exchange", "key")
		t := deadTarget{exchange: d.text("exchange", ""), key: d.text("key", "")}
		if t.exchange == "" {
			d.fault("exchange", "is missing; for a queue write dead = \"name\"")
		}
		o.faults = append(o.faults, append(d.faults, shortText("dead.exchange", t.exchange), shortText("dead.key", t.key))...)
		return t
	default:
		o.fault("dead", "%v is not the name of a queue, {exchange = name, key = key} or true", v)
	}
	return deadTarget{}
}

func amqpDeclare(c *vm.Call) error {
	a := c.Self().(*amqpClient)
	d, err := readDeclare(c)
	if err != nil {
		return err
	}
	err = c.Wait(func(ctx context.Context) error {
		return a.operate(ctx, func(ctx context.Context) error { return a.declare(ctx, d) })
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// readDeclare reads the arguments of declare.
func readDeclare(c *vm.Call) (declaration, error) {
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
		return d, fmt.Errorf("kind %q is not one of queue, exchange", d.kind)
	}
	if d.name == "" {
		return d, errors.New("the name is empty; for a name of its own use ns.uuid()")
	}
	return d, errors.Join(append(o.faults, shortText("name", d.name))...)
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
		b.known("exchange", "key", "arguments")
		one := binding{b.text("exchange", ""), b.text("key", ""), amqpTable(b, "arguments")}
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
