package server

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/cloudwego/hertz/pkg/protocol/http1/resp"
)

// errUnsent is wrapped by errors of answers that the client does not read.
var errUnsent = errors.New("the answer cannot be sent")

// stream sends an answer of unknown length piece by piece. HTTP/1.1 clients get
// chunks. For HTTP/1.0 clients the end of the connection ends the answer. It
// implements network.ExtWriter.
type stream struct {
	x     *exchange
	begun bool
	ended bool
}

// startStream starts an answer of unknown length. The answer to HEAD is only the header.
func (x *exchange) startStream(contentType string) *stream {
	x.SetStatusCode(http.StatusOK)
	x.SetContentType(contentType)
	s := &stream{x: x}
	if x.conn.head.http10 {
		x.SetConnectionClose()
	}
	x.Response.HijackWriter(s)
	return s
}

// Write implements io.Writer. It returns when p was sent.
func (s *stream) Write(p []byte) (int, error) {
	if s.ended || len(p) == 0 || s.x.IsHead() {
		return len(p), nil
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	out := &s.x.conn.out
	if s.x.conn.head.http10 {
		out.addBytes(p)
	} else {
		out.addBytes(fmt.Appendf(nil, "%x\r\n", len(p)))
		out.addBytes(p)
		out.addBytes([]byte("\r\n"))
	}
	return len(p), s.Flush()
}

// begin writes the header of the answer.
func (s *stream) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	header := &s.x.Response.Header
	header.SetContentLength(-1)
	if s.x.conn.head.http10 {
		header.SetContentLength(-2) // for hertz: neither a length nor chunks
	}
	return resp.WriteHeader(header, s.x.conn)
}

// Flush implements network.ExtWriter.
func (s *stream) Flush() error {
	if err := s.x.conn.Flush(); err != nil {
		s.ended = true
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	return nil
}

// Finalize implements network.ExtWriter. hertz calls it after the handler has
// returned.
func (s *stream) Finalize() error {
	if s.ended {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	s.ended = true
	if !s.x.conn.head.http10 && !s.x.IsHead() {
		s.x.conn.out.addBytes([]byte("0\r\n\r\n"))
	}
	return s.x.conn.Flush()
}
