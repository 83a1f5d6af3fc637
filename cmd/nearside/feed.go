package main

import (
	"context"
	"errors"
	"io"
	"sync"
)

const (
	feedBytes  = 512 << 10 // approximate size of a block
	feedBlocks = 4         // blocks that are read ahead
)

// feed reads the lines of a file while the connection sends earlier ones. If its
// context ends, it ends after a complete block.
type feed struct {
	blocks chan feedBlock
	free   chan []byte     // memory of blocks for reuse
	done   <-chan struct{} // closed when the context ends
	cancel context.CancelFunc
	ended  bool  // the last block was taken
	err    error // the error of reading the next line, except io.EOF
}

// feedBlock is a sequence of complete lines.
type feedBlock struct {
	data    []byte
	lines   int64
	skipped []lineFault // lines that are not sent, counted from 1; data has a blank line for each
	offset  int64       // position in the file after the lines
	err     error       // the error of reading the next line
}

// startFeed starts to read from. The caller calls stop.
func startFeed(ctx context.Context, from source) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{blocks: make(chan feedBlock, feedBlocks), free: make(chan []byte, feedBlocks+2), done: ctx.Done(), cancel: cancel}
	go f.readBlocks(ctx, from)
	return f
}

func (f *feed) readBlocks(ctx context.Context, from source) {
	defer close(f.blocks)
	for {
		b := f.readBlock(from)
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

func (f *feed) readBlock(from source) (b feedBlock) {
	select {
	case b.data = <-f.free:
	default:
	}
	for len(b.data) < feedBytes && b.err == nil {
		data, err := from.appendLine(b.data)
		b.data = data
		skipped, isSkipped := errors.AsType[skippedLineError](err)
		if err != nil && !isSkipped {
			b.err = err
			break
		}
		b.lines++
		if isSkipped {
			b.skipped = append(b.skipped, lineFault{b.lines, string(skipped)})
			b.data = append(b.data, '\n')
		}
	}
	b.offset = from.offset()
	return b
}

// next returns the next block, or false if the context has ended.
func (f *feed) next() (feedBlock, bool) {
	select {
	case <-f.done: // has priority over a block that is ready
		return feedBlock{}, false
	default:
	}
	select {
	case <-f.done:
		return feedBlock{}, false
	case b, ok := <-f.blocks:
		return b, ok
	}
}

// reuse gives the memory of a block to a later block.
func (f *feed) reuse(b feedBlock) {
	select {
	case f.free <- b.data[:0]:
	default:
	}
}

// stop ends the reading. If wait is true, it waits for a read in progress. A read of
// the standard input may not end, so wait is false for it.
func (f *feed) stop(wait bool) {
	f.cancel()
	if wait {
		for range f.blocks {
		}
	}
}

// body is the part of a feed that one request sends. Goroutines of the transport read
// and close it, sometimes concurrently. After Close, it takes no more blocks from the
// feed and does not call sent any more.
type body struct {
	feed     *feed
	bytesMax int64 // approximate
	sent     func(feedBlock)
	closed   chan struct{}

	mu    sync.Mutex // serializes Close and the use of the feed
	bytes int64      // taken from the feed so far
	block feedBlock
	rest  []byte // the part of block that was not read yet
}

func newBody(f *feed, bytesMax int64, sent func(feedBlock)) *body {
	return &body{feed: f, bytesMax: bytesMax, sent: sent, closed: make(chan struct{})}
}

// ensureData takes the next block if the current one was read completely. It returns
// io.EOF at the end of the request.
func (b *body) ensureData() error {
	for len(b.rest) == 0 {
		b.feed.reuse(b.block)
		b.block = feedBlock{}
		if b.bytes >= b.bytesMax || b.feed.ended {
			return io.EOF
		}
		block, ok := b.feed.next()
		if !ok {
			return io.EOF // the request ends normally, and its answer counts the lines that were sent
		}
		if err := b.takeBlock(block); err != nil {
			return err
		}
	}
	return nil
}

func (b *body) takeBlock(block feedBlock) error {
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
	if err := b.ensureData(); err != nil {
		return 0, err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: a block is a chunk of the request.
func (b *body) WriteTo(w io.Writer) (written int64, err error) {
	for {
		switch err := b.ensureData(); {
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
