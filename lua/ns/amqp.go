package ns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

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
			Doc: "Creates a client for amqp://[user:password@]host[:port][/vhost], or amqps:// for TLS. The client connects in the background and reconnects when the connection is lost. connect succeeds even if the server is down.",
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
			Doc: "Sends a message, persistent by default. Waits until the server has confirmed it, unless confirm is false. With mandatory = true it fails if no queue receives the message; writing confirm = true explicitly also sets mandatory, unless mandatory is false. expiration is in milliseconds, timestamp in Unix seconds. After an error, the message may have been sent nevertheless.",
			Run: amqpPublish,
		},
		{
			Name: "consume", Returns: []string{"Task?", "string? err"}, Waits: true,
			Params: []string{
				"queue: string",
				"fn: fun(message: {body: string, headers: table<string, any>, exchange: string, key: string, redelivered: boolean, attempt: integer, persistent: boolean, expiration: string?, " + amqpProperties + "}): (\"ack\"|\"retry\"|\"dead\"|boolean|{retry: number})?, string?",
				"options?: {prefetch: integer?, attempts: integer?, dead: (string|boolean|{exchange: string, key: string?})?}",
			},
			Doc: "Calls fn for each message of a queue, one after the other. If fn returns \"ack\" or true, the message is acknowledged. If it returns \"retry\", false or nil, or raises an error, the message is delivered again after 1 to 60 seconds; {retry = seconds} sets the time. After the last of attempts (default 10) attempts, or if fn returns \"dead\", the message goes to the dead-letter target. The option dead sets the target: the name of a queue, an exchange and a key, or true for the x-dead-letter-exchange of a queue that this client has not declared. The default is the x-dead-letter-exchange with which this client has declared the queue. Without a target, the message stays in the queue. A second result of fn is the reason. If the store is full or not available (12052, 12050), the consumer pauses and no attempt is used.",
			Run: amqpConsume,
		},
		{
			Name: "declare", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Params: []string{
				"kind: \"queue\"|\"exchange\"", "name: string",
				"options?: {type: string?, durable: boolean?, auto_delete: boolean?, exclusive: boolean?, arguments: table<string, any>?, bind: {exchange: string, key: string?, arguments: table<string, any>?}[]?}",
			},
			Doc: "Creates a queue with its bindings, or an exchange (type: direct, fanout, headers or topic). It is durable unless durable is false. The client creates it again after a reconnect and when it disappears. If the server cannot be reached, declare returns true and the client creates it later.",
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
	client, err := self(c).Plugin.Host.Doubles.amqp(k, e)
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: amqpClass, Value: amqpHandle{client, k.Target}})
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
		peer.RecordOutcome(ctx, a.target, connectionFault(err))
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// connectionFault returns err if the connection or the server caused it. It returns nil
// if the server has refused the message, because then the handler that published it
// caused the failure.
func connectionFault(err error) error {
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
	o.Handle = func(d *amqp.Delivery) peer.Verdict { return in.HandleMessage(fn, AMQPMessage(d)) }
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
	o.RefuseUnknown("prefetch", "attempts", "dead")
	k.Prefetch = o.Whole("prefetch", 16, 1, amqp.MaxPrefetch)
	k.Attempts = o.Whole("attempts", peer.DefaultAttempts, 1, peer.MaxAttempts)
	k.Dead = readDead(o)
	if k.Queue == "" {
		o.Faults = append(o.Faults, errors.New("the queue has no name"))
	}
	if k.Dead.Queue == k.Queue && k.Queue != "" {
		o.Fault("dead", "%q is the queue itself", k.Queue)
	}
	return k, errors.Join(append(o.Faults, checkLength("queue", k.Queue))...)
}

