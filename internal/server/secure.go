package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// secure is the TLS layer of a connection. crypto/tls reads from the TCP connection through
// it, but never writes to it: what crypto/tls writes is kept in unsent, and secure sends
// that. So a write can be interrupted and continued. crypto/tls itself cannot continue
// after a write has failed.
//
// It is used by the goroutine of the connection.
type secure struct {
	tls    *tls.Conn
	conn   *connection
	tcp    net.Conn
	slots  workers // for computing a handshake, which has one; nil: the handshake is over
	arrive bool    // reads return errNotArrived instead of waiting
	unsent []byte  // written by crypto/tls, in order
	pooled *[]byte // the memory of unsent, if it comes from sealedPool
	sealed int     // bytes of answers in unsent that were not reported as sent
}

// sealedMax is the size of writeMax bytes in records of TLS: 4 records of 16 KiB, each with
// a header, a nonce and a tag. Two more may be needed for the borders of pieces.
const sealedMax = writeMax + 16*64

// sealedPool has buffers for encrypted answers.
var sealedPool = sync.Pool{New: func() any { b := make([]byte, 0, sealedMax); return &b }}

func newSecure(c *connection, config *tls.Config) *secure {
	s := &secure{conn: c, tcp: c.Conn}
	s.tls = tls.Server(tlsSocket{c.Conn, s}, config)
	return s
}

// tlsSocket is the connection that crypto/tls uses.
type tlsSocket struct {
	net.Conn
	secure *secure
}

// errNotArrived is the error of a read that does not wait. crypto/tls continues after it,
// because it is temporary.
var errNotArrived net.Error = notArrivedError{}

type notArrivedError struct{}

func (notArrivedError) Error() string   { return "no bytes have arrived" }
func (notArrivedError) Timeout() bool   { return true }
func (notArrivedError) Temporary() bool { return true }

// Read implements net.Conn.
func (t tlsSocket) Read(p []byte) (int, error) {
	s := t.secure
	if s.arrive {
		n, err := readArrived(s.tcp, p)
		if n == 0 && err == nil {
			err = errNotArrived
		}
		return n, err
	}
	if s.slots != nil {
		s.slots.leave()
		defer s.slots.enter()
	}
	if err := s.flushMessages(); err != nil { // the client may wait for them
		return 0, err
	}
	return s.tcp.Read(p)
}

// Write implements net.Conn.
func (t tlsSocket) Write(p []byte) (int, error) {
	s := t.secure
	if s.unsent == nil {
		s.pooled = sealedPool.Get().(*[]byte)
		s.unsent = (*s.pooled)[:0]
	}
	s.unsent = append(s.unsent, p...)
	return len(p), nil
}

// SetWriteDeadline implements net.Conn. It does nothing: the connection sets the deadlines,
// and crypto/tls would end all writes after it has sent close_notify.
func (tlsSocket) SetWriteDeadline(time.Time) error { return nil }

// read waits for bytes of the client.
func (s *secure) read(p []byte) (int, error) { return s.tls.Read(p) }

// readArrived is connection.readArrived.
func (s *secure) readArrived(p []byte) (n int, err error) {
	s.arrive = true
	defer func() { s.arrive = false }()
	for n < len(p) {
		var more int
		more, err = s.tls.Read(p[n:]) // at most one record
		n += more
		if err != nil {
			break
		}
	}
	if errors.Is(err, errNotArrived) || errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		err = s.flushMessages()
	}
	return n, err
}

// write sends p as a whole.
func (s *secure) write(p []byte) (int, error) {
	if _, err := s.tls.Write(p); err != nil {
		return 0, err
	}
	return len(p), s.flush()
}

// flush sends all unsent bytes.
func (s *secure) flush() error {
	for len(s.unsent) > 0 {
		if _, err := s.send(); err != nil {
			return err
		}
	}
	return nil
}

// flushMessages sends the messages that crypto/tls has written by itself. After the
// handshake, there are usually none.
func (s *secure) flushMessages() error {
	if len(s.unsent) == 0 {
		return nil
	}
	if s.slots == nil { // otherwise, the deadline of the handshake is in force
		s.conn.writeUntil(time.Now().Add(lingerMax))
		defer s.conn.writeUntil(time.Time{})
	}
	return s.flush()
}

// send sends unsent bytes and returns how many.
func (s *secure) send() (int, error) {
	n, err := s.tcp.Write(s.unsent)
	if s.unsent = s.unsent[n:]; len(s.unsent) == 0 {
		s.release()
	}
	return n, err
}

// release gives back the memory of unsent.
func (s *secure) release() {
	if s.pooled != nil {
		sealedPool.Put(s.pooled)
	}
	s.pooled, s.unsent = nil, nil
}

// writePieces encrypts pieces and sends them. It returns how many of their bytes the client
// has taken. After an error of a deadline, the caller may continue with the other bytes:
// the first of these are encrypted already, and are not encrypted again.
func (s *secure) writePieces(pieces net.Buffers) (int64, error) {
	if s.sealed == 0 {
		for _, p := range pieces {
			if _, err := s.tls.Write(p); err != nil {
				return 0, err
			}
			s.sealed += len(p)
		}
	}
	taken := 0
	for len(s.unsent) > 0 {
		n, err := s.send()
		taken += n
		if err != nil {
			// Without the last byte, the caller continues until all records are sent.
			taken = min(taken, s.sealed-1)
			s.sealed -= taken
			return int64(taken), err
		}
	}
	taken, s.sealed = s.sealed, 0
	return int64(taken), nil
}

// closeWrite tells the client that nothing more is sent. It does nothing if an answer was
// not sent completely, so that the client can notice that.
func (s *secure) closeWrite() {
	if s.sealed == 0 {
		_ = s.tls.CloseWrite() // fails after another alert; flush sends that
		_ = s.flush()          // the client has left, or does not read
	}
	s.release()
}
