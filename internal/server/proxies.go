package server

import (
	"net/netip"
	"slices"
	"strings"

	"nearside/matcher"
)

// forwardedFor is the header in which a proxy names the client of a request.
const forwardedFor = "X-Forwarded-For"

// trusts reports whether an address is that of a trusted proxy.
func (l *Limits) trusts(ip netip.Addr) bool {
	return slices.ContainsFunc(l.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// clientAddress returns the address of the client: the peer of the connection, unless that is
// a trusted proxy.
func (x *exchange) clientAddress() netip.Addr {
	if !x.conn.proxy {
		return x.conn.peer
	}
	return x.limits.forwardedClient(x.conn.peer, x.header(forwardedFor))
}

// forwardedClient returns the last address in X-Forwarded-For that is not that of a trusted
// proxy. If all are trusted, that is the first one. A client can write anything before the
// address that the first trusted proxy adds, so that is not read. peer is a trusted proxy.
func (l *Limits) forwardedClient(peer netip.Addr, forwarded string) netip.Addr {
	client := peer
	for forwarded != "" {
		var last string
		if comma := strings.LastIndexByte(forwarded, ','); comma >= 0 {
			forwarded, last = forwarded[:comma], forwarded[comma+1:]
		} else {
			forwarded, last = "", forwarded
		}
		ip, ok := parseForwarded(strings.TrimSpace(last))
		if !ok {
			break
		}
		if client = ip; !l.trusts(ip) {
			break
		}
	}
	return client
}

// parseForwarded parses an element of X-Forwarded-For: an address, maybe with a port.
func parseForwarded(text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = withPort.Addr()
	}
	return ip.Unmap().WithZone(""), true
}

// countClient counts the connection of a trusted proxy as one of the client of its request,
// until the request ends. It returns an error if that client has too many. Other
// connections are counted when they are accepted.
func (l *listener) countClient(c *connection, client netip.Addr) error {
	if !c.proxy {
		return nil
	}
	address, perAddress := networkOf(client), l.server.limits.Load().ConnectionsPerAddress
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.byAddress[address]; perAddress > 0 && n >= perAddress {
		return tooManyConnections(n, address)
	}
	c.address = address
	l.byAddress[address]++
	return nil
}

// uncountClient ends countClient.
func (l *listener) uncountClient(c *connection) {
	if !c.proxy {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeAddress(c)
}

// removeAddress ends the count of c among the connections of an address. l.mu is held.
func (l *listener) removeAddress(c *connection) {
	if !c.address.IsValid() {
		return
	}
	if l.byAddress[c.address]--; l.byAddress[c.address] == 0 {
		delete(l.byAddress, c.address)
	}
	c.address = netip.Prefix{}
}

func tooManyConnections(n int, address netip.Prefix) *matcher.Error {
	return matcher.Errorf(matcher.CodeUnavailable,
		"connection: %d connections of %s are open already, which is the limit of limits.connections_per_address", n, address.Addr())
}
