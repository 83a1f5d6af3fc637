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
	// connectionsOverTLS is connectionsWanted for a server with a certificate. crypto/tls keeps
	// up to 84 KB for each connection after large requests, which no other budget counts. So
	// all connections together hold at most about 340 MB.
	connectionsOverTLS = 4096
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

// most returns how many connections may be open.
func (l *listener) most() int64 {
	most := l.connectionsMax.Load()
	if l.server.tlsConfig() != nil {
		most = min(most, connectionsOverTLS)
	}
	return most
}

// peerOf returns the address at the other end of a connection.
func peerOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// networkOf returns the network of a client whose connections are counted together: one
// IPv4 address, or an IPv6 /64, because each customer of a provider has at least a /64.
func networkOf(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // bits is valid for ip; the zero address has the zero prefix
	return prefix
}

// isLoopback reports whether the client of a connection is on this machine.
func isLoopback(c net.Conn) bool {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// addConnection adds a new connection, or returns the error with which it is refused.
// When there are too many connections, it closes the connection that has been idle
// longest. The connections of a trusted proxy are counted for the clients of their
// requests, see countClient.
func (l *listener) addConnection(c *connection) *matcher.Error {
	limits := l.server.limits.Load()
	c.proxy = limits.trusts(c.peer)
	address := networkOf(c.peer)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.byAddress[address]; !c.proxy && limits.ConnectionsPerAddress > 0 && n >= limits.ConnectionsPerAddress {
		return tooManyConnections(n, address)
	}
	if n := len(l.open); int64(n) >= l.most() {
		longest := l.idle.Front()
		if longest == nil {
			return matcher.Errorf(matcher.CodeUnavailable, "connection: %d connections are open and none is idle", n)
		}
		oldest := longest.Value.(*connection)
		l.removeConnection(oldest)
		oldest.cut()
	}
	l.open[c] = struct{}{}
	if !c.proxy && address.IsValid() {
		c.address = address
		l.byAddress[address]++
	}
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
	l.removeAddress(c)
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
	config := l.server.tlsConfig()
	if len(l.away) >= turnedAwayMax {
		if config == nil { // a handshake would need time
			c.refuse(why) // does not block: the send buffer of the socket is empty
		}
		c.cut()
		return
	}
	l.away[c] = struct{}{}
	l.serving.Go(func() {
		defer c.finish()
		deadline := time.Now().Add(lingerMax)
		if config != nil && !c.handshakeUntil(config, deadline) {
			return
		}
		c.readUntil(deadline)
		_, _ = c.read(make([]byte, 1)) // clients do not expect an answer before their request
		c.refuse(why)
	})
}
