package server

import (
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"nearside/matcher"
)

const (
	// lingerMax is how long the server goes on reading after it has answered a
	// request that has not arrived completely. If it closed the connection at once,
	// a client that is still sending would not see the answer.
	lingerMax = time.Second
	// idleMax is how long a connection may wait for its next request.
	idleMax = 2 * time.Minute
	// inputMin is the smallest size of the input buffer.
	inputMin = 4 << 10
)

// connection is an accepted connection. It reads the heads of requests and gives
// hertz one request at a time. hertz never waits for the client and never sees a
// body. Handlers read bodies with a bodyReader.
//
// One goroutine uses it. Other goroutines may call cut and endReading.
type connection struct {
	net.Conn
	listener *listener
	secure   *secure       // the TLS layer; nil: the connection does not use TLS
	peer     netip.Addr    // the other end of the connection
	proxy    bool          // the peer was a trusted proxy when the connection was accepted
	address  netip.Prefix  // the client for which it is counted; zero: none. Guarded by listener.mu
	loopback bool          // the peer is on this machine
	idle     *list.Element // guarded by listener.mu; nil: a request is being answered

	in         []byte // in[begin:end] holds the bytes that were read
	begin, end int
	first      bool        // no request has begun on this connection
	received   int64       // bytes that were read into in
	skip       *bodyReader // the last body, if its rest must be skipped before the next head
	head       head
	headLeft   int    // bytes of the head that hertz has not read
	headRoom   *claim // room for the part of in beyond inputMin

	out           output
	answer        *claim // room for the answer, until it is written; nil: the answer needs no reservation
	handlerCalled bool   // hertz has called the handler of the request
	counted       bool   // the request is counted in listener.requests
	linger        bool   // the client may still be sending
	reading       reading
	reset         bool // the client does not read, so finish resets the connection and the kernel drops unsent bytes

	mu       sync.Mutex
	tooSlow  bool      // set by endReading
	asked    bool      // askWriter has interrupted a write, and wasAsked was not called since
	writeEnd time.Time // the deadline of writes
}

func newConnection(inner net.Conn, l *listener) *connection {
	c := &connection{Conn: inner, listener: l, peer: peerOf(inner), loopback: isLoopback(inner), in: make([]byte, inputMin), first: true}
	c.headRoom = l.server.heads.newClaim(c.endReading)
	c.out.to = c
	return c
}

// cut closes c at once. The goroutine of c ends soon after.
func (c *connection) cut() { _ = c.Conn.Close() }

// readUntil sets the time at which reads fail, unless endReading was called.
func (c *connection) readUntil(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tooSlow {
		_ = c.SetReadDeadline(t) // fails only on a closed connection; the next read reports it
	}
}

// endReading makes all later reads fail, because the client is slow and others wait
// for its memory.
func (c *connection) endReading() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tooSlow = true
	_ = c.SetReadDeadline(time.Unix(1, 0))
}

func (c *connection) isTooSlow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tooSlow
}

// nextRequest reads the head of the next request. It returns false when the client
// has closed the connection, was idle for too long, or sent something that is not
// HTTP. In the last case nextRequest has already sent the error.
func (c *connection) nextRequest() bool {
	c.head.reset()
	c.handlerCalled, c.linger = false, false
	c.headRoom.resume() // before shrinkInput: resume ignores a claim that holds nothing
	c.shrinkInput()
	err := c.readHead()
	var refused *matcher.Error
	switch {
	case err == nil:
		c.headRoom.suspend() // the client has sent the head
		c.listener.markBusy(c)
		return true
	case errors.Is(err, errUnskipped):
		c.linger = true // so that the client can read the previous answer
		return false
	case c.isTooSlow():
		refused = matcher.Errorf(matcher.CodeTooSlow, "header: fewer than %d bytes arrived in %s while other requests waited for memory", slowBytes, slowAfter)
	case c.begin == c.end || errors.Is(err, net.ErrClosed):
		return false // no request had begun
	case errors.Is(err, os.ErrDeadlineExceeded):
		refused = matcher.Errorf(matcher.CodeDeadline, "request: the rest did not arrive in time")
	case errors.As(err, &refused):
	default:
		refused = notHTTP("it is cut short: %w", err)
	}
	c.refuse(refused)
	return false
}

// readHead reads until the head of a request is complete.
func (c *connection) readHead() error {
	limits := c.listener.server.limits.Load()
	wait := idleMax
	if c.first {
		c.first, wait = false, limits.RequestTimeout
	}
	deadline := time.Now().Add(wait)
	begun := false
	for {
		if err := c.skipBody(deadline); err != nil {
			return err
		}
		if c.end > c.begin {
			if !begun {
				begun = true
				deadline = time.Now().Add(limits.RequestTimeout)
				c.listener.markIdle(c)
			}
			text := c.in[c.begin:c.end]
			size, err := c.head.scan(text[:min(len(text), limits.HeaderBytes)])
			if err != nil {
				return err
			}
			if size > 0 {
				c.showHead(size)
				return nil
			}
			if len(text) >= limits.HeaderBytes {
				return matcher.Errorf(matcher.CodeBadInput, "header: %w of %d bytes (limits.header_bytes)", errLargeHeader, limits.HeaderBytes)
			}
		}
		c.readUntil(deadline)
		if err := c.roomForHead(deadline, limits.HeaderBytes); err != nil {
			return err
		}
		n, err := c.fillInput()
		if n > 0 {
			c.headRoom.progress(n)
		} else if err != nil {
			return err
		}
	}
}

