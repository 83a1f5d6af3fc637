package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/hertz/pkg/common/config"
	"github.com/cloudwego/hertz/pkg/network"
	"github.com/cloudwego/hertz/pkg/network/standard"
)

// lingerMax is how long a connection is read on after an answer that did not
// wait for the whole request: closed at once, it would take the answer away
// from a client that is still sending.
const lingerMax = time.Second

// listener keeps its connections and counts the requests under way, so that
// Shutdown can wait for these and close those that idle.
type listener struct {
	net.Listener
	firstRead time.Duration // until the first request must have been read
	refusal   refusal
	closed    chan struct{}
	close     func() error
	requests  sync.WaitGroup // from their handler on, until the answer was written

	turnedAway sync.WaitGroup // connections that are too many, until they are closed

	most atomic.Int64 // connections that are open at once

	mu   sync.Mutex
	open map[*connection]struct{}
	away map[*connection]struct{} // those of turnedAway
}

// refusal returns the whole answer to a request that hertz refuses with status,
// or over which it panicked.
type refusal func(status int, panicked any) []byte

// state is how far a connection is with a request.
type state int

const (
	idle      state = iota // or with one that no handler has seen yet
	handling               // its handler runs
	answering              // hertz writes the answer
)

// connection is an accepted connection. But for cut, all is done by the
// goroutine that serves it.
type connection struct {
	net.Conn
	of      *listener
	state   state
	heard   bool   // the client has sent something
	linger  bool   // the request was not read to its end
	refused bool   // no more requests are read
	sent    func() // what is to be done when the answer was written; nil: nothing
}

func listen(address string, firstRead time.Duration, refuse refusal) (*listener, error) {
	inner, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	l := &listener{
		Listener: inner, firstRead: firstRead, refusal: refuse, closed: make(chan struct{}),
		open: map[*connection]struct{}{}, away: map[*connection]struct{}{},
	}
	l.most.Store(connectionsMax())
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return l.Listener.Close()
	})
	return l, nil
}

// Close implements net.Listener; it may be called more than once.
func (l *listener) Close() error { return l.close() }

// Accept implements net.Listener. It returns an error only when the listener
// was closed: hertz would end for good when, say, there are too many open
// files for a moment.
func (l *listener) Accept() (net.Conn, error) {
	delay := acceptDelay
	for {
		inner, err := l.Listener.Accept()
		if err == nil {
			c, room := l.keep(inner)
			if room {
				return c, nil
			}
			l.turnAway(c)
			delay = acceptDelay
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		case <-time.After(delay):
			delay = min(2*delay, time.Second)
		}
	}
}

// acceptDelay is the first pause after Accept failed.
const acceptDelay = 5 * time.Millisecond

// keep keeps a new connection, unless there is no room for it.
func (l *listener) keep(inner net.Conn) (c *connection, room bool) {
	_ = inner.SetReadDeadline(time.Now().Add(l.firstRead)) // fails on a closed connection only, and reading tells that
	c = &connection{Conn: inner, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(len(l.open)) >= l.most.Load() {
		return c, false
	}
	l.open[c] = struct{}{}
	return c, true
}

// cutAll closes the connections under hertz, which then ends with them.
func (l *listener) cutAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.cut()
	}
	for c := range l.away {
		c.cut()
	}
}

// cut closes c under hertz. It may be called by any goroutine.
func (c *connection) cut() { _ = c.Conn.Close() }

// begin counts a request in, unless the one before, whose answer was written,
// still is.
func (c *connection) begin() {
	c.wasSent()
	if c.state == idle {
		c.of.requests.Add(1)
	}
	c.state = handling
}

// end says that the handler has returned.
func (c *connection) end() { c.state = answering }

// answered counts the request out when its answer was written.
func (c *connection) answered() {
	if c.state == answering {
		c.state = idle
		c.wasSent()
		c.of.requests.Done()
	}
}

// wasSent does what is to be done when an answer was written.
func (c *connection) wasSent() {
	if c.sent != nil {
		c.sent()
		c.sent = nil
	}
}

// Read implements net.Conn. When hertz reads after a handler has returned, it
// wants the next request.
func (c *connection) Read(p []byte) (int, error) {
	c.answered()
	if c.refused {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p)
	c.heard = c.heard || n > 0
	return n, err
}

// Write implements net.Conn. What hertz cannot parse it answers itself, in its
// own words; they are replaced. Every answer of ours has a request id.
func (c *connection) Write(p []byte) (int, error) {
	switch status := bareStatus(p); {
	case status == http.StatusRequestTimeout && !c.heard:
		// Connections that are opened early are kept by clients: one would take
		// this for the answer to what it sends later.
		c.refused = true
		return len(p), nil
	case status >= http.StatusBadRequest:
		return len(p), c.refuse(status, nil)
	}
	return c.Conn.Write(p)
}

// bareStatus returns the status of an answer without a request id; 0 when p
// does not begin one.
func bareStatus(p []byte) int {
	const begin = "HTTP/1.1 "
	if !bytes.HasPrefix(p, []byte(begin)) || len(p) < len(begin)+3 || bytes.Contains(p, []byte("\r\nLuna-Request-Id: ")) {
		return 0
	}
	status, _ := strconv.Atoi(string(p[len(begin):][:3])) // else 0
	return status
}

// refuse answers what no handler will see, and reads no more requests.
func (c *connection) refuse(status int, panicked any) error {
	c.linger, c.refused = true, true
	_ = c.SetWriteDeadline(time.Now().Add(lingerMax))
	_, err := c.Conn.Write(c.of.refusal(status, panicked))
	return err
}

// Close implements net.Conn. It leaves the work to done: hertz closes before
// it is known how it ended.
func (c *connection) Close() error { return nil }

// done closes c when hertz is through with it.
func (c *connection) done() {
	c.answered()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger && half.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingerMax))
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	_ = c.Conn.Close()
	c.of.mu.Lock()
	delete(c.of.open, c)
	delete(c.of.away, c)
	c.of.mu.Unlock()
}

// connectionKey finds the connection in the context of a request.
type connectionKey struct{}

func withConnection(c net.Conn) context.Context {
	return context.WithValue(context.Background(), connectionKey{}, c)
}

func connectionOf(ctx context.Context) *connection { return ctx.Value(connectionKey{}).(*connection) }

// transporter is hertz's, except that a panic of hertz ends the connection and
// not the process: v0.10.4 has one when it reads "Trailer: ,".
type transporter struct{ network.Transporter }

func newTransporter(o *config.Options) network.Transporter {
	return transporter{standard.NewTransporter(o)}
}

// ListenAndServe implements network.Transporter.
func (t transporter) ListenAndServe(serve network.OnData) error {
	return t.Transporter.ListenAndServe(func(ctx context.Context, conn any) error {
		c := connectionOf(ctx)
		defer c.done()
		defer func() {
			if p := recover(); p != nil {
				_ = c.refuse(http.StatusBadRequest, p)
			}
		}()
		return serve(ctx, conn)
	})
}
