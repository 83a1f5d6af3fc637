package server

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// listener keeps its connections and counts the requests that are being
// answered, so that Shutdown can wait for them and close idle connections.
type listener struct {
	net.Listener
	server   *Server
	closed   chan struct{}
	close    func() error
	requests sync.WaitGroup // from the start of the handler until the answer is written
	serving  sync.WaitGroup // connections, until they are closed

	most atomic.Int64 // connections that may be open at once

	mu        sync.Mutex
	open      map[*connection]struct{}
	byAddress map[netip.Prefix]int // how many of open
	idle      list.List            // of *connection: those without a request, longest first
	away      map[*connection]struct{}
}

func listen(address string, s *Server) (*listener, error) {
	inner, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	l := &listener{
		Listener: inner, server: s, closed: make(chan struct{}),
		open: map[*connection]struct{}{}, byAddress: map[netip.Prefix]int{}, away: map[*connection]struct{}{},
	}
	l.most.Store(connectionsMax())
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return l.Listener.Close()
	})
	return l, nil
}

// Close implements net.Listener. It may be called more than once.
func (l *listener) Close() error { return l.close() }

// accept returns the next connection. It returns an error only when the
// listener was closed: when, for example, there are too many open files for a
// moment, it tries again.
func (l *listener) accept() (*connection, error) {
	delay := acceptDelay
	for {
		inner, err := l.Accept()
		if err == nil {
			delay = acceptDelay
			c := newConnection(inner, l)
			if refused := l.keep(c); refused != nil {
				l.turnAway(c, refused)
				continue
			}
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		case <-time.After(delay):
			delay = min(2*delay, time.Second)
		}
	}
}

// acceptDelay is the first pause after Accept failed.
const acceptDelay = 5 * time.Millisecond

// cutAll closes all connections. Their requests end with them.
func (l *listener) cutAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.cut()
	}
	for c := range l.away {
		c.cut()
	}
}
