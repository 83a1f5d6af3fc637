package server

import (
	"net/netip"
	"strings"
	"testing"
)

// TestForwardedClient checks which address of X-Forwarded-For is that of the client.
func TestForwardedClient(t *testing.T) {
	l := &Limits{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("192.0.2.7/32")}}
	peer := netip.MustParseAddr("10.0.0.1")
	check := func(header, want string) {
		t.Helper()
		if got := l.forwardedClient(peer, header); got != netip.MustParseAddr(want) {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	check("", "10.0.0.1")
	check("203.0.113.7", "203.0.113.7")
	check("  203.0.113.7\t", "203.0.113.7")
	check("203.0.113.7:4711", "203.0.113.7")
	check("::ffff:203.0.113.7", "203.0.113.7")
	check("2001:db8::1", "2001:db8::1")
	check("[2001:db8::1]", "2001:db8::1")
	check("[2001:db8::1]:4711", "2001:db8::1")
	check("fe80::1%eth0", "fe80::1")
	check("198.51.100.1, 203.0.113.7", "203.0.113.7")                // the client wrote the first one
	check("10.0.0.9, 203.0.113.7", "203.0.113.7")                    // also if it is that of a proxy
	check("203.0.113.7, 10.0.0.9", "203.0.113.7")                    // two proxies
	check("1.1.1.1,203.0.113.7,10.0.0.9,192.0.2.7", "203.0.113.7")   // three
	check("203.0.113.7, fd00::1, ::ffff:10.0.0.3", "203.0.113.7")    // of both kinds
	check("10.0.0.2, 10.0.0.3", "10.0.0.2")                          // all are trusted
	check("203.0.113.7, unknown", "10.0.0.1")                        // the nearest known address
	check("203.0.113.7, , 10.0.0.9", "10.0.0.9")                     // an empty element
	check("203.0.113.7, 10.0.0.9, unknown, 10.0.0.8", "10.0.0.8")    // an element that is no address
	check("192.0.2.8", "192.0.2.8")                                  // a neighbour of a trusted address
	check(strings.Repeat("10.0.0.2, ", 5000)+"10.0.0.3", "10.0.0.2") // as many as fit into a header
}
