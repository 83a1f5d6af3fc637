package server

import (
	"context"
	"errors"
	"io"
	"time"

	hertzerrors "github.com/cloudwego/hertz/pkg/common/errors"
	"github.com/cloudwego/hertz/pkg/network"

	"nearside/matcher"
)

// transport accepts connections. It gives hertz one request of a connection at a
// time, when the head is complete. So an idle connection holds no memory of hertz.
type transport struct{ *listener }

// ListenAndServe implements network.Transporter. It returns when the listener
// is closed.
func (t transport) ListenAndServe(serve network.OnData) error {
	for {
		c, err := t.accept()
		if err != nil {
			return nil //nolint:nilerr // the listener was closed
		}
		t.serving.Go(func() {
			defer c.finish()
			if !c.handshake() {
				return
			}
			ctx := context.WithValue(context.Background(), connectionKey{}, c)
			for c.nextRequest() && c.serveRequest(ctx, serve) {
				c.listener.markIdle(c)
			}
		})
	}
}

// Close implements network.Transporter.
func (t transport) Close() error { return t.listener.Close() }

// Shutdown implements network.Transporter. It waits for all connections to end.
func (t transport) Shutdown(ctx context.Context) error {
	_ = t.listener.Close()
	done := make(chan struct{})
	go func() {
		t.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveRequest lets hertz answer one request. It reports whether the connection can
// be used for another request. A panic of hertz ends the connection but not the process:
// hertz v0.10.4 panics when it reads "Trailer: ,".
func (c *connection) serveRequest(ctx context.Context, serve network.OnData) (more bool) {
	defer c.endRequest()
	defer func() {
		if p := recover(); p != nil {
			c.listener.server.options.Log.Warn("request cannot be read", "client", c.peer.String(), "panic", p)
			c.refuse(matcher.Errorf(matcher.CodeSyntax, "request: not HTTP/1.1: the header cannot be read"))
			more = false
		}
	}()
	err := serve(ctx, c)
	return c.handlerCalled && (err == nil || errors.Is(err, hertzerrors.ErrIdleTimeout))
}

// The methods below are the view that hertz has of a connection.

// Len implements network.Reader.
func (c *connection) Len() int { return c.headLeft }

// Peek implements network.Reader. After the head, hertz finds the end of the
// stream and returns.
func (c *connection) Peek(n int) ([]byte, error) {
	if n > c.headLeft {
		return c.in[c.begin : c.begin+c.headLeft], io.EOF
	}
	return c.in[c.begin : c.begin+n], nil
}

// Skip implements network.Reader.
func (c *connection) Skip(n int) error {
	if n > c.headLeft {
		return io.ErrUnexpectedEOF
	}
	c.begin += n
	c.headLeft -= n
	return nil
}

// Release implements network.Reader.
func (c *connection) Release() error { return nil }

// ReadByte implements network.Reader.
func (c *connection) ReadByte() (byte, error) {
	b, err := c.Peek(1)
	if err != nil {
		return 0, err
	}
	return b[0], c.Skip(1)
}

// ReadBinary implements network.Reader.
func (c *connection) ReadBinary(n int) ([]byte, error) {
	b, err := c.Peek(n)
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), b...), c.Skip(n)
}

// Read implements net.Conn. hertz does not use it.
func (c *connection) Read([]byte) (int, error) { return 0, io.EOF }

// Close implements net.Conn. It does nothing, because hertz would close the
// connection too early. finish closes it.
func (c *connection) Close() error { return nil }

// SetReadTimeout implements network.Conn. It does nothing, because hertz never waits
// for the client.
func (c *connection) SetReadTimeout(time.Duration) error { return nil }

// SetWriteTimeout implements network.Conn.
func (c *connection) SetWriteTimeout(d time.Duration) error {
	c.writeUntil(time.Now().Add(d))
	return nil
}

// Malloc implements network.Writer.
func (c *connection) Malloc(n int) ([]byte, error) { return c.out.allocate(n), nil }

// WriteBinary implements network.Writer.
func (c *connection) WriteBinary(p []byte) (int, error) {
	c.out.addBytes(p)
	return len(p), nil
}

// Write implements net.Conn.
func (c *connection) Write(p []byte) (int, error) {
	c.out.addBytes(p)
	return len(p), c.Flush()
}

// Flush implements network.Writer. If no handler has run, hertz has refused the
// request. Flush then sends our error instead of the answer of hertz.
func (c *connection) Flush() error {
	if !c.handlerCalled {
		c.out.discard()
		c.refuse(matcher.Errorf(matcher.CodeSyntax, "request: not HTTP/1.1: the header cannot be read"))
		return io.ErrClosedPipe
	}
	return c.out.flush()
}
