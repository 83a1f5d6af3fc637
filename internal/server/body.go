package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"nearside/internal/coding"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// blockMax is the size of a block of a large body.
const blockMax = 64 << 10

// body reads the whole body, which is JSON or MessagePack, and decompresses it.
func (x *exchange) body() ([]byte, error) {
	if err := x.readContentType(); err != nil {
		return nil, err
	}
	all, err := x.readBlocks()
	if err == nil && x.inCoding != coding.Identity {
		all, err = x.decompress(all)
	}
	if err != nil {
		return nil, err
	}
	return all.join(), nil
}

// anyBody reads the whole body, of any media type and coding.
func (x *exchange) anyBody() ([]byte, error) {
	all, err := x.readBlocks()
	if err != nil {
		return nil, err
	}
	return all.join(), nil
}

// readBlocks reads the whole body, as it was sent, before the deadline of the request. It
// reserves memory as the bytes arrive.
func (x *exchange) readBlocks() (*blocks, error) {
	limit := x.limits.BodyBytes
	if x.input.length > limit {
		return nil, tooLarge(limit)
	}
	deadline, _ := x.ctx.Deadline() // every request has one
	x.conn.readUntil(deadline)
	all := &blocks{}
	for {
		err := x.input.wait()
		switch {
		case errors.Is(err, io.EOF):
			x.bodyRoom.suspend() // nothing more is expected of the client
			return all, nil
		case err != nil:
			return nil, x.readFault(err)
		}
		if all.full() {
			size := all.nextSize()
			if x.input.length >= 0 {
				size = min(size, x.input.length-all.size)
			}
			if err := x.reserveBody(all.capacity + size); err != nil {
				return nil, err
			}
			all.addBlock(int(size))
		}
		n, err := x.input.Read(all.freeSpace())
		if err != nil {
			return nil, x.readFault(err)
		}
		all.addRead(n)
		x.bodyRoom.progress(n)
		if all.size > limit {
			return nil, tooLarge(limit)
		}
	}
}

// reserveBody reserves memory until the request may hold that many bytes for its body. The
// first freeBytes need no reservation.
func (x *exchange) reserveBody(bytes int64) error {
	if bytes <= freeBytes {
		return nil
	}
	if x.bodyRoom == nil {
		x.bodyRoom = x.limits.bodies.newClaim(x.conn.endReading)
	}
	if more := bytes - freeBytes - x.bodyRoom.held; more > 0 {
		return x.bodyRoom.grow(x.ctx, more)
	}
	return nil
}

// decodingSize is how many bytes all requests together may use to parse bodies.
const decodingSize = 32 << 20

// decoder returns a decoder for the body of this request. Parsing needs more memory
// than the body, so the decoder waits until there is room.
func (x *exchange) decoder() *wire.Decoder {
	d := *x.limits.Decoder
	d.Reserve = x.reserveDecoding
	return &d
}

// decodeBody reads the body and decodes it.
func decodeBody[T any](x *exchange, decode func(*wire.Decoder, wire.Format, []byte) (T, error)) (T, error) {
	body, err := x.body()
	if err != nil {
		var zero T
		return zero, err
	}
	if x.audit.wanted {
		x.audit.body = body
	}
	return decode(x.decoder(), x.in, body)
}

// decodeObjectBody is decodeBody for a body that depends on the origin of the route.
func decodeObjectBody[T any](x *exchange, decode func(*wire.Decoder, matcher.Origin, wire.Format, []byte) (T, error)) (T, error) {
	return decodeBody(x, func(d *wire.Decoder, f wire.Format, body []byte) (T, error) {
		return decode(d, x.operation.origin, f, body)
	})
}

// reserveDecoding waits for room to parse a body. Small bodies do not wait. A body
// that needs more than decodingSize waits until no other body is parsed.
func (x *exchange) reserveDecoding(bytes int64) (release func(), err error) {
	if bytes <= freeBytes {
		return func() {}, nil
	}
	bytes = min(bytes, decodingSize)
	if err := x.decoding.Acquire(x.ctx, bytes); err != nil {
		if errors.Is(context.Cause(x.ctx), context.DeadlineExceeded) {
			return nil, matcher.Overloaded(0, "memory: %d bytes for parsing the body did not become free in time; all requests share %d bytes", bytes, decodingSize)
		}
		return nil, err
	}
	return func() { x.decoding.Release(bytes) }, nil
}

func tooLarge(limit int64) error {
	return matcher.Errorf(matcher.CodeTooLarge, "body: must have at most %d bytes (limits.body_bytes)", limit)
}

// readFault returns the error for the client when reading the body fails.
func (x *exchange) readFault(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && x.conn.isTooSlow():
		return matcher.Errorf(matcher.CodeTooSlow, "body: fewer than %d bytes arrived in %s while other requests waited for memory", slowBytes, slowAfter)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return matcher.Errorf(matcher.CodeDeadline, "body: the rest did not arrive in time")
	case errors.Is(err, errChunks):
		return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
	case errors.Is(err, net.ErrClosed):
		return errShuttingDown
	default: // the client closed the connection or its sending half
		x.aborted = true
		return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
	}
}

// blocks is a body that is being read. It grows without copying.
type blocks struct {
	all      [][]byte // blocks of blockMax bytes come from blockPool
	size     int64    // bytes read
	capacity int64
}

var blockPool = sync.Pool{New: func() any { return new([blockMax]byte) }}

func (b *blocks) full() bool { return b.size == b.capacity }

// nextSize returns the size of the next block: 4, 12 and 48 KiB, and then blockMax.
func (b *blocks) nextSize() int64 {
	if b.capacity < freeBytes {
		return max(4<<10, 3*b.capacity)
	}
	return blockMax
}

// addBlock adds a block of size bytes. All earlier blocks must be full.
func (b *blocks) addBlock(size int) {
	block := []byte(nil)
	if size == blockMax {
		block = blockPool.Get().(*[blockMax]byte)[:0]
	} else {
		block = make([]byte, 0, size)
	}
	b.all = append(b.all, block)
	b.capacity += int64(size)
}

// freeSpace returns the part of the last block that is not filled.
func (b *blocks) freeSpace() []byte {
	last := b.all[len(b.all)-1]
	return last[len(last):cap(last)]
}

// addRead counts n bytes that were read into freeSpace.
func (b *blocks) addRead(n int) {
	last := &b.all[len(b.all)-1]
	*last = (*last)[:len(*last)+n]
	b.size += int64(n)
}

// join returns the body. The blocks must not be used after this call.
func (b *blocks) join() []byte {
	if len(b.all) == 1 {
		return b.all[0]
	}
	whole := make([]byte, 0, b.size)
	for _, block := range b.all {
		whole = append(whole, block...)
		releaseBlock(block)
	}
	return whole
}

// release frees a block. The blocks cannot be joined after that.
func (b *blocks) release(i int) {
	b.capacity -= int64(cap(b.all[i]))
	releaseBlock(b.all[i])
	b.all[i] = nil
}

// releaseAll frees all blocks.
func (b *blocks) releaseAll() {
	for i := range b.all {
		b.release(i)
	}
}

// releaseBlock returns a block to blockPool if it is one of its blocks.
func releaseBlock(b []byte) {
	if cap(b) == blockMax {
		blockPool.Put((*[blockMax]byte)(b[:blockMax]))
	}
}