// readDead reads the option dead of consume.
func readDead(o *goval.Reader) amqp.DeadTarget {
	switch v := o.Map["dead"].(type) {
	case nil:
	case string:
		if v == "" || len(v) > 255 {
			o.Fault("dead", "the name of a queue must have 1 to 255 bytes, got %d", len(v))
		}
		return amqp.DeadTarget{Queue: v}
	case bool:
		return amqp.DeadTarget{Own: v}
	case map[string]any:
		d := &goval.Reader{Map: v, Path: o.Path + "dead."}
		d.RefuseUnknown("exchange", "key")
		t := amqp.DeadTarget{Exchange: d.Text("exchange", ""), Key: d.Text("key", "")}
		if t.Exchange == "" {
			d.Fault("exchange", "is missing; for a queue write dead = \"name\"")
		}
		o.Faults = append(o.Faults, append(d.Faults, checkLength("dead.exchange", t.Exchange), checkLength("dead.key", t.Key))...)
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
		o.RefuseUnknown("type", "durable", "auto_delete", "arguments")
		d.ExchangeType = o.Text("type", "direct")
		if !slices.Contains(exchangeTypes, d.ExchangeType) {
			o.Fault("type", "%q is not one of %q", d.ExchangeType, exchangeTypes)
		}
	case "queue":
		o.RefuseUnknown("durable", "auto_delete", "exclusive", "arguments", "bind")
		d.Exclusive = o.Boolean("exclusive", false)
		d.Bindings = readBindings(o)
	default:
		return d, fmt.Errorf("kind %q is not one of queue, exchange", d.Kind)
	}
	if d.Name == "" {
		return d, errors.New("the name is empty; use ns.uuid() for a unique name")
	}
	return d, errors.Join(append(o.Faults, checkLength("name", d.Name))...)
}

// readBindings reads the option bind of declare.
func readBindings(o *goval.Reader) []amqp.Binding {
	list := o.List("bind")
	if len(list) > maxBindings {
		o.Fault("bind", "must have at most %d bindings, got %d", maxBindings, len(list))
		return nil
	}
	var all []amqp.Binding
	for i, item := range list {
		m, _ := item.(map[string]any)
		b := &goval.Reader{Map: m, Path: fmt.Sprintf("options.bind[%d].", i+1)}
		b.RefuseUnknown("exchange", "key", "arguments")
		binding := amqp.Binding{Exchange: b.Text("exchange", ""), Key: b.Text("key", ""), Arguments: amqpTable(b, "arguments")}
		if binding.Exchange == "" {
			b.Fault("exchange", "is missing")
		}
		all = append(all, binding)
		o.Faults = append(o.Faults, append(b.Faults, checkLength("exchange", binding.Exchange), checkLength("key", binding.Key))...)
	}
	return all
}

// checkLength returns an error if the text of a field is longer than the 255 bytes that
// the protocol allows.
func checkLength(field, text string) error {
	if len(text) > 255 {
		return fmt.Errorf("%s: is longer than 255 bytes", field)
	}
	return nil
}

// PublishOptions are the options of publish that become properties of the message.
var PublishOptions = []string{
	"headers", "content_type", "content_encoding", "message_id", "correlation_id", "reply_to", "timestamp",
	"expiration", "priority", "type", "app_id", "persistent",
}

// readPublish reads the arguments of publish.
func readPublish(c *vm.Call) (amqp.Outgoing, error) {
	o := &goval.Reader{Map: c.Map(4), Path: "options."}
	o.RefuseUnknown(append([]string{"confirm", "mandatory"}, PublishOptions...)...)
	out := amqp.Outgoing{Exchange: c.Text(1), Key: c.Text(2), Message: ReadMessage(o, c.Text(3))}
	out.Confirm = o.Boolean("confirm", true)
	// A script that sets confirm expects a queue to receive the message. Other
	// scripts may publish to an exchange without queues.
	out.Mandatory = o.Boolean("mandatory", o.Map["confirm"] == true)
	if out.Mandatory && !out.Confirm {
		o.Fault("mandatory", "needs confirm: with confirm = false, publish does not wait for the server's answer")
	}
	return out, errors.Join(append(o.Faults, checkLength("exchange", out.Exchange), checkLength("key", out.Key))...)
}

