package server

import (
	"context"
	"errors"
	"io"

	"nearside/internal/coding"
	"nearside/matcher"
)

// readCoding reads the header Content-Encoding and sets x.inCoding.
func (x *exchange) readCoding() error {
	text := x.header("Content-Encoding")
	for item := range headerItems(text) {
		c, ok := coding.Parse(item)
		if !ok || c != coding.Identity && x.inCoding != coding.Identity {
			x.Response.Header.Set("Accept-Encoding", "gzip, zstd")
			return matcher.Errorf(matcher.CodeMediaType, "header: Content-Encoding: must be one of gzip, zstd and identity, got %q", matcher.Shorten(text))
		}
		if c != coding.Identity {
			x.inCoding = c
		}
	}
	return nil
}

// decompress returns the content of a compressed body that has arrived. A decoder does not
// wait for the client, so it exists only for a short time.
func (x *exchange) decompress(compressed *blocks) (*blocks, error) {
	slots := x.conn.listener.server.decompressing
	slots.enter()
	defer slots.leave()
	content, err := x.decompressSmall(compressed)
	if err == nil && content == nil {
		content = &blocks{}
		err = x.decompressLarge(compressed, content, slots)
		if err != nil {
			content.releaseAll()
		}
		x.bodyRoom.shrink(max(content.capacity-freeBytes, 0))
	}
	if err != nil {
		return nil, x.codingFault(err)
	}
	return content, nil
}

// decompressSmall decompresses a body that has at most freeBytes together with its content.
// It needs no reservation, because at most one decoder per slot exists at a time. It
// returns nil if the body is larger.
func (x *exchange) decompressSmall(compressed *blocks) (*blocks, error) {
	if compressed.capacity >= freeBytes {
		return nil, nil
	}
	decoder := coding.NewReader(x.inCoding, &blockReader{ctx: x.ctx, blocks: compressed}, func(int) error { return nil })
	defer decoder.Close()
	content := &blocks{}
	for {
		if content.full() {
			size := min(content.nextSize(), freeBytes-compressed.capacity-content.capacity)
			if size == 0 {
				return nil, nil
			}
			content.addBlock(int(size))
		}
		n, err := decoder.Read(content.freeSpace())
		content.addRead(n)
		switch {
		case content.size > x.limits.BodyBytes:
			return nil, tooLargeContent(x.limits.BodyBytes)
		case errors.Is(err, io.EOF):
			return content, nil
		case err != nil:
			return nil, err
		}
	}
}

// decompressLarge decompresses a body of any size to content. It reserves memory for the
// compressed blocks that are left, for the state of the decoder, and for the content. It lets
// other bodies take its place before each block.
func (x *exchange) decompressLarge(compressed, content *blocks, slots workers) error {
	state := 0
	reserve := func(more int) error {
		slots.leave()
		defer slots.enter()
		err := x.reserveBody(compressed.capacity + int64(state) + content.capacity + int64(more))
		x.bodyRoom.suspend() // nothing is expected of the client
		return err
	}
	in := &blockReader{ctx: x.ctx, blocks: compressed, release: true}
	decoder := coding.NewReader(x.inCoding, in, func(bytes int) error {
		err := reserve(bytes - state)
		state = bytes
		return err
	})
	defer decoder.Close()
	for {
		if content.full() {
			size := content.nextSize()
			if err := reserve(int(size)); err != nil {
				return err
			}
			content.addBlock(int(size))
		}
		n, err := decoder.Read(content.freeSpace())
		content.addRead(n)
		switch {
		case content.size > x.limits.BodyBytes:
			return tooLargeContent(x.limits.BodyBytes)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func tooLargeContent(limit int64) error {
	return matcher.Errorf(matcher.CodeTooLarge, "body: must have at most %d bytes after decompression (limits.body_bytes)", limit)
}

// codingFault returns the error for the client when decompressing fails.
func (x *exchange) codingFault(err error) error {
	if errors.Is(err, coding.ErrWindow) {
		return matcher.Errorf(matcher.CodeTooLarge, "body: %w", err)
	}
	if _, ok := errors.AsType[*coding.DataError](err); ok {
		return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
	}
	return err
}

// blockReader reads a body that has arrived.
type blockReader struct {
	ctx     context.Context // ends reading
	blocks  *blocks
	release bool // blocks are released when they were read
	block   int  // the number of the current block
	read    int  // bytes of the current block that were read
}

// Read implements io.Reader.
func (r *blockReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	for r.block < len(r.blocks.all) && r.read == len(r.blocks.all[r.block]) {
		if r.release {
			r.blocks.release(r.block)
		}
		r.block, r.read = r.block+1, 0
	}
	if r.block == len(r.blocks.all) {
		return 0, io.EOF
	}
	n := copy(p, r.blocks.all[r.block][r.read:])
	r.read += n
	return n, nil
}
