package lua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	amqpHeartbeat = 10 * time.Second // three missed ones end the connection
	amqpGoodbye   = time.Second      // for the server's answer to a close
)

type amqpClient struct {
	client
	url   string // without user and password
	auth  amqp.Authentication
	vhost string
	slots chan struct{} // one per operation in progress
	turn  chan struct{} // of capacity 1: the lock of what follows, which can be waited for with a context

	conn     *amqpConn
	declared []declaration
}

// A declaration is a queue or an exchange as a script wants it.
type declaration struct {
	kind, name, exchangeType       string
	durable, autoDelete, exclusive bool
	arguments                      amqp.Table
	bindings                       []binding
}

type binding struct{ exchange, key string }

// An amqpConn is one connection, with the channels that publish on it.
type amqpConn struct {
	*amqp.Connection
	raw  net.Conn
	send [2]*amqpChannel // without and with confirms
}

// An amqpChannel knows why it was closed.
type amqpChannel struct {
	*amqp.Channel
	closed chan *amqp.Error

	mu     sync.Mutex
	reason *amqp.Error
}

func newAMQPChannel(ch *amqp.Channel) *amqpChannel {
	return &amqpChannel{Channel: ch, closed: ch.NotifyClose(make(chan *amqp.Error, 1))}
}

// fault is why the channel was closed, or other.
func (ch *amqpChannel) fault(other error) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	select {
	case reason := <-ch.closed:
		if reason != nil {
			ch.reason = reason
		}
	default:
	}
	if ch.reason != nil {
		return ch.reason
	}
	return other
}

// operate runs f under the client's timeout, as one of a bounded number.
func (a *amqpClient) operate(ctx context.Context, f func(ctx context.Context) error) error {
	return a.within(ctx, func(ctx context.Context) error {
		select {
		case a.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-a.slots }()
		return f(ctx)
	})
}

// lock takes the client's turn.
func (a *amqpClient) lock(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *amqpClient) unlock() { <-a.turn }

// guard runs f, a step that the library does not end with a context: if that
// ends meanwhile, the connection is broken, and made again by the next call.
func (k *amqpConn) guard(ctx context.Context, f func() error) error {
	defer context.AfterFunc(ctx, func() { _ = k.raw.Close() })()
	if err := f(); err != nil {
		return err
	}
	return ctx.Err()
}

// connection returns the connection, made anew if it is lost.
func (a *amqpClient) connection(ctx context.Context) (*amqpConn, error) {
	if err := a.lock(ctx); err != nil {
		return nil, err
	}
	defer a.unlock()
	return a.connected(ctx)
}

// connected is connection, for a caller that has the turn.
func (a *amqpClient) connected(ctx context.Context) (*amqpConn, error) {
	if a.ctx.Err() != nil {
		return nil, a.ctx.Err()
	}
	if a.conn != nil && !a.conn.IsClosed() {
		return a.conn, nil
	}
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range a.declared {
		if err := conn.declare(ctx, d); err != nil {
			conn.end()
			return nil, fmt.Errorf("%s %s: %w", d.kind, d.name, err)
		}
	}
	a.conn = conn
	return conn, nil
}

func (a *amqpClient) dial(ctx context.Context) (*amqpConn, error) {
	k := &amqpConn{}
	stop := func() bool { return true }
	var err error
	k.Connection, err = amqp.DialConfig(a.url, amqp.Config{
		SASL: []amqp.Authentication{a.auth}, Vhost: a.vhost, Heartbeat: amqpHeartbeat,
		Properties: amqp.Table{"product": "nearside", "connection_name": "nearside plugin " + a.in.plugin.name},
		Dial: func(network, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			k.raw = raw
			stop = context.AfterFunc(ctx, func() { _ = raw.Close() })
			return &timedConn{raw, a.timeout}, nil
		},
	})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if k.raw != nil {
			_ = k.raw.Close() // ends the library's goroutines, too
		}
		return nil, err
	}
	return k, nil
}

