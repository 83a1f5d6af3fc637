package server

import (
	"cmp"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	chunkLineMax = 256     // bytes of a line that begins a chunk
	trailerMax   = 4 << 10 // bytes of all lines after the last chunk
)

// bodyReader reads the body of a request from its connection.
type bodyReader struct {
	conn    *connection
	left    int64 // bytes to come of the body, or of this chunk
	chunked bool
	begun   bool  // a chunk
	expects bool  // the client waits for 100 before it sends the body
	err     error // ends the reading; io.EOF: all was read
	length  int64 // as declared; -1: chunked
}

// takeBody returns the body of the request whose head was read last.
func takeBody(c *connection) *bodyReader {
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

// wait waits until the next bytes of the body are there.
func (r *bodyReader) wait() error {
	if r.err == nil && r.chunked && r.left == 0 {
		r.err = r.nextChunk()
	}
	if r.err == nil {
		r.err = r.fill()
	}
	return r.err
}

// fill reads from the connection if nothing is left of what was read before.
func (r *bodyReader) fill() error {
	c := r.conn
	if c.begin < c.end {
		return nil
	}
	if err := r.invite(); err != nil {
		return err
	}
	c.begin, c.end = 0, 0
	if n, err := c.fill(); n == 0 {
		return early(err)
	}
	return nil
}

// invite tells a client that waits for it to send the body.
func (r *bodyReader) invite() error {
	if !r.expects {
		return nil
	}
	r.expects = false
	r.conn.writeUntil(time.Now().Add(r.conn.of.server.limits.Load().RequestTimeout))
	_, err := r.conn.Conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// Read implements io.Reader. It waits for some bytes, not for all of p.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	if r.err == nil && r.chunked && r.left == 0 {
		r.err = r.nextChunk()
	}
	if r.err == nil && r.conn.begin == r.conn.end {
		r.err = r.invite()
	}
	if r.err != nil {
		return 0, r.err
	}
	p = p[:min(int64(len(p)), r.left)]
	if c := r.conn; c.begin < c.end {
		n = copy(p, c.in[c.begin:c.end])
		c.begin += n
	} else {
		n, r.err = c.Conn.Read(p)
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
	digits, _, _ := strings.Cut(line, ";") // extensions mean nothing to this server
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
		if err := r.fill(); err != nil {
			return "", err
		}
		b := r.conn.in[r.conn.begin]
		r.conn.begin++
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

// over reports whether what follows on the connection is the next request. A
// body that nobody has read is skipped if it is there already.
func (r *bodyReader) over() bool {
	if r.chunked {
		return errors.Is(r.err, io.EOF)
	}
	c := r.conn
	if there := int64(c.end - c.begin); r.left > 0 && r.left <= there {
		c.begin += int(r.left)
		r.left = 0
	}
	return r.left == 0
}
