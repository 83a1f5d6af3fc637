package lua

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/lua/vm"
)

// Headers that a consumer adds when it publishes a message again. Handlers do
// not see them.
const (
	headerAttempts = "x-nearside-attempts" // that the message has used
	headerQueue    = "x-nearside-queue"    // in which it used them
	headerDeaths   = "x-nearside-deaths"   // how often the broker had dead-lettered it then
	headerDue      = "x-nearside-due"      // Unix milliseconds of the next attempt
	headerExchange = "x-nearside-exchange" // to which it was published at first
	headerKey      = "x-nearside-key"      // alike, its routing key
)

// Headers of a message that a consumer has sent to dead letters.
const (
	headerDeadQueue    = "x-nearside-dead-queue" // in which it failed
	headerDeadExchange = "x-nearside-dead-exchange"
	headerDeadKey      = "x-nearside-dead-key"
	headerDeadAttempts = "x-nearside-dead-attempts"
	headerDeadReason   = "x-nearside-dead-reason"
)

const maxDeadReason = 1000 // bytes of headerDeadReason

// publishOptions are the names of the options of publish that become
// properties of the message.
var publishOptions = []string{
	"headers", "content_type", "content_encoding", "message_id", "correlation_id", "reply_to", "timestamp",
	"expiration", "priority", "type", "app_id", "persistent",
}

// publishing reads the properties of a message from the options of publish.
func publishing(o *reader, body string) amqp.Publishing {
	text := func(field string) string {
		s := o.text(field, "")
		if err := shortText(field, s); err != nil {
			o.fault(field, "is longer than 255 bytes")
		}
		return s
	}
	p := amqp.Publishing{
		Body: []byte(body), Headers: amqpTable(o, "headers"), DeliveryMode: amqp.Persistent,
		ContentType: text("content_type"), ContentEncoding: text("content_encoding"), MessageId: text("message_id"),
		CorrelationId: text("correlation_id"), ReplyTo: text("reply_to"), Type: text("type"), AppId: text("app_id"),
		Expiration: expiration(o), Priority: uint8(o.whole("priority", 0, 0, math.MaxUint8)),
	}
	if o.m["timestamp"] != nil {
		p.Timestamp = time.Unix(int64(o.number("timestamp", 0, 0, 1<<40)), 0)
	}
	if !o.flag("persistent", true) {
		p.DeliveryMode = amqp.Transient
	}
	if len(body) > maxAMQPMessage {
		o.faults = append(o.faults, fmt.Errorf("the body has %d bytes; at most %d are allowed", len(body), maxAMQPMessage))
	}
	return p
}

// expiration is an option in milliseconds: a number, or digits as in the
// protocol.
func expiration(o *reader) string {
	v := o.m["expiration"]
	if text, ok := v.(string); ok {
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return strconv.FormatUint(n, 10)
		}
	} else if v == nil {
		return ""
	} else if ms, ok := v.(float64); ok && ms >= 0 && ms <= math.MaxUint32 && ms == math.Trunc(ms) {
		return strconv.FormatUint(uint64(ms), 10)
	}
	o.fault("expiration", "%v is not a whole number of milliseconds from 0 to %d", v, uint32(math.MaxUint32))
	return ""
}

// whole is a number without a fraction.
func (r *reader) whole(field string, other, low, high int) int {
	n := r.number(field, float64(other), float64(low), float64(high))
	if n != math.Trunc(n) {
		r.fault(field, "%v is not a whole number", n)
		return other
	}
	return int(n)
}

// An amqpDelivery is a message that a consumer was given.
type amqpDelivery struct {
	amqp.Delivery
	attempt int       // the one that begins when the handler is called, from 1
	due     time.Time // not to be handled before; zero: now
}

