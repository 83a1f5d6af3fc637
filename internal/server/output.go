package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// copyMax is the size below which writes are copied into one piece, so that a
	// small answer is sent by one system call.
	copyMax = 4 << 10
	// writeMax is the largest number of bytes in one write. The progress of the client
	// is measured after each write.
	writeMax = 64 << 10
)

// output holds bytes that were written to a connection and are not sent yet.
type output struct {
	to     *connection
	pieces net.Buffers
	small  []byte // the last piece, if more can be appended to it
	pooled *[copyMax]byte
}

// copyPool has buffers for small pieces.
var copyPool = sync.Pool{New: func() any { return new([copyMax]byte) }}

// allocate returns n bytes that the next flush sends. The caller fills them.
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

// addBytes sends p with the next flush. p must not change until then.
func (o *output) addBytes(p []byte) {
	if len(p) < copyMax {
		copy(o.allocate(len(p)), p)
		return
	}
	o.pieces = append(o.pieces, p)
	o.small = nil
}

// discard drops all unsent bytes.
func (o *output) discard() {
	clear(o.pieces)
	o.pieces, o.small = o.pieces[:0], nil
	if o.pooled != nil {
		copyPool.Put(o.pooled)
		o.pooled = nil
	}
}

// flush sends all bytes.
func (o *output) flush() error {
	defer o.discard()
	o.to.reading = reading{begun: time.Now(), last: time.Now(), size: size(o.pieces)}
	pieces := o.pieces
	for len(pieces) > 0 {
		n, err := o.to.sendPieces(firstBytes(pieces, writeMax))
		if pieces = dropBytes(pieces, n); err != nil {
			return err
		}
	}
	return nil
}

// firstBytes returns the first n bytes of pieces, or all if there are fewer.
func firstBytes(pieces net.Buffers, n int) net.Buffers {
	if len(pieces[0]) >= n {
		return net.Buffers{pieces[0][:n]}
	}
	var first net.Buffers
	for _, p := range pieces {
		p = p[:min(len(p), n)]
		first = append(first, p)
		if n -= len(p); n == 0 {
			break
		}
	}
	return first
}

// dropBytes returns pieces without the first n bytes. It modifies the elements of
// pieces.
func dropBytes(pieces net.Buffers, n int) net.Buffers {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces[0] = pieces[0][n:]
	}
	return pieces
}

// errNotReading ends an answer that the client reads too slowly.
var errNotReading = errors.New("the client reads the answer too slowly, and others wait for the memory")

// sendPieces writes pieces and returns how many bytes the client has taken.
func (c *connection) sendPieces(pieces net.Buffers) (int, error) {
	n, err := c.writePieces(pieces)
	if n > 0 && c.answer != nil {
		c.reading.last = time.Now()
		c.reading.taken += int(n)
		c.answer.progress(int(n))
		if err == nil && c.answer.othersWait() && c.reading.tooSlow(time.Now(), c.answer.patience(), c.writeEnd) {
			c.reset, err = true, errNotReading
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.wasAsked() {
		if err = nil; c.reading.tooSlow(time.Now(), c.answer.patience(), c.writeEnd) {
			c.reset, err = true, errNotReading
		}
	}
	return int(n), err
}

// writePieces writes pieces and returns how many bytes were sent.
func (c *connection) writePieces(pieces net.Buffers) (int64, error) {
	switch {
	case c.secure != nil:
		return c.secure.writePieces(pieces)
	case len(pieces) == 1:
		n, err := c.Conn.Write(pieces[0])
		return int64(n), err
	}
	return pieces.WriteTo(c.Conn)
}

// reading is the progress of a client that reads an answer.
type reading struct {
	begun, last time.Time // when writing began, and when the client last took bytes
	size, taken int       // bytes
}

// tooSlow reports whether the client has taken nothing for the duration patience, or
// is too slow to take everything before end, the deadline of writes.
func (r *reading) tooSlow(now time.Time, patience time.Duration, end time.Time) bool {
	if now.Sub(r.last) >= patience {
		return true
	}
	elapsed, total := now.Sub(r.begun), end.Sub(r.begun)
	return elapsed >= patience && float64(r.taken)/float64(r.size) < float64(elapsed)/float64(total)
}

// size returns the number of bytes of pieces.
func size(pieces net.Buffers) (bytes int) {
	for _, p := range pieces {
		bytes += len(p)
	}
	return bytes
}

// writeUntil sets the time at which writes fail.
func (c *connection) writeUntil(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeEnd = t
	if !c.asked {
		_ = c.SetWriteDeadline(t) // fails only on a closed connection; the next write reports it
	}
}

// askWriter interrupts a write. The writer then checks whether the client reads.
func (c *connection) askWriter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	_ = c.SetWriteDeadline(time.Unix(1, 0))
}

// wasAsked reports whether askWriter interrupted a write, and allows writes again.
func (c *connection) wasAsked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = false
	_ = c.SetWriteDeadline(c.writeEnd)
	return asked && time.Now().Before(c.writeEnd)
}
