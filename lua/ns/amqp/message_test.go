package amqp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp091 "github.com/rabbitmq/amqp091-go"

	"nearside/lua/ns/peer"
)

// TestAttemptHeaderIsClamped checks that the attempt stays within its limits for any
// header value. The header is part of the message, so any sender can set it.
func TestAttemptHeaderIsClamped(t *testing.T) {
	for _, used := range []int64{-1 << 63, -1, 1<<63 - 1} {
		m := Delivery{Message: Message{Headers: map[string]any{headerAttempts: used, headerQueue: "q", headerDeaths: int64(0)}}}
		if d := NewDelivery("q", m); d.Attempt < 1 || d.Attempt > peer.MaxAttempts+1 {
			t.Errorf("after %d used attempts, this is attempt %d, want 1 to %d", used, d.Attempt, peer.MaxAttempts+1)
		}
	}
}

// TestMessageRoundTrip checks that conversion to the library's type and back keeps all
// properties of a message, including nested tables.
func TestMessageRoundTrip(t *testing.T) {
	m := Message{
		Body: []byte("body"), Headers: map[string]any{"x": map[string]any{"y": []any{map[string]any{"z": int64(1)}}}, "n": nil},
		ContentType: "a", ContentEncoding: "b", MessageID: "c", CorrelationID: "d", ReplyTo: "e", Type: "f", AppID: "g",
		Expiration: "7", Timestamp: time.Unix(8, 0), Priority: 9, Persistent: true,
	}
	p := publishing(m)
	if err := p.Headers.Validate(); err != nil {
		t.Error(err)
	}
	d := received(amqp091.Delivery{
		Body: p.Body, Headers: p.Headers, DeliveryMode: p.DeliveryMode, ContentType: p.ContentType, ContentEncoding: p.ContentEncoding,
		MessageId: p.MessageId, CorrelationId: p.CorrelationId, ReplyTo: p.ReplyTo, Type: p.Type, AppId: p.AppId,
		Expiration: p.Expiration, Timestamp: p.Timestamp, Priority: p.Priority,
		Exchange: "x", RoutingKey: "k", Redelivered: true, DeliveryTag: 10, ConsumerTag: "tag",
	})
	if diff := cmp.Diff(m, d.Message); diff != "" {
		t.Error(diff)
	}
	if d.Exchange != "x" || d.Key != "k" || !d.Redelivered || d.Tag != 10 || d.consumerTag != "tag" {
		t.Errorf("%+v", d)
	}
}
