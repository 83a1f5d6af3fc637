package amqp

import amqp091 "github.com/rabbitmq/amqp091-go"

// publishing converts a message to the library's type.
func publishing(m Message) amqp091.Publishing {
	p := amqp091.Publishing{
		Body: m.Body, Headers: wireTable(m.Headers), DeliveryMode: amqp091.Transient,
		ContentType: m.ContentType, ContentEncoding: m.ContentEncoding, MessageId: m.MessageID,
		CorrelationId: m.CorrelationID, ReplyTo: m.ReplyTo, Type: m.Type, AppId: m.AppID,
		Expiration: m.Expiration, Timestamp: m.Timestamp, Priority: m.Priority,
	}
	if m.Persistent {
		p.DeliveryMode = amqp091.Persistent
	}
	return p
}

// received converts a delivery from the library's type.
func received(d amqp091.Delivery) Delivery {
	return Delivery{
		Message: Message{
			Body: d.Body, Headers: plainTable(d.Headers), Persistent: d.DeliveryMode == amqp091.Persistent,
			ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, MessageID: d.MessageId,
			CorrelationID: d.CorrelationId, ReplyTo: d.ReplyTo, Type: d.Type, AppID: d.AppId,
			Expiration: d.Expiration, Timestamp: d.Timestamp, Priority: d.Priority,
		},
		Exchange: d.Exchange, Key: d.RoutingKey, Redelivered: d.Redelivered, Tag: d.DeliveryTag, consumerTag: d.ConsumerTag,
	}
}

// wireTable converts a table, including nested tables, to the library's type.
func wireTable(m map[string]any) amqp091.Table {
	if m == nil {
		return nil
	}
	out := make(amqp091.Table, len(m))
	for name, v := range m {
		out[name] = wireValue(v)
	}
	return out
}

func wireValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return wireTable(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = wireValue(item)
		}
		return out
	}
	return v
}

// plainTable converts a table of the library, including nested tables, to maps.
func plainTable(t amqp091.Table) map[string]any {
	if t == nil {
		return nil
	}
	out := make(map[string]any, len(t))
	for name, v := range t {
		out[name] = plainValue(v)
	}
	return out
}

func plainValue(v any) any {
	switch v := v.(type) {
	case amqp091.Table:
		return plainTable(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plainValue(item)
		}
		return out
	}
	return v
}
