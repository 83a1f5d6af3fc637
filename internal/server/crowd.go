package server

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"nearside/matcher"
)

const (
	// connectionsWanted is the most connections that are open at once, if the
	// process may have twice as many files.
	connectionsWanted = 16384
	// turnedAwayMax is how many refused connections are answered with care at
	// once: so that the answer arrives even when the client is still sending.
	turnedAwayMax = 256
)

// connectionsMax leaves half of the files of the process to others.
func connectionsMax() int64 {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return connectionsWanted
	}
	return int64(min(connectionsWanted, files.Cur/2))
}

// addressOf returns the addresses whose connections count together: one
// address of IPv4, or a /64 network of IPv6, which is the least that one
// customer of a provider has.
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
	prefix, _ := ip.Prefix(bits) // the length fits
	return prefix
}

// keep adds a new connection, or says why it is refused. When there are too
// many connections, the one that has been idle for longest makes room.
func (l *listener) keep(c *connection) *matcher.Error {
	most := l.server.limits.Load().ConnectionsPerAddress
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.byAddress[c.address]; most > 0 && n >= most {
		return matcher.Errorf(matcher.CodeUnavailable,
			"connection: %d connections of %s are open already, which is the limit of limits.connections_per_address", n, c.address.Addr())
	}
	if n := len(l.open); int64(n) >= l.most.Load() {
		longest := l.idle.Front()
		if longest == nil {
			return matcher.Errorf(matcher.CodeUnavailable, "connection: %d connections are open already, and none of them is idle", n)
		}
		victim := longest.Value.(*connection)
		l.forget(victim)
		victim.cut()
	}
	l.open[c] = struct{}{}
	l.byAddress[c.address]++
	c.idle = l.idle.PushBack(c)
	return nil
}

// forget removes a connection. l.mu is held.
func (l *listener) forget(c *connection) {
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

// rest says that c has no request now, or that one has just begun to come.
func (l *listener) rest(c *connection) {
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

// busy says that c has a whole head of a request.
func (l *listener) busy(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.idle != nil {
		l.idle.Remove(c.idle)
		c.idle = nil
	}
}

// turnAway answers a connection that is one too many, and closes it. It does
// not wait for the client.
func (l *listener) turnAway(c *connection, why *matcher.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed: // nobody would wait for what follows
		c.cut()
		return
	default:
	}
	if len(l.away) >= turnedAwayMax {
		c.refuse(why) // goes into the empty buffer of the connection
		c.cut()
		return
	}
	l.away[c] = struct{}{}
	l.serving.Go(func() {
		_ = c.SetReadDeadline(time.Now().Add(lingerMax))
		_, _ = c.Conn.Read(make([]byte, 1)) // clients do not expect an answer before they have asked
		c.refuse(why)
		c.done()
	})
}