// A timedConn gives up a write that the server does not take: it stops
// reading when it is short of memory.
type timedConn struct {
	net.Conn
	timeout time.Duration
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// end says goodbye, for a bounded time, and closes the connection.
func (k *amqpConn) end() {
	_ = k.CloseDeadline(time.Now().Add(amqpGoodbye)) // it may be lost already
	_ = k.raw.Close()
}

// end closes the client's connection; nobody makes another one.
func (a *amqpClient) end() {
	a.turn <- struct{}{} // whoever has it sees that the client's context has ended
	defer a.unlock()
	if a.conn != nil {
		a.conn.end()
		a.conn = nil
	}
}

// declare makes a queue or an exchange, now and after each reconnection.
func (a *amqpClient) declare(ctx context.Context, d declaration) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.unlock()
	i := slices.IndexFunc(a.declared, func(o declaration) bool { return o.kind == d.kind && o.name == d.name })
	if i < 0 && len(a.declared) >= maxDeclarations {
		return fmt.Errorf("the client has declared %d queues and exchanges already", maxDeclarations)
	}
	conn, err := a.connected(ctx)
	if err != nil {
		return err
	}
	if err := conn.declare(ctx, d); err != nil {
		return err
	}
	if i < 0 {
		a.declared = append(a.declared, d)
	} else {
		a.declared[i] = d
	}
	return nil
}

// declare uses a channel of its own, because the server closes the channel of
// a declaration that it refuses.
func (k *amqpConn) declare(ctx context.Context, d declaration) error {
	return k.guard(ctx, func() error {
		ch, err := k.Channel()
		if err != nil {
			return err
		}
		if d.kind == "exchange" {
			err = ch.ExchangeDeclare(d.name, d.exchangeType, d.durable, d.autoDelete, false, false, d.arguments)
		} else {
			_, err = ch.QueueDeclare(d.name, d.durable, d.autoDelete, d.exclusive, false, d.arguments)
		}
		for _, b := range d.bindings {
			if err == nil {
				err = ch.QueueBind(d.name, b.key, b.exchange, false, nil)
			}
		}
		return errors.Join(err, closeChannel(ch))
	})
}

// closeChannel closes a channel that may be closed already.
func closeChannel(ch *amqp.Channel) error {
	if err := ch.Close(); !errors.Is(err, amqp.ErrClosed) {
		return err
	}
	return nil
}

// sender returns the channel to publish on.
func (a *amqpClient) sender(ctx context.Context, confirm bool) (*amqpConn, *amqpChannel, error) {
	if err := a.lock(ctx); err != nil {
		return nil, nil, err
	}
	defer a.unlock()
	conn, err := a.connected(ctx)
	if err != nil {
		return nil, nil, err
	}
	i := 0
	if confirm {
		i = 1
	}
	if conn.send[i] != nil && !conn.send[i].IsClosed() {
		return conn, conn.send[i], nil
	}
	err = conn.guard(ctx, func() error {
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		conn.send[i] = newAMQPChannel(ch)
		if confirm {
			return ch.Confirm(false)
		}
		return nil
	})
	return conn, conn.send[i], err
}

// publish sends a message and, when that is wanted, waits for the server's
// confirmation.
func (a *amqpClient) publish(ctx context.Context, exchange, key string, message amqp.Publishing, confirm bool) error {
	conn, ch, err := a.sender(ctx, confirm)
	if err != nil {
		return err
	}
	var confirmed *amqp.DeferredConfirmation
	err = conn.guard(ctx, func() (err error) {
		confirmed, err = ch.PublishWithDeferredConfirm(exchange, key, false, false, message)
		return err
	})
	if err != nil || confirmed == nil {
		return err
	}
	ok, err := confirmed.WaitContext(ctx)
	if err == nil && !ok {
		err = ch.fault(errors.New("the server did not take the message"))
	}
	return err
}
