package amqp

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"nearside/lua/ns/peer"
)

const (
	heartbeat = 10 * time.Second // three missed heartbeats end the connection
	closeTime = time.Second      // timeout of the server's reply to a close

	// CheckInterval is the time between two checks of the client's declarations.
	CheckInterval = 10 * time.Second
)

// Limits of a client.
const (
	MaxPrefetch     = 1000     // messages that the server sends a consumer in advance
	MaxMessage      = 16 << 20 // bytes of a body
	maxCalls        = 256      // operations in progress; others wait
	maxDeclarations = 256      // declarations that a client restores when it reconnects
)

// A Client has two connections. A server that is short of memory or disk space stops
// reading from connections that publish. In the meantime, consumers must be able to
// acknowledge messages on the other connection. Methods may be called by any
// goroutine.
type Client struct {
	peer.Client
	url   string // without user and password
	auth  amqp091.Authentication
	vhost string
	slots chan struct{} // one per operation in progress

	work   line // for declarations and consumers
	out    line // for publishing
	wanted Declarations
}

// Connect returns a client of the server at e. The client connects in the
// background, and keeps trying while the server is down. Connect fails if the owner
// cannot have another client.
func Connect(c peer.Client, e peer.Endpoint) (*Client, error) {
	a := &Client{
		Client: c,
		// Without user and password, so that no error can show them.
		url:   (&url.URL{Scheme: e.Scheme, Host: e.Target()}).String(),
		auth:  &amqp091.PlainAuth{Username: cmp.Or(e.User, "guest"), Password: cmp.Or(e.Password, "guest")},
		vhost: cmp.Or(e.Path, "/"),
		slots: make(chan struct{}, maxCalls),
		work:  line{turn: make(chan struct{}, 1)},
		out:   line{turn: make(chan struct{}, 1)},
	}
	if err := a.Open(a.end); err != nil {
		return nil, err
	}
	_, err := a.Owner.Go(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.Context(), cancel)()
		a.maintain(ctx)
	})
	if err != nil {
		a.Cancel()
		return nil, err
	}
	return a, nil
}

// A line holds a connection and replaces it when it is lost.
type line struct {
	turn chan struct{} // of capacity 1: the lock of the fields below; a context can end the wait for it
	conn *conn         // nil: not connected yet
	down error         // why the last attempt to connect failed; nil: it succeeded
}

// A conn is one connection.
type conn struct {
	*amqp091.Connection
	raw   net.Conn
	gone  chan *amqp091.Error // closed when the connection is lost
	alarm sync.WaitGroup      // the goroutine that receives Blocked notifications

	mu      sync.Mutex
	blocked string           // why the server does not accept messages; empty: it does
	plain   *amqp091.Channel // for publishing without confirms
	senders []*sender        // channels for publishing with confirms that no call uses
}

// A channel is an AMQP channel that remembers why it was closed.
type channel struct {
	*amqp091.Channel
	closed chan *amqp091.Error

	mu     sync.Mutex
	reason *amqp091.Error
}

func newChannel(ch *amqp091.Channel) *channel {
	return &channel{Channel: ch, closed: ch.NotifyClose(make(chan *amqp091.Error, 1))}
}

// fault returns why the server closed the channel. If the server did not close it,
// fault returns err.
func (ch *channel) fault(err error) error {
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
	return err
}

// operate runs f under the client's timeout. At most maxCalls operations run at once.
func (a *Client) operate(ctx context.Context, f func(ctx context.Context) error) error {
	return a.Within(ctx, func(ctx context.Context) error {
		select {
		case a.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-a.slots }()
		return f(ctx)
	})
}

// lock locks the line. It returns the error of ctx if ctx ends first.
func (l *line) lock(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) unlock() { <-l.turn }

// guard runs f, which calls the library without a context. If ctx ends while f runs,
// guard closes the connection, which makes f return. The next operation makes a new
// connection.
func (k *conn) guard(ctx context.Context, f func() error) error {
	defer context.AfterFunc(ctx, func() { _ = k.raw.Close() })()
	if err := f(); err != nil {
		return err
	}
	return ctx.Err()
}

// An UnreachableError wraps the reason why there is no connection.
type UnreachableError struct{ Reason error }

func (e UnreachableError) Error() string { return e.Reason.Error() }

func (e UnreachableError) Unwrap() error { return e.Reason }

