package ns

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/amqp"
	"nearside/lua/vm"
)

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
