package server

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"nearside/matcher"
)

// blockMax is the size of the blocks that a large body is read in.
const blockMax = 64 << 10

// body reads the whole body of JSON or msgpack.
func (x *exchange) body() ([]byte, error) {
	if err := x.contentType(); err != nil {
		return nil, err
	}
	return x.anyBody()
}

// anyBody reads the whole body, whatever it is, within the time of the
// request. Memory is reserved as its bytes arrive.
func (x *exchange) anyBody() ([]byte, error) {
	most := x.limits.BodyBytes
	if x.input.length > most {
		return nil, tooLarge(most)
	}
	deadline, _ := x.ctx.Deadline() // it has one
	x.conn.readUntil(deadline)
	var all blocks
	for {
		err := x.input.wait()
		switch {
		case errors.Is(err, io.EOF):
			x.held.suspend() // the client has done its part
			return all.join(), nil
		case err != nil:
			return nil, x.readFault(err)
		}
		if all.full() {
			if err := x.addBlock(&all); err != nil {
				return nil, err
			}
		}
		n, err := x.input.Read(all.free())
		if err != nil {
			return nil, x.readFault(err)
		}
		all.wrote(n)
		x.held.progress(n)
		if all.size > most {
			return nil, tooLarge(most)
		}
	}
}

// addBlock makes room for more of a body.
func (x *exchange) addBlock(all *blocks) error {
	size := int64(blockMax)
	if all.capacity < freeBytes {
		size = max(4<<10, 3*all.capacity) // 4, 16 and 64 KiB in all
	}
	if x.input.length >= 0 {
		size = min(size, x.input.length-all.size)
	}
	if all.capacity+size > freeBytes {
		if x.held == nil {
			x.held = x.limits.bodies.claim(x.conn.endReading)
		}
		if err := x.held.grow(x.ctx, size); err != nil {
			return err
		}
	}
	all.add(int(size))
	return nil
}

func tooLarge(most int64) error {
	return matcher.Errorf(matcher.CodeTooLarge, "body: larger than the limit of %d bytes", most)
}

// readFault makes the error that a client is told of, of one of its body.
func (x *exchange) readFault(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && x.conn.isTooSlow():
		return matcher.Errorf(matcher.CodeTooSlow, "body: less than %d bytes came in %s, and others wait for the memory", slowBytes, slowAfter)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return matcher.Errorf(matcher.CodeDeadline, "body: no more of it came in time")
	case errors.Is(err, errChunks):
		return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
	case errors.Is(err, net.ErrClosed):
		return errShuttingDown
	default: // the client has closed the connection, or its half of it
		x.aborted = true
		return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
	}
}

// blocks is a body while it is read: so that it can grow without being copied.
type blocks struct {
	all      [][]byte // those of blockMax bytes come from blockPool
	size     int64    // bytes read
	capacity int64
}

var blockPool = sync.Pool{New: func() any { return new([blockMax]byte) }}

func (b *blocks) full() bool { return b.size == b.capacity }

// add adds a block of that many bytes. The last one is full.
func (b *blocks) add(size int) {
	block := []byte(nil)
	if size == blockMax {
		block = blockPool.Get().(*[blockMax]byte)[:0]
	} else {
		block = make([]byte, 0, size)
	}
	b.all = append(b.all, block)
	b.capacity += int64(size)
}

// free is where the next bytes go.
func (b *blocks) free() []byte {
	last := b.all[len(b.all)-1]
	return last[len(last):cap(last)]
}

func (b *blocks) wrote(n int) {
	last := &b.all[len(b.all)-1]
	*last = (*last)[:len(*last)+n]
	b.size += int64(n)
}

// join returns the body. The blocks are not used after it.
func (b *blocks) join() []byte {
	if len(b.all) == 1 {
		return b.all[0]
	}
	whole := make([]byte, 0, b.size)
	for _, block := range b.all {
		whole = append(whole, block...)
		if cap(block) == blockMax {
			blockPool.Put((*[blockMax]byte)(block[:blockMax]))
		}
	}
	return whole
}
