package server

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	chunkLineMax = 256     // bytes of a line that begins a chunk
	trailerMax   = 4 << 10 // bytes of all lines after the last chunk
	// skipMax is how many bytes are skipped of a body that no handler has read. If
	// more are left, the connection is closed. In a chunked body, bytes of the framing
	// and bytes that are already buffered count too.
	skipMax = 64 << 10
)

// bodyReader reads the body of a request from its connection.
type bodyReader struct {
	conn    *connection
	left    int64 // bytes left of the body, or of this chunk
	chunked bool
	line    lineKind // the next line, if chunked and left is 0
	trailer int      // bytes left for the trailer
	expects bool     // the client waits for 100 Continue before it sends the body
	err     error    // the error that ended reading; io.EOF: the whole body was read
	length  int64    // as declared; -1: chunked
	full    bool     // the last read from the connection filled its buffer, so more bytes have probably arrived
	skipEnd int64    // the largest value of connection.consumed while the body is skipped
}

// lineKind is the kind of a line in a chunked body.
type lineKind int

const (
	chunkSizeLine lineKind = iota // begins a chunk
	chunkEndLine                  // empty, follows the data of a chunk
	trailerLine                   // follows the last chunk
)

// newBodyReader returns a reader of the body of the request whose head was read last.
func newBodyReader(c *connection) *bodyReader {
	r := &bodyReader{conn: c, length: c.head.length, expects: c.head.expects}
	switch {
	case r.length < 0:
		r.chunked = true
	case r.length == 0:
		r.err = io.EOF
	default:
		r.left = r.length
	}
	return r
}

// wait waits until the next bytes of the body have arrived.
func (r *bodyReader) wait() error {
	if r.err == nil && r.chunked && r.left == 0 {
		r.err = r.nextChunk()
	}
	if r.err == nil {
		r.err = r.fill()
	}
	return r.err
}

// fill reads from the connection if the buffer is empty.
func (r *bodyReader) fill() error {
	c := r.conn
	if c.begin < c.end {
		return nil
	}
	if err := r.sendContinue(); err != nil {
		return err
	}
	c.begin, c.end = 0, 0
	n, err := c.fillInput()
	if r.full = n == len(c.in); n == 0 {
		return unexpected(err)
	}
	return nil
}

// sendContinue sends 100 Continue to a client that waits for it.
func (r *bodyReader) sendContinue() error {
	if !r.expects {
		return nil
	}
	r.expects = false
	r.conn.writeUntil(time.Now().Add(r.conn.listener.server.limits.Load().RequestTimeout))
	_, err := r.conn.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// Read implements io.Reader. It waits only if no bytes are buffered. It returns the
// buffered bytes of all chunks, and the bytes that have already arrived at the
// connection if they are probably many.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	n, err = r.readSome(p)
	for err == nil && n < len(p) {
		switch {
		case r.buffered():
			n += copy(p[n:], r.takeBuffered(len(p)-n))
		case r.err != nil || !r.full || r.conn.begin < r.conn.end:
			return n, nil
		case r.left > 0:
			n += r.readArrived(p[n:])
		default: // the next line
			r.fillArrived()
		}
	}
	return n, err
}

// readArrived reads bytes of this chunk that have arrived, without waiting.
func (r *bodyReader) readArrived(p []byte) int {
	p = p[:min(int64(len(p)), r.left)]
	n, err := r.conn.readArrived(p)
	r.full = n == len(p)
	r.countRead(n)
	r.noteError(err)
	return n
}

// fillArrived reads bytes that have arrived into the empty buffer of the connection,
// without waiting.
func (r *bodyReader) fillArrived() {
	c := r.conn
	n, err := c.readArrived(c.in)
	c.begin, c.end = 0, n
	c.received += int64(n)
	r.full = n == len(c.in)
	r.noteError(err)
}

// noteError keeps an error of the connection for the next call, unless the body has
// ended.
func (r *bodyReader) noteError(err error) {
	if r.err == nil {
		r.err = unexpected(err)
	}
}

// buffered reports whether the next bytes or the next line are in the buffer.
func (r *bodyReader) buffered() bool {
	input := r.conn.in[r.conn.begin:r.conn.end]
	switch {
	case r.err != nil:
		return false
	case r.chunked && r.left == 0:
		return bytes.IndexByte(input, '\n') >= 0
	default:
		return len(input) > 0
	}
}

// takeBuffered returns at most limit buffered bytes of the body. If the next line
// begins a chunk, it reads only this line and returns nothing. It does not wait if
// buffered is true.
func (r *bodyReader) takeBuffered(limit int) []byte {
	if r.chunked && r.left == 0 {
		r.err = r.readLine()
		return nil
	}
	c := r.conn
	taken := c.in[c.begin:c.end]
	taken = taken[:min(int64(len(taken)), int64(limit), r.left)]
	c.begin += len(taken)
	r.countRead(len(taken))
	return taken
}