// connection returns the connection of a line. It makes a new one if the old one is
// lost. On a new connection of the work line, it restores the client's declarations.
// The error is an UnreachableError.
func (a *Client) connection(ctx context.Context, l *line) (*conn, error) {
	if err := l.lock(ctx); err != nil {
		return nil, UnreachableError{Reason: err}
	}
	defer l.unlock()
	if err := a.Context().Err(); err != nil {
		return nil, UnreachableError{Reason: err}
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
		return nil, UnreachableError{Reason: err}
	}
	l.conn = conn
	if l == &a.work {
		a.restore(ctx, conn, func(Declaration) bool { return true })
	} else {
		alarms := conn.NotifyBlocked(make(chan amqp091.Blocking, 1))
		conn.alarm.Go(func() { a.watchAlarms(conn, alarms) })
	}
	return conn, nil
}

// wasDown returns why the last attempt to connect failed. It returns nil if the
// attempt succeeded or another goroutine holds the line.
func (a *Client) wasDown(l *line) error {
	select {
	case l.turn <- struct{}{}:
		defer l.unlock()
		return l.down
	default:
		return nil
	}
}

func (a *Client) dial(ctx context.Context) (*conn, error) {
	k := &conn{}
	stop := func() bool { return true }
	var err error
	k.Connection, err = amqp091.DialConfig(a.url, amqp091.Config{
		SASL: []amqp091.Authentication{a.auth}, Vhost: a.vhost, Heartbeat: heartbeat,
		Properties: amqp091.Table{"product": "nearside", "connection_name": "nearside plugin " + a.Owner.Name()},
		Dial: func(network, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			k.raw = raw
			stop = context.AfterFunc(ctx, func() { _ = raw.Close() })
			return &timedConn{raw, a.Timeout}, nil
		},
	})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if k.raw != nil {
			_ = k.raw.Close() // this also ends the goroutines of the library
		}
		return nil, err
	}
	k.gone = k.NotifyClose(make(chan *amqp091.Error, 1))
	return k, nil
}

// A timedConn sets a timeout on each write. A server that is short of memory stops
// reading, so that a write would block.
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

// watchAlarms records when the server blocks and unblocks publishers. It returns when
// the connection ends.
func (a *Client) watchAlarms(k *conn, alarms <-chan amqp091.Blocking) {
	part := "publishing to amqp " + a.Target
	for b := range alarms {
		k.mu.Lock()
		k.blocked = ""
		if b.Active {
			k.blocked = "the server takes no messages: " + b.Reason
		}
		blocked := k.blocked
		k.mu.Unlock()
		if blocked == "" {
			a.Owner.Recovered(part)
		} else {
			a.Owner.Degrade(part, errors.New(blocked))
		}
	}
	a.Owner.Recovered(part)
}

func (k *conn) blockedReason() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.blocked
}

// end closes the connection. It waits up to closeTime for the server's reply.
func (k *conn) end() {
	_ = k.CloseDeadline(time.Now().Add(closeTime)) // the connection may be lost already
	_ = k.raw.Close()
	k.alarm.Wait()
}

// end closes the client's connections. It is called after the client has ended, so
// that no new connections are made.
func (a *Client) end() {
	for _, l := range []*line{&a.work, &a.out} {
		l.turn <- struct{}{} // a goroutine that holds the line sees that the client's context has ended
		if l.conn != nil {
			l.conn.end()
			l.conn = nil
		}
		l.unlock()
	}
}

// maintain keeps the work connection open until ctx ends. It reconnects when the
// connection is lost. At each CheckInterval it declares the client's permanent queues
// and exchanges again (see Declaration.IsPermanent), in case they were deleted.
func (a *Client) maintain(ctx context.Context) {
	part := "amqp " + a.Target
	pause := peer.NewBackoff(a.Owner)
	for ctx.Err() == nil {
		var conn *conn
		err := a.Within(ctx, func(ctx context.Context) (err error) {
			if conn, err = a.connection(ctx, &a.work); err == nil {
				a.restore(ctx, conn, Declaration.IsPermanent)
				err = ctx.Err()
			}
			return err
		})
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			a.Owner.Degrade(part, err)
			_ = pause.Wait(ctx)
			continue
		}
		a.Owner.Recovered(part)
		pause.Reset()
		a.awaitCheck(ctx, conn)
	}
	a.Owner.Recovered(part)
}

// awaitCheck waits for CheckInterval, or until the connection is lost or ctx ends.
func (a *Client) awaitCheck(ctx context.Context, conn *conn) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-conn.gone: //nolint:errcheck // the reason does not matter here
			cancel()
		case <-ctx.Done():
		}
	})
	_ = a.Owner.Clock().Sleep(ctx, CheckInterval)
	cancel()
	watch.Wait()
}
