package server

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"nearside/matcher"
)

const (
	// connectionsWanted is the largest number of open connections, if the process
	// may open at least twice as many files.
	connectionsWanted = 16384
	// turnedAwayMax is the largest number of refused connections that are read for a
	// moment before they are closed, so that their clients see the answer. Further
	// connections are closed at once.
	turnedAwayMax = 256
)

// connectionsMax returns connectionsWanted, but at most half of the number of files
// that the process may open.
func connectionsMax() int64 {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return connectionsWanted
	}
	return int64(min(connectionsWanted, files.Cur/2))
}

// addressOf returns the network of a client whose connections are counted together: one
// IPv4 address, or an IPv6 /64, because each customer of a provider has at least a /64.
func addressOf(c net.Conn) netip.Prefix {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // bits is valid for ip
	return prefix
}

// isLoopback reports whether the client of a connection is on this machine.
func isLoopback(c net.Conn) bool {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// addConnection adds a new connection, or returns the error with which it is refused.
// When there are too many connections, it closes the connection that has been idle
// longest.
func (l *listener) addConnection(c *connection) *matcher.Error {
	perAddress := l.server.limits.Load().ConnectionsPerAddress
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.byAddress[c.address]; perAddress > 0 && n >= perAddress {
		return matcher.Errorf(matcher.CodeUnavailable,
			"connection: %d connections of %s are open already, which is the limit of limits.connections_per_address", n, c.address.Addr())
	}
	if n := len(l.open); int64(n) >= l.connectionsMax.Load() {
		longest := l.idle.Front()
		if longest == nil {
			return matcher.Errorf(matcher.CodeUnavailable, "connection: %d connections are open and none is idle", n)
		}
		oldest := longest.Value.(*connection)
		l.removeConnection(oldest)
		oldest.cut()
	}
	l.open[c] = struct{}{}
	l.byAddress[c.address]++
	c.idle = l.idle.PushBack(c)
	return nil
}

// removeConnection removes a connection. l.mu is held.
func (l *listener) removeConnection(c *connection) {
	delete(l.away, c)
	if _, ok := l.open[c]; !ok {
		return
	}
	delete(l.open, c)
	if l.byAddress[c.address]--; l.byAddress[c.address] == 0 {
		delete(l.byAddress, c.address)
	}
	if c.idle != nil {
		l.idle.Remove(c.idle)
		c.idle = nil
	}
}

// markIdle moves c to the end of the idle list, because its request has ended or a
// new one has begun to arrive.
func (l *listener) markIdle(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[c]; !ok {
		return
	}
	if c.idle != nil {
		l.idle.MoveToBack(c.idle)
		return
	}
	c.idle = l.idle.PushBack(c)
}

// markBusy removes c from the idle list, because the head of a request is complete.
func (l *listener) markBusy(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.idle != nil {
		l.idle.Remove(c.idle)
		c.idle = nil
	}
}

// turnAway answers a refused connection with an error and closes it. It does not
// wait for the client.
func (l *listener) turnAway(c *connection, why *matcher.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed: // Shutdown may already wait for l.serving, so nothing may be added
		c.cut()
		return
	default:
	}
	if len(l.away) >= turnedAwayMax {
		c.refuse(why) // does not block: the send buffer of the socket is empty
		c.cut()
		return
	}
	l.away[c] = struct{}{}
	l.serving.Go(func() {
		_ = c.SetReadDeadline(time.Now().Add(lingerMax))
		_, _ = c.Conn.Read(make([]byte, 1)) // clients do not expect an answer before their request
		c.refuse(why)
		c.finish()
	})
}
