package server

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cloudwego/hertz/pkg/network"

	"nearside/matcher"
)

const (
	chunkLineMax = 256     // bytes of a line that begins a chunk
	trailerMax   = 4 << 10 // bytes of all lines after the last chunk
	bodyAtOnce   = 1 << 20 // bytes reserved for a body before they came
)

// bodyReader reads the body of a request from its connection. hertz's own
// reader takes bytes beyond the end of the body, waits until a whole buffer of
// a chunk is there and loses it when the connection breaks.
type bodyReader struct {
	conn    network.Conn
	head    []byte // read by hertz already; it may go beyond the end
	left    int64  // bytes to come of the body, or of this chunk
	chunked bool
	begun   bool  // a chunk
	err     error // ends the reading; io.EOF: all was read
	length  int64 // as declared; -1: chunked
}

// takeBody takes the body over from hertz.
func takeBody(c *requestContext) *bodyReader {
	r := &bodyReader{conn: c.GetConn(), length: int64(c.Request.Header.ContentLength())}
	switch {
	case !c.Request.IsBodyStream():
		r.length, r.err = 0, io.EOF
	case r.length < 0:
		r.length, r.chunked = -1, true
	case r.length == 0:
		r.err = io.EOF
	default:
		r.head, r.left = c.Request.BodyBuffer().B, r.length
	}
	_ = c.Request.CloseBodyStream() // hertz is to read no more of it, after the answer neither
	return r
}

// Read implements io.Reader. It waits for some bytes, not for all of p.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	if r.err == nil && r.chunked && r.left == 0 {
		r.err = r.nextChunk()
	}
	if r.err != nil {
		return 0, r.err
	}
	p = p[:min(int64(len(p)), r.left)]
	if len(r.head) > 0 {
		n = copy(p, r.head)
		r.head = r.head[n:]
	} else {
		n, r.err = r.conn.Read(p)
		r.err = early(r.err)
	}
	if r.left -= int64(n); r.left == 0 && !r.chunked {
		r.err = io.EOF
	}
	if n > 0 {
		return n, nil // what was read counts, whatever comes after it
	}
	return 0, r.err
}

// early makes an error of a stream that ends before the body does.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// nextChunk begins a chunk. After the last one it returns io.EOF.
func (r *bodyReader) nextChunk() error {
	defer func() { _ = r.conn.Release() }() // of what was peeked; it cannot fail
	if r.begun {
		if line, err := r.line(len("\r\n")); err != nil || line != "" {
			return cmp.Or(err, errChunks)
		}
	}
	r.begun = true
	line, err := r.line(chunkLineMax)
	if err != nil {
		return err
	}
	digits, _, _ := strings.Cut(line, ";") // extensions mean nothing to us
	size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 63)
	if err != nil {
		return errChunks
	}
	if r.left = int64(size); size > 0 {
		return nil
	}
	for most := trailerMax; line != ""; most -= len(line) {
		if line, err = r.line(most); err != nil {
			return err
		}
	}
	return io.EOF
}

var errChunks = errors.New("malformed chunks")

// line reads a line of at most that many bytes, its end included and left out.
func (r *bodyReader) line(most int) (string, error) {
	var line []byte
	for len(line) < most {
		b, err := r.conn.ReadByte()
		if err != nil {
			return "", early(err)
		}
		if line = append(line, b); b != '\n' {
			continue
		}
		if text, ok := strings.CutSuffix(string(line), "\r\n"); ok {
			return text, nil
		}
		break
	}
	return "", errChunks
}

// over reports whether what follows on the connection is the next request.
func (r *bodyReader) over() bool {
	if r.chunked {
		return errors.Is(r.err, io.EOF)
	}
	return r.left == int64(len(r.head))
}

// framing refuses requests of which two readers may think differently where
// their body ends. hertz takes the last of several lengths, any transfer
// encoding for chunked, and both at once.
func framing(rawHeaders []byte) error {
	lengths, encodings := 0, 0
	for line := range bytes.Lines(rawHeaders) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			lengths++
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			encodings++
			if value = bytes.TrimSpace(value); !bytes.EqualFold(value, []byte("chunked")) {
				return matcher.Errorf(matcher.CodeSyntax, "header: Transfer-Encoding: %q is not chunked", shorten(string(value)))
			}
		}
	}
	if lengths+encodings > 1 {
		return matcher.Errorf(matcher.CodeSyntax, "header: Content-Length and Transfer-Encoding say more than once how long the body is")
	}
	return nil
}

// body reads the whole body of JSON or msgpack.
func (x *exchange) body() ([]byte, error) {
	if err := x.contentType(); err != nil {
		return nil, err
	}
	return x.anyBody()
}

// anyBody reads the whole body, whatever it is, within the time of the
// request.
func (x *exchange) anyBody() ([]byte, error) {
	most := x.limits.BodyBytes
	if x.input.length > most {
		return nil, tooLarge(most)
	}
	if err := x.holdBody(x.input.length); err != nil {
		return nil, err
	}
	if err := x.readUntilDeadline(); err != nil {
		return nil, readFault(err)
	}
	buf := make([]byte, 0, min(max(512, x.input.length+1), bodyAtOnce))
	for {
		n, err := x.input.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > most:
			return nil, tooLarge(most)
		case errors.Is(err, io.EOF):
			x.keepBody(int64(len(buf)))
			return buf, nil
		case err != nil:
			return nil, readFault(err)
		case x.input.chunked && x.held == 0 && len(buf) >= ticketMin:
			// Its length is not known: it may become as large as any.
			if err = cmp.Or(x.holdBody(most), x.readUntilDeadline()); err != nil {
				return nil, err
			}
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

func tooLarge(most int64) error {
	return matcher.Errorf(matcher.CodeTooLarge, "body: larger than the limit of %d bytes", most)
}

// holdBody waits until there is room for a body, which dropBody gives back.
func (x *exchange) holdBody(bytes int64) (err error) {
	x.held, err = x.limits.bodies.take(x.ctx, bytes)
	return err
}

// keepBody gives back what the body did not need.
func (x *exchange) keepBody(bytes int64) {
	if more := x.held - bytes; more > 0 {
		x.limits.bodies.Release(more)
		x.held = bytes
	}
}

func (x *exchange) dropBody() { x.keepBody(0) }

// readUntilDeadline lets reads fail when the time of the request is over.
func (x *exchange) readUntilDeadline() error {
	deadline, _ := x.ctx.Deadline() // it has one
	return x.GetConn().SetReadTimeout(max(time.Until(deadline), time.Millisecond))
}

// readFault makes the error that a client is told of, of one of its body.
func readFault(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return matcher.Errorf(matcher.CodeDeadline, "body: no more of it came in time")
	}
	return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
}
