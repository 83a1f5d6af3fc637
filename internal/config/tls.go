package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// optionalPath is the kind of the path of a file that may be missing, which is the empty text.
var optionalPath = text(func(s string) error {
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("must be a path without zero bytes, got %s", quote(s))
	}
	return nil
})

// network is the kind of an address, or of a network in CIDR form.
var network = kind[netip.Prefix]{
	show: func(p netip.Prefix) any {
		if p.IsSingleIP() {
			return p.Addr().String()
		}
		return p.String()
	},
	parse: func(raw any) (netip.Prefix, error) {
		s, err := parseText(raw)
		if err != nil {
			return netip.Prefix{}, err
		}
		return parseNetwork(s)
	},
}

// parseNetwork parses an address or a network. IPv4 addresses in the form of IPv6 become
// those of IPv4, as the addresses of clients do.
func parseNetwork(s string) (netip.Prefix, error) {
	wrong := fmt.Errorf("must be an IP address or a network such as 10.0.0.0/8, got %s", quote(s))
	if !strings.Contains(s, "/") {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, wrong
		}
		if ip.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("must be an address without a zone, got %s", quote(s))
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, wrong
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("must be a network whose address has only zeros after the prefix, such as %s, got %s", p.Masked(), quote(s))
	}
	if p.Addr().Is4In6() { // its prefix has at least 96 bits, because the others are not zero
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}

// checkTLS returns a fault for each file that is not used. The files themselves are checked
// when they are read.
func (c *Config) checkTLS() faults {
	var bad faults
	if c.TLS.CertFile != "" {
		return nil
	}
	for _, f := range []struct{ key, path string }{{"tls.key_file", c.TLS.KeyFile}, {"tls.client_ca_file", c.TLS.ClientCAFile}} {
		if f.path != "" {
			bad = append(bad, fault{f.key, "needs tls.cert_file, which is empty, got " + quote(f.path)})
		}
	}
	return bad
}

// checkTLS returns a fault for each file that is not used. path is the path of the remote,
// with a dot.
func (r *Remote) checkTLS(path string) faults {
	var bad faults
	if strings.HasPrefix(strings.ToLower(r.URL), "https:") {
		return nil
	}
	for _, f := range []struct{ key, path string }{{"ca_file", r.CAFile}, {"cert_file", r.CertFile}} {
		if f.path != "" {
			bad = append(bad, fault{path + f.key, "needs a url that begins with https://, got " + quote(f.path)})
		}
	}
	return bad
}
