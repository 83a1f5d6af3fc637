package server

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"nearside/matcher"
)

// admitLocal admits requests to a server that requires no key: without Options.Insecure, only
// those of clients on this machine. A browser on this machine must not send requests for
// foreign web pages. A page can do that with a name of its own that resolves to
// 127.0.0.1, which Host shows, or with a plain POST, which Origin shows.
func (x *exchange) admitLocal() error {
	if x.options.Insecure {
		return nil
	}
	if !x.conn.loopback || !x.client.IsLoopback() {
		return matcher.Errorf(matcher.CodeUnauthorized, "this server has no keys, and answers only clients on its own machine")
	}
	host := strings.Trim(string(x.Request.Header.Host()), " \t")
	if !isLocalHost(host, x.options.Listen) {
		return matcher.Errorf(matcher.CodeForbidden,
			"header: Host: must be localhost, an IP address or the host of listen, because the server has no keys, got %q; a reverse proxy must set Host to localhost, or the server needs keys",
			matcher.Shorten(host))
	}
	for _, origin := range x.Request.Header.PeekAll("Origin") {
		if !isLocalOrigin(string(origin), host) {
			return matcher.Errorf(matcher.CodeForbidden,
				"header: Origin: must be that of a page of this server or of this machine, because the server has no keys, got %q; pages of other sites need a server with keys",
				matcher.Shorten(string(origin)))
		}
	}
	return nil
}

// isLocalHost reports whether a foreign page cannot be the sender of a request with this
// Host: it is a name of this machine, an IP address, or the host of listen. Browsers never
// send an empty Host, which the connection has replaced by "-".
func isLocalHost(host, listen string) bool {
	name, own := hostName(host), hostName(listen)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return host == "" || host == "-" || isLocalName(name) || own != "" && strings.EqualFold(name, own)
}

// isLocalName reports whether a name is localhost or ends with .localhost.
func isLocalName(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// isLocalOrigin reports whether origin is that of a page of this server, which a browser knows as
// host, or of another server on this machine.
func isLocalOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Host, host) || isLocalName(u.Hostname()) || err == nil && ip.Unmap().IsLoopback()
}

// hostName returns the host of host:port without brackets. The port may be missing.
func hostName(address string) string {
	if name, _, err := net.SplitHostPort(address); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
}
