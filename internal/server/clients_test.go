package server_test

import (
	"net/netip"
	"strings"
	"testing"

	"nearside/internal/testkit"
)

// behind makes the server trust a proxy at 127.0.0.1, and limits connections of an address to
// two. It requires no key of other machines.
func behind(s *settings) {
	s.proxies, s.address, s.insecure = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, 2, true
}

// occupyFor is occupy for a client behind a proxy. It returns nil if the request is refused.
func (x *service) occupyFor(forwarded ...string) (c *raw, a *answer) {
	x.Helper()
	c = x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\n" + header(forwarded) + "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
	if line := string(testkit.Must(c.in.Peek(len("HTTP/1.1 100")))); line != "HTTP/1.1 100" {
		return nil, c.answer("an import")
	}
	_, err := c.in.Discard(len("HTTP/1.1 100 Continue\r\n\r\n"))
	check(x, err)
	return c, nil
}

func header(forwarded []string) string {
	var lines strings.Builder
	for _, f := range forwarded {
		lines.WriteString("X-Forwarded-For: " + f + "\r\n")
	}
	return lines.String()
}

// TestClientsBehindProxy checks that requests that come through a trusted proxy are counted
// for their clients, and idle connections of the proxy for nobody.
func TestClientsBehindProxy(t *testing.T) {
	x := start(t, behind)
	get := func(forwarded ...string) *answer {
		return x.dial().write("GET /livez HTTP/1.1\r\nHost: localhost\r\n" + header(forwarded) + "\r\n").answer("a short request")
	}
	counted := func(ip string, n int) { // the server notices the end of a request a little later than the client
		x.until(func() bool { return x.server.CountedFor(ip) == n })
	}
	for range 10 { // more connections of the proxy than the limit, idle after a request
		get("203.0.113.7").status(200)
		counted("203.0.113.7", 0)
	}
	first, _ := x.occupyFor("203.0.113.7")
	second, _ := x.occupyFor("198.51.100.1, 203.0.113.7:4711") // the first address is what the client wrote
	if first == nil || second == nil {
		t.Fatal("refused within the limit")
	}
	if c, a := x.occupyFor("203.0.113.7"); c != nil {
		t.Error("a third request of the client was accepted")
	} else {
		a.fault(12050, "2 connections of 203.0.113.7", "limits.connections_per_address")
	}
	get("192.0.2.1", "203.0.113.7").fault(12050) // two headers are one list
	get("203.0.113.8").status(200)
	get("2001:db8:0:1::1").status(200)
	get().status(200) // a request of the proxy itself
	first.write(strings.Repeat(" ", 1000)).answer("the first import").status(200)
	counted("203.0.113.7", 1)
	get("203.0.113.7").status(200)
	check(t, second.Close())
	x.until(func() bool { return strings.Contains(x.log.String(), "client=203.0.113.7") }) // the import was cut

	// Addresses of a network of IPv6 belong to one client.
	counted("2001:db8:0:1::", 0)
	for _, last := range []string{"1", "2"} {
		if c, _ := x.occupyFor("2001:db8:0:1::" + last); c == nil {
			t.Fatal("refused within the limit")
		}
	}
	get("2001:db8:0:1::3").fault(12050)
	get("2001:db8:0:2::3").status(200)
}

// TestForwardedOfStrangers checks that the header of a client that is not a trusted proxy has
// no effect.
func TestForwardedOfStrangers(t *testing.T) {
	x := start(t, behind, func(s *settings) { s.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} })
	for i := range 2 {
		if c, _ := x.occupyFor("203.0.113." + itoa(i)); c == nil {
			t.Fatal("refused within the limit")
		}
	}
	x.dial().write("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").answer("the third").fault(12050, "2 connections of 127.0.0.1")

	x.limits.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	x.server.Reload(x.limits) // for new connections
	x.dial().write("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").answer("after a reload").status(200)
}
