package coding

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	inputBytes = 4 << 10 // of the input buffer of a Reader
	// gzipState is an upper bound of the state for gzip: a window of 32 KiB, up to 64 KiB of
	// extra data in a header, tables, and the input buffer.
	gzipState = 128 << 10
)

// DataError is the error of data that cannot be decompressed.
type DataError struct {
	Coding Coding
	reason error
}

func (e *DataError) Error() string {
	if errors.Is(e.reason, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("the %s data ends too early", e.Coding)
	}
	return fmt.Sprintf("the %s data is damaged: %v", e.Coding, e.reason)
}

func (e *DataError) Unwrap() error { return e.reason }

// Reader decompresses a stream. Streams of several gzip members or zstd frames are read to
// their end. One goroutine uses a Reader.
type Reader struct {
	coding  Coding
	source  source
	input   *bufio.Reader
	frames  frames // of zstd
	gzip    *gzip.Reader
	zstd    *zstd.Decoder
	reserve func(bytes int) error
	err     error // ends the Reader
}

// source is the compressed data. It remembers its error, because decoders replace it.
type source struct {
	from io.Reader
	err  error // nil at the end of the data
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// NewReader returns a Reader of compressed data. Before the Reader allocates its state, and
// when its state grows, it calls reserve with the size of the whole state. An error of
// reserve or of from ends the Reader, and Read returns it unchanged. Data that cannot be
// decompressed is a [DataError], and a zstd window above [WindowMax] is [ErrWindow].
func NewReader(c Coding, from io.Reader, reserve func(bytes int) error) *Reader {
	r := &Reader{coding: c, source: source{from: from}, reserve: reserve}
	var raw io.Reader = &r.source
	if c == Zstd {
		r.frames = frames{from: &r.source, reserve: reserve}
		raw = &r.frames
	}
	r.input = inputPool.Get().(*bufio.Reader)
	r.input.Reset(raw)
	return r
}

var inputPool = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, inputBytes) }}

// Start waits for the first bytes, and then allocates the state. Read calls it.
func (r *Reader) Start() error {
	if r.err != nil || r.gzip != nil || r.zstd != nil {
		return r.err
	}
	_, err := r.input.Peek(1)
	switch {
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF // compressed data has at least a header
	case err == nil && r.coding == Gzip:
		err = r.startGzip()
	case err == nil:
		err = r.startZstd()
	}
	if err != nil {
		r.err = r.fault(err)
	}
	return r.err
}

func (r *Reader) startGzip() error {
	if err := r.reserve(gzipState); err != nil {
		r.source.err = err
		return err
	}
	r.gzip = gzipPool.Get().(*gzip.Reader)
	return r.nextMember()
}

// nextMember reads the header of a gzip member. gzip.Reader could read members by itself,
// but it takes a header that ends too early for the end of the data.
func (r *Reader) nextMember() error {
	err := r.gzip.Reset(r.input)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	r.gzip.Multistream(false)
	return err
}

// readGzip reads from the members one after another.
func (r *Reader) readGzip(p []byte) (int, error) {
	for {
		n, err := r.gzip.Read(p)
		switch {
		case n > 0 && errors.Is(err, io.EOF):
			return n, nil // the next call returns io.EOF again
		case n > 0 || !errors.Is(err, io.EOF):
			return n, err
		}
		if _, err := r.input.Peek(1); err != nil {
			return 0, err
		}
		if err := r.nextMember(); err != nil {
			return 0, err
		}
	}
}

var gzipPool = sync.Pool{New: func() any { return new(gzip.Reader) }}

// startZstd allocates a decoder for the first frame. The first bytes may be too few to
// know its window. Then the decoder is small, and grows.
func (r *Reader) startZstd() error {
	if err := r.frames.reserveClass(0); err != nil {
		return err
	}
	r.zstd = zstdPools[r.frames.class].Get().(*zstd.Decoder)
	return r.zstd.Reset(r.input)
}

// zstdPools have the decoders of each window class.
var zstdPools = [len(windowClasses)]sync.Pool{{New: newZstd}, {New: newZstd}, {New: newZstd}}

func newZstd() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(WindowMax), zstd.WithDecoderMaxMemory(WindowMax))
	if err != nil {
		panic(err) // the options are valid
	}
	return d
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (n int, err error) {
	if err := r.Start(); err != nil {
		return 0, err
	}
	if r.coding == Gzip {
		n, err = r.readGzip(p)
	} else {
		n, err = r.zstd.Read(p)
	}
	if err != nil {
		r.err = r.fault(err)
	}
	return n, r.err
}

// fault returns the error for the caller when a decoder has returned err.
func (r *Reader) fault(err error) error {
	switch {
	case r.source.err != nil:
		return r.source.err
	case r.frames.err != nil:
		return r.frames.err
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return &DataError{r.coding, err}
	}
}

// Close ends the use of the Reader. Its decoder is used again.
func (r *Reader) Close() {
	if r.input == nil {
		return
	}
	r.input.Reset(nil)
	inputPool.Put(r.input)
	if r.gzip != nil {
		gzipPool.Put(r.gzip)
	}
	if r.zstd != nil && r.zstd.Reset(nil) == nil {
		zstdPools[r.frames.class].Put(r.zstd)
	}
	r.input, r.gzip, r.zstd, r.err = nil, nil, nil, io.ErrClosedPipe
}
