package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// copyMax is the size up to which a write is copied, so that a
	// small answer is one write.
	copyMax = 4 << 10
	// writeMax is how much is written at once. After it, it is known how much
	// the client has taken.
	writeMax = 64 << 10
)

// output is what was written to a connection and not sent yet.
type output struct {
	to     *connection
	pieces net.Buffers
	small  []byte // the last piece, if it may grow
	pooled *[copyMax]byte
}

// copyPool has the buffers that small pieces are copied to.
var copyPool = sync.Pool{New: func() any { return new([copyMax]byte) }}

// allocate returns n bytes that are sent by the next flush.
func (o *output) allocate(n int) []byte {
	if last := len(o.pieces) - 1; last >= 0 && o.small != nil && cap(o.small)-len(o.small) >= n {
		at := len(o.small)
		o.small = o.small[:at+n]
		o.pieces[last] = o.small
		return o.small[at:]
	}
	if o.pooled == nil && n <= copyMax {
		o.pooled = copyPool.Get().(*[copyMax]byte)
		o.small = o.pooled[:n]
	} else {
		o.small = make([]byte, n)
	}
	o.pieces = append(o.pieces, o.small)
	return o.small
}

// add sends p with the next flush; until then p must not change.
func (o *output) add(p []byte) {
	if len(p) < copyMax {
		copy(o.allocate(len(p)), p)
		return
	}
	o.pieces = append(o.pieces, p)
	o.small = nil
}

// discard drops what was not sent.
func (o *output) discard() {
	clear(o.pieces)
	o.pieces, o.small = o.pieces[:0], nil
	if o.pooled != nil {
		copyPool.Put(o.pooled)
		o.pooled = nil
	}
}

// flush sends everything.
func (o *output) flush() error {
	defer o.discard()
	o.to.readAt = time.Now()
	pieces := o.pieces
	for len(pieces) > 0 {
		n, err := o.to.send(upTo(pieces, writeMax))
		if pieces = after(pieces, n); err != nil {
			return err
		}
	}
	return nil
}

// upTo returns the first most bytes of pieces.
func upTo(pieces net.Buffers, most int) net.Buffers {
	if len(pieces[0]) >= most {
		return net.Buffers{pieces[0][:most]}
	}
	var first net.Buffers
	for _, p := range pieces {
		p = p[:min(len(p), most)]
		first = append(first, p)
		if most -= len(p); most == 0 {
			break
		}
	}
	return first
}

// after returns pieces without the first n bytes. The first piece may be cut.
func after(pieces net.Buffers, n int) net.Buffers {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces[0] = pieces[0][n:]
	}
	return pieces
}

// errNotReading ends an answer that the client does not read.
var errNotReading = errors.New("the client does not read the answer, and others wait for the memory")

// send writes what the client takes of pieces.
func (c *connection) send(pieces net.Buffers) (int, error) {
	var n int64
	var err error
	if len(pieces) == 1 {
		var written int
		written, err = c.Conn.Write(pieces[0])
		n = int64(written)
	} else {
		n, err = pieces.WriteTo(c.Conn)
	}
	if n > 0 && c.answer != nil {
		c.readAt = time.Now()
		c.answer.progress(slowBytes) // whatever a client takes, it reads
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.wasAsked() {
		if err = nil; time.Since(c.readAt) >= c.answer.patience() {
			c.reset, err = true, errNotReading
		}
	}
	return int(n), err
}

// writeUntil sets the time at which writes fail.
func (c *connection) writeUntil(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeEnd = t
	if !c.unread {
		_ = c.SetWriteDeadline(t) // fails on a closed connection only, and writing tells that
	}
}

// askWriter interrupts a write, which then tells whether the client has taken
// anything.
func (c *connection) askWriter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = true
	_ = c.SetWriteDeadline(time.Unix(1, 0))
}

// wasAsked reports whether askWriter interrupted a write, and lets writes go on.
func (c *connection) wasAsked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.unread
	c.unread = false
	_ = c.SetWriteDeadline(c.writeEnd)
	return asked && time.Now().Before(c.writeEnd)
}