// newDelivery reads what earlier attempts in the same queue have left in the
// headers. A message that the broker has dead-lettered since, or that comes
// from another queue, begins anew.
func newDelivery(queue string, m amqp.Delivery) *amqpDelivery {
	d := &amqpDelivery{Delivery: m, attempt: 1}
	used, ok := headerInt(m.Headers, headerAttempts)
	if deaths, _ := headerInt(m.Headers, headerDeaths); !ok || m.Headers[headerQueue] != queue || deaths != deathsOf(m.Headers) {
		return d
	}
	d.attempt = int(used) + 1
	if ms, ok := headerInt(m.Headers, headerDue); ok {
		d.due = time.UnixMilli(ms)
	}
	if exchange, ok := m.Headers[headerExchange].(string); ok {
		d.Exchange = exchange
	}
	if key, ok := m.Headers[headerKey].(string); ok {
		d.RoutingKey = key
	}
	return d
}

func headerInt(h amqp.Table, name string) (int64, bool) {
	switch v := h[name].(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	}
	return 0, false
}

// deathsOf is how often the broker has dead-lettered a message.
func deathsOf(h amqp.Table) (n int64) {
	deaths, _ := h["x-death"].([]any)
	for _, item := range deaths {
		if death, ok := item.(amqp.Table); ok {
			count, _ := headerInt(death, "count")
			n += count
		}
	}
	return n
}

// message is what the handler gets.
func (d *amqpDelivery) message() map[string]any {
	headers := maps.Clone(d.Headers)
	maps.DeleteFunc(headers, func(name string, _ any) bool {
		return strings.HasPrefix(name, "x-nearside-") && !strings.HasPrefix(name, "x-nearside-dead-")
	})
	m := map[string]any{
		"body": d.Body, "headers": amqpValue(headers), "exchange": d.Exchange, "key": d.RoutingKey,
		"redelivered": d.Redelivered, "attempt": d.attempt, "priority": int(d.Priority), "persistent": d.DeliveryMode == amqp.Persistent,
	}
	for name, v := range map[string]string{
		"content_type": d.ContentType, "content_encoding": d.ContentEncoding, "message_id": d.MessageId,
		"correlation_id": d.CorrelationId, "reply_to": d.ReplyTo, "expiration": d.Expiration, "type": d.Type, "app_id": d.AppId,
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

// copied is the message as it is published again. CC and BCC would send it to
// other queues once more, and a user id would have to be ours.
func (d *amqpDelivery) copied() amqp.Publishing {
	headers := maps.Clone(d.Headers)
	if headers == nil {
		headers = amqp.Table{}
	}
	maps.DeleteFunc(headers, func(name string, _ any) bool {
		return name == "CC" || name == "BCC" || name == "x-delivery-count" ||
			strings.HasPrefix(name, "x-nearside-") && !strings.HasPrefix(name, "x-nearside-dead-")
	})
	return amqp.Publishing{
		Headers: headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
		CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageId: d.MessageId, Timestamp: d.Timestamp,
		Type: d.Type, AppId: d.AppId, Body: d.Body,
	}
}

// again is the message for a further attempt in the same queue at due, with
// the attempts that it has used.
func (d *amqpDelivery) again(queue string, used int, due time.Time) amqp.Publishing {
	p := d.copied()
	p.Headers[headerAttempts], p.Headers[headerQueue], p.Headers[headerDeaths] = int64(used), queue, deathsOf(d.Headers)
	p.Headers[headerExchange], p.Headers[headerKey] = d.Exchange, d.RoutingKey
	if !due.IsZero() {
		p.Headers[headerDue] = due.UnixMilli()
	}
	return p
}

// dead is the message for the dead letters. It does not expire there.
func (d *amqpDelivery) dead(queue string, reason error) amqp.Publishing {
	p := d.copied()
	text := strings.ToValidUTF8(reason.Error(), "?")
	p.Headers[headerDeadQueue], p.Headers[headerDeadExchange], p.Headers[headerDeadKey] = queue, d.Exchange, d.RoutingKey
	p.Headers[headerDeadAttempts], p.Headers[headerDeadReason] = int64(d.attempt), text[:min(len(text), maxDeadReason)]
	p.Expiration = ""
	return p
}

// amqpValue turns a value of a header into one that scripts know.
func amqpValue(v any) any {
	switch v := v.(type) {
	case amqp.Table:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = amqpValue(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = amqpValue(item)
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
