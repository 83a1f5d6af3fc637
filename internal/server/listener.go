package server

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// listener keeps its connections, so that Shutdown can close those that idle:
// the transport would wait for their clients.
type listener struct {
	net.Listener
	firstRead time.Duration // until the first request must have been read

	mu   sync.Mutex
	open map[*connection]struct{}
	once sync.Once
	err  error
}

type connection struct {
	net.Conn
	of *listener
}

func listen(address string, firstRead time.Duration) (*listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	return &listener{Listener: l, firstRead: firstRead, open: map[*connection]struct{}{}}, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(l.firstRead)); err != nil {
		return nil, err
	}
	kept := &connection{c, l}
	l.mu.Lock()
	l.open[kept] = struct{}{}
	l.mu.Unlock()
	return kept, nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// Close implements net.Listener; it may be called more than once.
func (l *listener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

func (l *listener) stop() { _ = l.Close() }

func (l *listener) closeConnections() {
	l.mu.Lock()
	open := make([]*connection, 0, len(l.open))
	for c := range l.open {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}
