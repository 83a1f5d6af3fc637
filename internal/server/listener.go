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

// listener has all open connections. It counts the requests that are being answered,
// so that Shutdown can wait for them.
type listener struct {
	net.Listener
	server   *Server
	closed   chan struct{}
	close    func() error
	requests sync.WaitGroup // from the start of the handler until the answer is written
	serving  sync.WaitGroup // connections, until they are closed

	handshakes     *handshakes
	connectionsMax atomic.Int64 // the limit of open connections; tests change it

	mu        sync.Mutex
	open      map[*connection]struct{}
	byAddress map[netip.Prefix]int     // number of open connections
	idle      list.List                // of *connection without a request, longest idle first
	away      map[*connection]struct{} // refused connections that turnAway still reads
}

func listen(address string, s *Server) (*listener, error) {
	inner, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	l := &listener{
		Listener: inner, server: s, closed: make(chan struct{}), handshakes: newHandshakes(),
		open: map[*connection]struct{}{}, byAddress: map[netip.Prefix]int{}, away: map[*connection]struct{}{},
	}
	l.connectionsMax.Store(connectionsMax())
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return l.Listener.Close()
	})
	return l, nil
}

// Close implements net.Listener. It may be called more than once.
func (l *listener) Close() error { return l.close() }

// accept returns the next connection. It returns an error only when the listener is
// closed. After other errors, such as too many open files, it tries again.
func (l *listener) accept() (*connection, error) {
	delay := acceptDelay
	for {
		inner, err := l.Accept()
		if err == nil {
			delay = acceptDelay
			c := newConnection(inner, l)
			if refused := l.addConnection(c); refused != nil {
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

// cutAll closes all connections at once.
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
