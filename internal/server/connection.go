package server

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"nearside/matcher"
)

const (
	// lingerMax is how long a connection is read on after an answer that did
	// not wait for the whole request. If it were closed at once, a client that
	// is still sending would not see the answer.
	lingerMax = time.Second
	// idleMax is how long a connection may wait for its next request.
	idleMax = 2 * time.Minute
	// inputMin is the least size of the buffer for what was read.
	inputMin = 4 << 10
)

// connection is an accepted connection. It reads the heads of requests and
// shows hertz one request at a time: hertz waits for nothing and sees no body,
// which handlers read with a bodyReader.
//
// One goroutine uses it. cut and endReading may be called by others.
type connection struct {
	net.Conn
	of      *listener
	address netip.Prefix
	idle    *list.Element // guarded by of.mu; nil: a request is being answered

	in         []byte // in[begin:end] holds the bytes that were read
	begin, end int
	first      bool // no request was read yet
	head       head
	headLeft   int    // bytes of the head that hertz has not read
	headRoom   *claim // for in beyond inputMin

	out     output
	answer  *claim    // room for the answer, until it is written; nil: it needs none
	begun   bool      // a handler has taken the request
	counted bool      // in of.requests
	linger  bool      // the request was not read to its end
	readAt  time.Time // when the client has taken a part of the answer last
	reset   bool      // the client does not read: what the kernel has for it is dropped

	mu       sync.Mutex
	tooSlow  bool // no more is read, because the client is slow and others wait
	unread   bool // the writer is to check whether the client reads
	writeEnd time.Time
}

func newConnection(inner net.Conn, l *listener) *connection {
	c := &connection{Conn: inner, of: l, address: addressOf(inner), in: make([]byte, inputMin), first: true}
	c.headRoom = l.server.heads.claim(c.endReading)
	c.out.to = c
	return c
}

// cut closes c at once. Its goroutine ends soon after.
func (c *connection) cut() { _ = c.Conn.Close() }

// readUntil sets the time at which reads fail, unless they fail already.
func (c *connection) readUntil(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tooSlow {
		_ = c.SetReadDeadline(t) // fails on a closed connection only, and reading tells that
	}
}

// endReading lets reads fail from now on, because the client is slow and
// others wait for what it holds.
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

// next reads the head of the next request. It returns false when there is
// none: because the client has closed the connection or was idle for too long,
// or because it sent something that is not HTTP, which next has answered.
func (c *connection) next() bool {
	c.head.reset()
	c.begun, c.linger = false, false
	c.keepInput()
	err := c.readHead()
	var refused *matcher.Error
	switch {
	case err == nil:
		c.of.busy(c)
		return true
	case c.isTooSlow():
		refused = matcher.Errorf(matcher.CodeTooSlow, "header: less than %d bytes came in %s, and others wait for the memory", slowBytes, slowAfter)
	case c.begin == c.end || errors.Is(err, net.ErrClosed):
		return false // it had not begun a request
	case errors.Is(err, os.ErrDeadlineExceeded):
		refused = matcher.Errorf(matcher.CodeDeadline, "request: no more of it came in time")
	case errors.As(err, &refused):
	default:
		refused = notHTTP("it is cut short: %w", err)
	}
	c.refuse(refused)
	return false
}

// readHead reads until the head of a request is complete.
func (c *connection) readHead() error {
	limits := c.of.server.limits.Load()
	wait := idleMax
	if c.first {
		c.first, wait = false, limits.RequestTimeout
	}
	deadline := time.Now().Add(wait)
	heard := false
	for {
		if c.end > c.begin {
			if !heard {
				heard = true
				deadline = time.Now().Add(limits.RequestTimeout)
				c.of.rest(c)
			}
			text := c.in[c.begin:c.end]
			size, err := c.head.scan(text[:min(len(text), limits.HeaderBytes)])
			if err != nil {
				return err
			}
			if size > 0 {
				cut := c.head.remove(text[:size])
				c.begin, c.headLeft = c.begin+cut, size-cut
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
		n, err := c.fill()
		if n > 0 {
			c.headRoom.progress(n)
		} else if err != nil {
			return err
		}
	}
}

// errLargeHeader is the only error of CodeBadInput with the status 431.
var errLargeHeader = errors.New("larger than the limit")

// roomForHead makes room to read more of a head.
func (c *connection) roomForHead(deadline time.Time, most int) error {
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
	size := min(2*len(c.in), most+inputMin)
	ctx, cancel := context.WithDeadline(c.of.server.context, deadline)
	defer cancel()
	if err := c.headRoom.grow(ctx, int64(size-len(c.in))); err != nil {
		return err
	}
	larger := make([]byte, size)
	copy(larger, c.in)
	c.in = larger
	return nil
}

// keepInput makes the buffer small again after a large head.
func (c *connection) keepInput() {
	if len(c.in) == inputMin || c.end-c.begin > inputMin {
		return
	}
	small := make([]byte, inputMin)
	c.end = copy(small, c.in[c.begin:c.end])
	c.in, c.begin = small, 0
	c.headRoom.shrink(0)
}

// fill reads what comes next into the buffer, which has room.
func (c *connection) fill() (int, error) {
	n, err := c.Conn.Read(c.in[c.end:])
	c.end += n
	return n, err
}

// refuse answers a request that no handler will see. No more requests are read
// from the connection.
func (c *connection) refuse(e *matcher.Error) {
	c.linger = true
	_ = c.SetWriteDeadline(time.Now().Add(lingerMax))
	_, _ = c.Conn.Write(c.of.server.refusal(e))
}

// answered counts the request out: its answer is written, or cannot be.
func (c *connection) answered() {
	if c.answer != nil {
		c.answer.shrink(0)
		c.answer = nil
	}
	if c.counted {
		c.counted = false
		c.of.requests.Done()
	}
}

// done closes c.
func (c *connection) done() {
	c.answered()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger && !c.reset && half.CloseWrite() == nil {
		c.discard()
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
	c.headRoom.shrink(0)
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
}

// discard reads for lingerMax what the client still sends.
func (c *connection) discard() {
	_ = c.SetReadDeadline(time.Now().Add(lingerMax))
	block := blockPool.Get().(*[blockMax]byte)
	defer blockPool.Put(block)
	for {
		if _, err := c.Conn.Read(block[:]); err != nil {
			return
		}
	}
}

// connectionKey finds the connection in the context of a request.
type connectionKey struct{}

func connectionOf(ctx context.Context) *connection { return ctx.Value(connectionKey{}).(*connection) }