// skipBody reads and drops the rest of the last body.
func (c *connection) skipBody(deadline time.Time) error {
	if c.skip == nil {
		return nil
	}
	c.readUntil(deadline)
	for {
		switch err := c.skip.dropNext(); {
		case errors.Is(err, io.EOF):
			c.skip = nil
			return nil
		case err != nil:
			return err
		}
	}
}

// showHead lets hertz read the head of size bytes that begins at c.begin. HTTP
// allows an empty Host but hertz refuses it, so hertz sees hostShown instead.
func (c *connection) showHead(size int) {
	if at := c.head.emptyHost; at > 0 {
		c.in = slices.Insert(c.in, c.begin+at, hostShown)
		c.head.shiftHidden(at)
		size++
		c.end++
	}
	removed := c.head.removeHidden(c.in[c.begin : c.begin+size])
	c.begin, c.headLeft = c.begin+removed, size-removed
}

// hostShown is the Host that hertz sees instead of an empty one.
const hostShown = '-'

// consumed returns how many bytes of the input have been used since c was opened.
func (c *connection) consumed() int64 { return c.received - int64(c.end-c.begin) }

// errLargeHeader gives an error of CodeBadInput the status 431.
var errLargeHeader = errors.New("larger than the limit")

// roomForHead ensures that the input buffer has space for more of a head. limit is the
// largest size of a head.
func (c *connection) roomForHead(deadline time.Time, limit int) error {
	if c.begin == c.end {
		c.begin, c.end = 0, 0
	}
	if c.end < len(c.in) {
		return nil
	}
	if c.begin > 0 {
		c.end = copy(c.in, c.in[c.begin:c.end])
		c.begin = 0
		return nil
	}
	size := min(2*len(c.in), limit+inputMin)
	ctx, cancel := context.WithDeadline(c.listener.server.context, deadline)
	defer cancel()
	if err := c.headRoom.grow(ctx, int64(size-len(c.in))); err != nil {
		return err
	}
	larger := make([]byte, size)
	copy(larger, c.in)
	c.in = larger
	return nil
}

// shrinkInput makes the buffer small again after a large head.
func (c *connection) shrinkInput() {
	if len(c.in) == inputMin || c.end-c.begin > inputMin {
		return
	}
	small := make([]byte, inputMin)
	c.end = copy(small, c.in[c.begin:c.end])
	c.in, c.begin = small, 0
	c.headRoom.shrink(0)
}

// read reads bytes that the client sends. It waits until some have arrived.
func (c *connection) read(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.read(p)
	}
	return c.Conn.Read(p)
}

// write sends a short text.
func (c *connection) write(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.write(p)
	}
	return c.Conn.Write(p)
}

// fillInput reads the next bytes into the buffer, which must have room.
func (c *connection) fillInput() (int, error) {
	n, err := c.read(c.in[c.end:])
	c.end += n
	c.received += int64(n)
	return n, err
}

// readArrived reads bytes that have arrived. It does not wait: without such bytes, at the
// end of the input and after the deadline of reads, it returns 0. A read that may wait
// reports the end and the deadline.
func (c *connection) readArrived(p []byte) (n int, err error) {
	if c.secure != nil {
		return c.secure.readArrived(p)
	}
	return readArrived(c.Conn, p)
}

// readArrived is connection.readArrived for the connection of TCP.
func readArrived(tcp net.Conn, p []byte) (n int, err error) {
	socket, ok := tcp.(syscall.Conn)
	if !ok || len(p) == 0 {
		return 0, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	// An error of raw.Read is that of a deadline, which the next read may move, or that of a
	// closed connection, which the next read reports.
	_ = raw.Read(func(fd uintptr) (done bool) {
		for n, failed = -1, syscall.EINTR; errors.Is(failed, syscall.EINTR); {
			n, failed = syscall.Read(int(fd), p)
		}
		return true
	})
	if errors.Is(failed, syscall.EAGAIN) {
		failed = nil
	}
	return max(n, 0), failed
}

// refuse answers with an error before a handler has seen the request. The connection
// ends after that.
func (c *connection) refuse(e *matcher.Error) {
	c.linger = true
	_ = c.SetWriteDeadline(time.Now().Add(lingerMax))
	_, _ = c.write(c.listener.server.refusalAnswer(e))
}

// endRequest ends a request whose answer was written or cannot be written.
func (c *connection) endRequest() {
	if c.answer != nil {
		c.answer.shrink(0)
		c.answer = nil
	}
	if c.counted {
		c.counted = false
		c.listener.requests.Done()
	}
	c.listener.uncountClient(c)
}

// finish closes c.
func (c *connection) finish() {
	c.endRequest()
	if c.secure != nil && !c.reset {
		_ = c.SetWriteDeadline(time.Now().Add(lingerMax))
		c.secure.closeWrite()
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger && !c.reset && half.CloseWrite() == nil {
		c.discardInput()
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
	c.headRoom.shrink(0)
	c.listener.mu.Lock()
	c.listener.removeConnection(c)
	c.listener.mu.Unlock()
}

// discardInput reads and drops what the client sends within lingerMax.
func (c *connection) discardInput() {
	_ = c.SetReadDeadline(time.Now().Add(lingerMax))
	block := blockPool.Get().(*[blockMax]byte)
	defer blockPool.Put(block)
	for {
		if _, err := c.Conn.Read(block[:]); err != nil {
			return
		}
	}
}

// connectionKey is the key of the connection in the context of a request.
type connectionKey struct{}

func connectionOf(ctx context.Context) *connection { return ctx.Value(connectionKey{}).(*connection) }
