package amqp

import (
	"maps"
	"strings"
	"time"

	"nearside/lua/ns/peer"
)

// The headers that a consumer adds when it publishes a message again. Handlers do not
// see them.
const (
	headerAttempts = "x-nearside-attempts" // attempts that the message has used
	headerQueue    = "x-nearside-queue"    // the queue in which it used them
	headerDeaths   = "x-nearside-deaths"   // how often the broker had dead-lettered it before the copy was made
	headerDue      = "x-nearside-due"      // Unix milliseconds of the next attempt
	headerExchange = "x-nearside-exchange" // the exchange to which it was first published
	headerKey      = "x-nearside-key"      // its first routing key
)

// The headers that a consumer adds to a dead letter.
const (
	headerDeadQueue    = "x-nearside-dead-queue" // the queue in which it failed
	headerDeadExchange = "x-nearside-dead-exchange"
	headerDeadKey      = "x-nearside-dead-key"
	headerDeadAttempts = "x-nearside-dead-attempts"
	headerDeadReason   = "x-nearside-dead-reason"
)

const maxDeadReason = 1000 // bytes of headerDeadReason

// A Message is a message with its properties.
type Message struct {
	Body    []byte
	Headers map[string]any

	ContentType, ContentEncoding      string
	MessageID, CorrelationID, ReplyTo string
	Type, AppID                       string
	Expiration                        string // in milliseconds; empty: never
	Timestamp                         time.Time
	Priority                          uint8
	Persistent                        bool
}

// A Delivery is a message that a consumer received.
type Delivery struct {
	Message
	Exchange, Key string // of the first publication
	Redelivered   bool
	Tag           uint64    // identifies the delivery on its channel
	Attempt       int       // the number of the current attempt, from 1
	Due           time.Time // the earliest time to handle it; zero: now

	consumerTag string
}

// NewDelivery sets the attempt, the due time, the exchange and the key of a delivery
// from the headers that earlier attempts in the same queue added. If these headers are
// from another queue, or the server has dead-lettered the message since, it ignores
// them, and this is attempt 1.
func NewDelivery(queue string, d Delivery) *Delivery {
	d.Attempt, d.Due = 1, time.Time{}
	used, ok := HeaderInt(d.Headers, headerAttempts)
	if deaths, _ := HeaderInt(d.Headers, headerDeaths); !ok || d.Headers[headerQueue] != queue || deaths != deathsOf(d.Headers) {
		return &d
	}
	d.Attempt = int(min(max(used, 0), peer.MaxAttempts)) + 1
	if ms, ok := HeaderInt(d.Headers, headerDue); ok {
		d.Due = time.UnixMilli(ms)
	}
	if exchange, ok := d.Headers[headerExchange].(string); ok {
		d.Exchange = exchange
	}
	if key, ok := d.Headers[headerKey].(string); ok {
		d.Key = key
	}
	return &d
}

// HeaderInt returns an integer header. It returns false if the header is missing or
// not an integer.
func HeaderInt(h map[string]any, name string) (int64, bool) {
	switch v := h[name].(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	}
	return 0, false
}

// deathsOf returns how often the broker has dead-lettered a message.
func deathsOf(h map[string]any) (n int64) {
	deaths, _ := h["x-death"].([]any)
	for _, item := range deaths {
		if death, ok := item.(map[string]any); ok {
			count, _ := HeaderInt(death, "count")
			n += count
		}
	}
	return n
}

// PublicHeaders returns a copy of the headers without those that consumers add for
// their own use.
func (d *Delivery) PublicHeaders() map[string]any {
	headers := maps.Clone(d.Headers)
	maps.DeleteFunc(headers, func(name string, _ any) bool { return isOwnHeader(name) })
	return headers
}

// isOwnHeader reports whether consumers add this header for their own use.
func isOwnHeader(name string) bool {
	return strings.HasPrefix(name, "x-nearside-") && !strings.HasPrefix(name, "x-nearside-dead-")
}

// Copy returns a copy of the message for publishing it again. It leaves out the
// headers CC and BCC, which would send the message to other queues again, and the
// headers that the server or a consumer has added for one attempt. A Message has no
// user id, because the server accepts only the id of the client's user.
func (d *Delivery) Copy() Message {
	m := d.Message
	m.Headers = maps.Clone(d.Headers)
	if m.Headers == nil {
		m.Headers = map[string]any{}
	}
	maps.DeleteFunc(m.Headers, func(name string, _ any) bool {
		return name == "CC" || name == "BCC" || name == "x-delivery-count" || isOwnHeader(name)
	})
	return m
}

// forRetry returns the copy for another attempt in the same queue. used is the number of
// attempts used so far; due is when the next attempt may begin.
func (d *Delivery) forRetry(queue string, used int, due time.Time) Message {
	m := d.Copy()
	m.Headers[headerAttempts], m.Headers[headerQueue], m.Headers[headerDeaths] = int64(used), queue, deathsOf(d.Headers)
	m.Headers[headerExchange], m.Headers[headerKey] = d.Exchange, d.Key
	if !due.IsZero() {
		m.Headers[headerDue] = due.UnixMilli()
	}
	return m
}

// forDeadLetters returns the copy for the dead letters. The copy does not expire.
func (d *Delivery) forDeadLetters(queue string, reason error) Message {
	m := d.Copy()
	text := strings.ToValidUTF8(reason.Error(), "?")
	m.Headers[headerDeadQueue], m.Headers[headerDeadExchange], m.Headers[headerDeadKey] = queue, d.Exchange, d.Key
	m.Headers[headerDeadAttempts], m.Headers[headerDeadReason] = int64(d.Attempt), text[:min(len(text), maxDeadReason)]
	m.Expiration = ""
	return m
}
