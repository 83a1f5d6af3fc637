package server

import (
	"errors"
	"fmt"

	"github.com/cloudwego/hertz/pkg/protocol/http1/resp"

	"nearside/internal/coding"
)

// errUnsent is wrapped by errors of answers that the client does not read.
var errUnsent = errors.New("the answer cannot be sent")

// stream sends an answer of unknown length piece by piece. HTTP/1.1 clients get
// chunks. For HTTP/1.0 clients the end of the connection ends the answer. It
// implements network.ExtWriter.
type stream struct {
	x      *exchange
	begun  bool
	ended  bool
	coding coding.Stream
	coded  []byte // the last compressed piece
}

// startStream starts an answer of unknown length, compressed if the client accepts that.
// The answer to HEAD is only the header.
func (x *exchange) startStream(status int, contentType string) *stream {
	x.SetStatusCode(status)
	x.SetContentType(contentType)
	x.Response.Header.Set("Vary", "Accept-Encoding")
	s := &stream{x: x, coding: coding.Stream{Coding: x.outCoding}}
	if x.outCoding != coding.Identity {
		x.Response.Header.Set("Content-Encoding", x.outCoding.String())
	}
	if x.conn.head.http10 {
		x.SetConnectionClose()
	}
	x.Response.HijackWriter(s)
	return s
}

// Write implements io.Writer. It returns when p was sent.
func (s *stream) Write(p []byte) (int, error) { return len(p), s.sendPiece(s.compress(p)) }

// compress returns p in the coding of the stream. The result is valid until the next call.
func (s *stream) compress(p []byte) []byte {
	if s.coding.Coding == coding.Identity {
		return p
	}
	s.coded = s.coding.Append(reuse(s.coded), p)
	return s.coded
}

// sendPiece sends a result of compress. It returns when the piece was sent.
func (s *stream) sendPiece(p []byte) error {
	if s.ended || len(p) == 0 || s.x.IsHead() {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	s.addPiece(p)
	return s.Flush()
}

// addPiece sends p with the next flush.
func (s *stream) addPiece(p []byte) {
	out := &s.x.conn.out
	if s.x.conn.head.http10 {
		out.addBytes(p)
		return
	}
	out.addBytes(fmt.Appendf(nil, "%x\r\n", len(p)))
	out.addBytes(p)
	out.addBytes([]byte("\r\n"))
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
	if !s.x.IsHead() {
		if s.coding.Coding != coding.Identity {
			if end := s.coding.AppendEnd(nil); len(end) > 0 {
				s.addPiece(end)
			}
		}
		if !s.x.conn.head.http10 {
			s.x.conn.out.addBytes([]byte("0\r\n\r\n"))
		}
	}
	return s.x.conn.Flush()
}
