package lua

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	amqpHeartbeat = 10 * time.Second // three missed ones end the connection
	amqpGoodbye   = time.Second      // for the server's answer to a close
	amqpLook      = 10 * time.Second // between two checks of what the client has declared
)

// An amqpClient has two connections: a server that is short of memory or disk
// stops reading from one that publishes, and consumers must be able to
// acknowledge meanwhile.
type amqpClient struct {
	client
	url   string // without user and password
	auth  amqp.Authentication
	vhost string
	slots chan struct{} // one per operation in progress

	work   amqpLine // declares and consumes
	out    amqpLine // publishes
	wanted declarations
}

// An amqpLine is a connection that is made again when it is lost.
type amqpLine struct {
	turn chan struct{} // of capacity 1: the lock of what follows, which can be waited for with a context
	conn *amqpConn
	down error // why the last attempt to connect failed; nil after one that did not
}

// An amqpConn is one connection.
type amqpConn struct {
	*amqp.Connection
	raw   net.Conn
	gone  chan *amqp.Error // closed when the connection is lost
	alarm sync.WaitGroup   // the goroutine that receives the blocked notices

	mu      sync.Mutex
	blocked string        // why the server does not take messages; empty: it does
	plain   *amqp.Channel // publishes without confirms
	senders []*amqpSender // publish with confirms
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

// lock takes the line's turn.
func (l *amqpLine) lock(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *amqpLine) unlock() { <-l.turn }

// guard runs f, a step that the library does not end with a context. If ctx
// ends meanwhile, the connection is closed; the next operation makes another
// one.
func (k *amqpConn) guard(ctx context.Context, f func() error) error {
	defer context.AfterFunc(ctx, func() { _ = k.raw.Close() })()
	if err := f(); err != nil {
		return err
	}
	return ctx.Err()
}

// An unreachable error says why there is no connection.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

// connection returns a line's connection, made anew if it is lost. A new
// connection for work declares what the client has declared. The error is an
// unreachable.
func (a *amqpClient) connection(ctx context.Context, l *amqpLine) (*amqpConn, error) {
	if err := l.lock(ctx); err != nil {
		return nil, unreachable{err}
	}
	defer l.unlock()
	if err := a.ctx.Err(); err != nil {
		return nil, unreachable{err}
	}
	if l.conn != nil && !l.conn.IsClosed() {
		return l.conn, nil
	}
	if l.conn != nil {
		l.conn.end()
		l.conn = nil
	}
	conn, err := a.dial(ctx)
	if l.down = err; err != nil {
		return nil, unreachable{err}
	}
	l.conn = conn
	if l == &a.work {
		a.restore(ctx, conn, func(declaration) bool { return true })
	} else {
		alarms := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
		conn.alarm.Go(func() { a.hearAlarms(conn, alarms) })
	}
	return conn, nil
}

// wasDown is why the last attempt to connect failed; nil after one that did
// not, and while another goroutine tries.
func (a *amqpClient) wasDown(l *amqpLine) error {
	select {
	case l.turn <- struct{}{}:
		defer l.unlock()
		return l.down
	default:
		return nil
	}
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
	k.gone = k.NotifyClose(make(chan *amqp.Error, 1))
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

// hearAlarms notes when the server blocks publishers, until the connection
// ends.
func (a *amqpClient) hearAlarms(k *amqpConn, alarms <-chan amqp.Blocking) {
	what := "publishing to amqp " + a.target
	for b := range alarms {
		k.mu.Lock()
		k.blocked = ""
		if b.Active {
			k.blocked = "the server takes no messages: " + b.Reason
		}
		blocked := k.blocked
		k.mu.Unlock()
		if blocked == "" {
			a.in.recovered(what)
		} else {
			a.in.degrade(what, errors.New(blocked))
		}
	}
	a.in.recovered(what)
}

func (k *amqpConn) blockedReason() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.blocked
}

// end closes the connection, and gives the server a bounded time to agree.
func (k *amqpConn) end() {
	_ = k.CloseDeadline(time.Now().Add(amqpGoodbye)) // it may be lost already
	_ = k.raw.Close()
	k.alarm.Wait()
}

// end closes the client's connections; nobody makes others.
func (a *amqpClient) end() {
	for _, l := range []*amqpLine{&a.work, &a.out} {
		l.turn <- struct{}{} // whoever has it sees that the client's context has ended
		if l.conn != nil {
			l.conn.end()
			l.conn = nil
		}
		l.unlock()
	}
}

// keep connects, connects again when the connection is lost, and looks from
// time to time whether what the client has declared is still there, until ctx
// ends.
func (a *amqpClient) keep(ctx context.Context) {
	what := "amqp " + a.target
	pause := newBackoff(a.in.plugin.host.clock)
	for ctx.Err() == nil {
		var conn *amqpConn
		err := a.within(ctx, func(ctx context.Context) (err error) {
			if conn, err = a.connection(ctx, &a.work); err == nil {
				a.restore(ctx, conn, declaration.stays)
				err = ctx.Err()
			}
			return err
		})
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			a.in.degrade(what, err)
			_ = pause.wait(ctx)
			continue
		}
		a.in.recovered(what)
		pause.attempt = 0
		a.rest(ctx, conn)
	}
	a.in.recovered(what)
}

// rest waits for the next look, or until the connection is lost.
func (a *amqpClient) rest(ctx context.Context, conn *amqpConn) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-conn.gone: //nolint:errcheck // only that it is gone matters here
			cancel()
		case <-ctx.Done():
		}
	})
	_ = a.in.plugin.host.clock.Sleep(ctx, amqpLook)
	cancel()
	watch.Wait()
}
