package server

import (
	"container/list"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"nearside/matcher"
)

const (
	// handshakeTime is how long a TLS handshake may take.
	handshakeTime = 10 * time.Second
	// handshakesMax is the largest number of unfinished handshakes. For a further one,
	// the oldest is ended. Clients need two round trips, so the oldest is that of a client
	// that is very slow, or does not want to finish.
	handshakesMax = 512
)

// handshakes bounds the TLS handshakes of a listener. An unfinished handshake holds memory
// that no budget counts, and computing one costs as much as several requests.
type handshakes struct {
	slots  workers // for computing; a handshake has no slot while it waits for the client
	failed atomic.Int64

	mu   sync.Mutex
	max  int       // the constant; tests change it
	open list.List // of *connection, the oldest first
}

func newHandshakes() *handshakes { return &handshakes{slots: newDecompressors(), max: handshakesMax} }

// begin counts the handshake of c until end is called.
func (h *handshakes) begin(c *connection) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open.Len() >= h.max {
		oldest := h.open.Remove(h.open.Front()).(*connection)
		oldest.cut()
	}
	place := h.open.PushBack(c)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.open.Remove(place) // does nothing if it was removed already
	}
}

// HandshakeFailures returns how many TLS handshakes have failed. Connections that were
// closed before the first byte do not count, because many health checks do that.
func (s *Server) HandshakeFailures() int64 { return s.listener.handshakes.failed.Load() }

// tlsConfig returns the configuration of new connections; nil: they do not use TLS.
func (s *Server) tlsConfig() *tls.Config {
	if s.options.TLS == nil {
		return nil
	}
	return s.options.TLS()
}

// handshake makes c a TLS connection if the server uses TLS. It reports whether c can be
// used.
func (c *connection) handshake() bool {
	s := c.listener.server
	config := s.tlsConfig()
	if config == nil {
		return true
	}
	defer c.listener.handshakes.begin(c)()
	return c.handshakeUntil(config, time.Now().Add(min(handshakeTime, s.limits.Load().RequestTimeout)))
}

// handshakeUntil is handshake with a deadline. Failed handshakes are counted.
func (c *connection) handshakeUntil(config *tls.Config, deadline time.Time) bool {
	c.readUntil(deadline)
	c.writeUntil(deadline)
	h := c.listener.handshakes
	s := newSecure(c, config)
	s.slots = h.slots
	s.slots.enter()
	err := s.tls.Handshake()
	s.slots.leave()
	flushed := s.flush()
	s.slots = nil
	if err == nil && flushed == nil {
		c.secure = s
		c.writeUntil(time.Time{})
		return true
	}
	s.release()
	if err == nil {
		err = flushed
	}
	if errors.Is(err, io.EOF) {
		return false
	}
	h.failed.Add(1)
	c.listener.server.options.Log.Debug("TLS handshake failed", "client", c.peer.String(), "error", err)
	var header tls.RecordHeaderError
	if errors.As(err, &header) && header.Conn != nil && isToken(header.RecordHeader[0]) {
		c.refuse(matcher.Errorf(matcher.CodeSyntax, "request: this port needs TLS, but the client speaks HTTP without TLS; the URL must begin with https://"))
		return false
	}
	c.linger = true // so that the client can read the alert
	return false
}