// ReadMessage reads the properties of a message from the options of publish.
func ReadMessage(o *goval.Reader, body string) amqp.Message {
	text := func(field string) string {
		s := o.Text(field, "")
		if err := checkLength(field, s); err != nil {
			o.Fault(field, "is longer than 255 bytes")
		}
		return s
	}
	m := amqp.Message{
		Body: []byte(body), Headers: amqpTable(o, "headers"), Persistent: o.Boolean("persistent", true),
		ContentType: text("content_type"), ContentEncoding: text("content_encoding"), MessageID: text("message_id"),
		CorrelationID: text("correlation_id"), ReplyTo: text("reply_to"), Type: text("type"), AppID: text("app_id"),
		Expiration: expiration(o), Priority: uint8(o.Whole("priority", 0, 0, math.MaxUint8)),
	}
	if o.Map["timestamp"] != nil {
		m.Timestamp = time.Unix(int64(o.Number("timestamp", 0, 0, 1<<40)), 0)
	}
	if len(body) > amqp.MaxMessage {
		o.Faults = append(o.Faults, fmt.Errorf("the body has %d bytes; at most %d are allowed", len(body), amqp.MaxMessage))
	}
	return m
}

// expiration reads the option expiration, in milliseconds. It is a number, or a
// string of digits as in the protocol.
func expiration(o *goval.Reader) string {
	v := o.Map["expiration"]
	if text, ok := v.(string); ok {
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return strconv.FormatUint(n, 10)
		}
	} else if v == nil {
		return ""
	} else if ms, ok := v.(float64); ok && ms >= 0 && ms <= math.MaxUint32 && ms == math.Trunc(ms) {
		return strconv.FormatUint(uint64(ms), 10)
	}
	o.Fault("expiration", "%v is not a whole number of milliseconds from 0 to %d", v, uint32(math.MaxUint32))
	return ""
}

// AMQPMessage returns the table that a handler receives for a delivery.
func AMQPMessage(d *amqp.Delivery) map[string]any {
	m := map[string]any{
		"body": d.Body, "headers": AMQPValue(d.PublicHeaders()), "exchange": d.Exchange, "key": d.Key,
		"redelivered": d.Redelivered, "attempt": d.Attempt, "priority": int(d.Priority), "persistent": d.Persistent,
	}
	for name, v := range map[string]string{
		"content_type": d.ContentType, "content_encoding": d.ContentEncoding, "message_id": d.MessageID,
		"correlation_id": d.CorrelationID, "reply_to": d.ReplyTo, "expiration": d.Expiration, "type": d.Type, "app_id": d.AppID,
	} {
		if v != "" {
			m[name] = v
		}
	}
	if !d.Timestamp.IsZero() {
		m["timestamp"] = float64(d.Timestamp.Unix())
	}
	return m
}

// AMQPValue converts the value of a header to one that scripts can use.
func AMQPValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = AMQPValue(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = AMQPValue(item)
		}
		return out
	case nil:
		return vm.Null{}
	case bool, string, []byte, int, int32, int64, float32, float64:
		return v
	case int8:
		return int(v)
	case byte:
		return int(v)
	case int16:
		return int(v)
	case uint16:
		return int(v)
	case uint32:
		return int64(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	default:
		return fmt.Sprint(v)
	}
}

// amqpTable reads an option that is a table of strings, numbers and booleans. It returns
// nil for an empty table.
func amqpTable(o *goval.Reader, field string) map[string]any {
	in := o.Table(field)
	if len(in) == 0 {
		return nil
	}
	if len(in) > maxAMQPHeaders {
		o.Fault(field, "must have at most %d entries, got %d", maxAMQPHeaders, len(in))
	}
	out := make(map[string]any, len(in))
	for name, v := range in {
		if err := checkLength(name, name); err != nil {
			o.Faults = append(o.Faults, err)
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
				o.Fault(field+"."+name, "%v does not fit into 64 bits", v)
			}
			out[name] = n
		default:
			o.Fault(field+"."+name, "must be a string, number or boolean")
		}
	}
	return out
}
