package main

import (
	"context"
	"errors"
	"io"
	"sync"
)

const (
	feedBytes  = 512 << 10 // about the size of a block
	feedBlocks = 4         // that are made ahead
)

// feed makes the lines of a file while the connection sends those before.
type feed struct {
	blocks chan feedBlock
	free   chan []byte // memory of blocks, to be used again
	cancel context.CancelFunc
	ended  bool  // the last block was taken
	err    error // what came instead of the next line, unless that is the end
}

// feedBlock is a run of whole lines.
type feedBlock struct {
	data   []byte
	lines  int64
	long   []int64 // those of them that are not sent, from 0; blank lines stand for them
	offset int64   // in the file, after the lines
	err    error   // what came instead of the next line
}

// startFeed reads from until stop is called.
func startFeed(ctx context.Context, from source) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{blocks: make(chan feedBlock, feedBlocks), free: make(chan []byte, feedBlocks+2), cancel: cancel}
	go f.run(ctx, from)
	return f
}

func (f *feed) run(ctx context.Context, from source) {
	defer close(f.blocks)
	for {
		b := f.fill(from)
		select {
		case f.blocks <- b:
		case <-ctx.Done():
			return
		}
		if b.err != nil {
			return
		}
	}
}

func (f *feed) fill(from source) (b feedBlock) {
	select {
	case b.data = <-f.free:
	default:
	}
	for len(b.data) < feedBytes && b.err == nil {
		data, err := from.appendLine(b.data)
		b.data = data
		switch {
		case errors.Is(err, errLongLine):
			b.long = append(b.long, b.lines)
			b.data = append(b.data, '\n')
		case err != nil:
			b.err = err
			continue
		}
		b.lines++
	}
	b.offset = from.offset()
	return b
}

// done gives the memory of a block back.
func (f *feed) done(b feedBlock) {
	select {
	case f.free <- b.data[:0]:
	default:
	}
}

// stop ends the reading. It waits for a read under way, unless that may last:
// of the standard input.
func (f *feed) stop(wait bool) {
	f.cancel()
	if wait {
		for range f.blocks {
		}
	}
}

// body is the part of a feed that one request sends. The transport reads and
// closes it, from goroutines of its own and sometimes at once. When it is
// closed it takes no more of the feed, and calls sent no more.
type body struct {
	feed   *feed
	most   int64 // bytes, about
	sent   func(feedBlock)
	closed chan struct{}

	mu    sync.Mutex // orders closing, and the use of the feed
	bytes int64      // taken so far
	block feedBlock
	rest  []byte // of block
}

func newBody(f *feed, most int64, sent func(feedBlock)) *body {
	return &body{feed: f, most: most, sent: sent, closed: make(chan struct{})}
}

// more gets the next block when the last one was handed on as a whole.
func (b *body) more() error {
	for len(b.rest) == 0 {
		b.feed.done(b.block)
		b.block = feedBlock{}
		if b.bytes >= b.most || b.feed.ended {
			return io.EOF
		}
		block, ok := <-b.feed.blocks
		if !ok {
			return errInterrupted
		}
		if err := b.take(block); err != nil {
			return err
		}
	}
	return nil
}

var errInterrupted = errors.New("interrupted")

func (b *body) take(block feedBlock) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
		return io.ErrClosedPipe
	default:
	}
	if b.feed.ended = block.err != nil; b.feed.ended && !errors.Is(block.err, io.EOF) {
		b.feed.err = block.err
	}
	b.block, b.rest = block, block.data
	b.bytes += int64(len(block.data))
	b.sent(block)
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if err := b.more(); err != nil {
		return 0, err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: a block is a chunk of the request.
func (b *body) WriteTo(w io.Writer) (written int64, err error) {
	for {
		switch err := b.more(); {
		case errors.Is(err, io.EOF):
			return written, nil
		case err != nil:
			return written, err
		}
		n, err := w.Write(b.rest)
		written += int64(n)
		if b.rest = b.rest[n:]; err != nil {
			return written, err
		}
	}
}

// Close implements io.Closer. The transport may call it more than once.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
	default:
		close(b.closed)
	}
	return nil
}
