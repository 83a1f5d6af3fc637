package lua

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/lua/vm"
)

// consume hands the messages of a queue to fn until the connection or the
// queue is lost, or ctx ends.
func (a *amqpClient) consume(ctx context.Context, up func(), queue string, prefetch int, fn *vm.Func) error {
	defer a.in.state.Keep(fn)()
	opening, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	conn, err := a.connection(opening)
	if err != nil {
		return err
	}
	var ch *amqpChannel
	var messages <-chan amqp.Delivery
	err = conn.guard(opening, func() error {
		plain, err := conn.Channel()
		if err != nil {
			return err
		}
		ch = newAMQPChannel(plain)
		if err := ch.Qos(prefetch, 0, false); err != nil {
			return err
		}
		messages, err = ch.Consume(queue, "", false, false, false, false, nil)
		return err
	})
	if ch != nil {
		defer conn.release(ch.Channel, a.timeout)
	}
	if err != nil {
		return err
	}
	cancel()
	up()
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return ch.fault(fmt.Errorf("the server has ended the consumer of queue %s", queue))
			}
			if err := a.handle(ctx, m, fn); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release closes a consumer's channel: the server puts back what was not
// acknowledged. A server that does not answer loses the connection.
func (k *amqpConn) release(ch *amqp.Channel, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_ = k.guard(ctx, func() error { return closeChannel(ch) })
}

// handle calls fn with a message and tells the server the outcome. Its error
// is the connection's.
func (a *amqpClient) handle(ctx context.Context, m amqp.Delivery, fn *vm.Func) error {
	if len(m.Body) > maxAMQPMessage {
		a.in.report("consumer", fmt.Errorf("a message of %d bytes was dropped: it is larger than %d", len(m.Body), maxAMQPMessage))
		return m.Reject(false)
	}
	results, err := a.in.call(ctx, vm.Limits{}, fn, map[string]any{
		"body": m.Body, "headers": amqpValue(m.Headers), "exchange": m.Exchange, "key": m.RoutingKey, "redelivered": m.Redelivered,
	})
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err) // the server puts the message back
	}
	a.in.report("consumer", err)
	if err == nil && len(results) > 0 && results[0] == true {
		return m.Ack(false)
	}
	return m.Reject(!m.Redelivered)
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