// readSome reads bytes of one chunk.
func (r *bodyReader) readSome(p []byte) (n int, err error) {
	if r.err == nil && r.chunked && r.left == 0 {
		r.err = r.nextChunk()
	}
	if r.err == nil && r.conn.begin == r.conn.end {
		r.err = r.sendContinue()
	}
	if r.err != nil {
		return 0, r.err
	}
	if r.conn.begin < r.conn.end {
		return copy(p, r.takeBuffered(len(p))), nil
	}
	p = p[:min(int64(len(p)), r.left)]
	n, err = r.conn.read(p)
	r.full = n == len(p)
	r.err = unexpected(err)
	r.countRead(n)
	if n > 0 {
		return n, nil // the next call returns the error
	}
	return 0, r.err
}

// countRead counts n bytes of the body that were read.
func (r *bodyReader) countRead(n int) {
	if r.left -= int64(n); r.left > 0 {
		return
	}
	r.line = chunkEndLine
	if !r.chunked {
		r.err = io.EOF
	}
}

// unexpected turns io.EOF inside a body into io.ErrUnexpectedEOF.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// nextChunk reads lines until a chunk begins. After the last chunk it returns
// io.EOF.
func (r *bodyReader) nextChunk() error {
	for r.left == 0 {
		if err := r.readLine(); err != nil {
			return err
		}
	}
	return nil
}

// readLine reads the next line of a chunked body.
func (r *bodyReader) readLine() error {
	limit := [...]int{chunkSizeLine: chunkLineMax, chunkEndLine: len("\r\n"), trailerLine: r.trailer}[r.line]
	line, err := r.readText(limit)
	if err != nil {
		return err
	}
	switch r.line {
	case chunkEndLine:
		if len(line) > 0 {
			return errChunks
		}
		r.line = chunkSizeLine
	case trailerLine:
		if len(line) == 0 {
			return io.EOF
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsFunc(name, isNotToken) {
			return errChunks
		}
		r.trailer -= len(line)
	case chunkSizeLine:
		digits, _, _ := bytes.Cut(line, []byte(";")) // extensions are ignored
		size, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
		if err != nil {
			return errChunks
		}
		if r.left = int64(size); size == 0 {
			r.line, r.trailer = trailerLine, trailerMax
		}
	}
	return nil
}

var errChunks = errors.New("malformed chunks")

// readText reads a line of at most limit bytes with CRLF, and returns it without
// CRLF. The result is valid until the next line is read.
func (r *bodyReader) readText(limit int) ([]byte, error) {
	var line []byte
	for {
		if err := r.fill(); err != nil {
			return nil, err
		}
		c := r.conn
		part := c.in[c.begin:c.end]
		end := bytes.IndexByte(part, '\n') + 1
		if end > 0 {
			part = part[:end]
		}
		if n := len(line) + len(part); n > limit || n == limit && end == 0 {
			return nil, errChunks
		}
		c.begin += len(part)
		switch {
		case end == 0:
			line = append(line, part...)
			continue
		case line != nil:
			part = append(line, part...)
		}
		text, ok := bytes.CutSuffix(part, []byte("\r\n"))
		if !ok || bytes.ContainsFunc(text, isControl) {
			return nil, errChunks
		}
		return text, nil
	}
}

func isNotToken(c rune) bool { return c >= utf8.RuneSelf || !isToken(byte(c)) }

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// finish ends the use of the body and reports whether the connection can be used for
// another request. The rest of the body is skipped: buffered bytes now, and up to
// skipMax bytes when they arrive. A client that waits for 100 Continue may never
// send the body, so its connection cannot be used again.
func (r *bodyReader) finish() bool {
	c := r.conn
	r.skipEnd = c.consumed() + skipMax
	if !r.chunked {
		r.skipEnd += min(r.left, int64(c.end-c.begin))
	}
	r.dropBuffered()
	switch err := r.skipErr(); {
	case errors.Is(err, io.EOF):
		return true
	case err != nil || r.expects:
		return false
	}
	c.skip = r
	return true
}

// dropNext waits for the next bytes of a skipped body and drops them. At the end of
// the body it returns io.EOF.
func (r *bodyReader) dropNext() error {
	_ = r.wait() // skipErr returns its error
	r.dropBuffered()
	return r.skipErr()
}

func (r *bodyReader) dropBuffered() {
	for r.buffered() {
		r.takeBuffered(len(r.conn.in))
	}
}

// errUnskipped ends a connection whose last body cannot be skipped.
var errUnskipped = errors.New("the rest of a body that no handler has read is too large or malformed")

// skipErr returns the error that ends skipping, or nil if more can be skipped.
func (r *bodyReader) skipErr() error {
	if errors.Is(r.err, errChunks) || r.conn.consumed()+r.left > r.skipEnd {
		return errUnskipped
	}
	return r.err
}
