package config

import (
	"net/netip"
	"strings"
	"testing"
)

// TestTLSFaults checks the faults of the keys about TLS and proxies.
func TestTLSFaults(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		got := faultsOf(t, text, nil, nil)
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %d faults", text, got, len(want))
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %q, want %q", text, got[i], want[i])
			}
		}
	}
	check(`tls: {cert_file: a.pem}`)
	check(`tls: {cert_file: a.pem, key_file: b.pem, client_ca_file: c.pem}`)
	check(`tls: {key_file: b.pem, client_ca_file: c.pem}`, `tls.key_file: needs tls.cert_file, which is empty, got "b.pem"`, `tls.client_ca_file: needs tls.cert_file, which is empty, got "c.pem"`)
	check(`tls: {cert_file: 5}`, `tls.cert_file: must be text, got 5; put it in quotes`)
	check(`tls: {cert_file: "a\0b"}`, `tls.cert_file: must be a path without zero bytes, got "a\x00b"`)
	check(`tls: {cert: a.pem}`, `tls.cert: is not a known key`)
	check(`trusted_proxies: [127.0.0.1, "::1", 10.0.0.0/8, "fd00::/8", "::ffff:10.1.0.0/112"]`)
	for value, want := range map[string]string{
		`localhost`:    `must be an IP address or a network such as 10.0.0.0/8, got "localhost"`,
		`10.0.0.0/33`:  `must be an IP address or a network such as 10.0.0.0/8, got "10.0.0.0/33"`,
		`10.0.0.1:80`:  `must be an IP address or a network such as 10.0.0.0/8, got "10.0.0.1:80"`,
		`10.0.0.1/8`:   `must be a network whose address has only zeros after the prefix, such as 10.0.0.0/8, got "10.0.0.1/8"`,
		`fe80::1%eth0`: `must be an address without a zone, got "fe80::1%eth0"`,
	} {
		got := faultsOf(t, `trusted_proxies: ["`+value+`"]`, nil, nil)
		if len(got) != 1 || got[0] != "trusted_proxies[0]: "+want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	const remote = `matchers: {remote: [{name: a, url: "URL", ca_file: a.pem, cert_file: b.pem}]}`
	check(strings.Replace(remote, "URL", "https://a", 1))
	check(strings.Replace(remote, "URL", "http://a", 1), `matchers.remote[0].ca_file: needs a url that begins with https://, got "a.pem"`, `matchers.remote[0].cert_file: needs a url that begins with https://, got "b.pem"`)
}

// TestTrustedProxies checks how addresses and networks are read and shown.
func TestTrustedProxies(t *testing.T) {
	c, _, err := Read(writeFile(t, `trusted_proxies: [127.0.0.1, "::1", 10.0.0.0/8, "::ffff:192.0.2.0/120", "::ffff:192.0.2.1"]`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, shown := range c.Map()["trusted_proxies"].([]any) {
		got = append(got, shown.(string))
	}
	if strings.Join(got, " ") != "127.0.0.1 ::1 10.0.0.0/8 192.0.2.0/24 192.0.2.1" {
		t.Error(got)
	}
	if !c.TrustedProxies[0].Contains(netip.MustParseAddr("127.0.0.1")) || c.TrustedProxies[0].Contains(netip.MustParseAddr("127.0.0.2")) {
		t.Error(c.TrustedProxies)
	}
	c, _, err = Read("", []string{`NEARSIDE_TRUSTED_PROXIES=["10.0.0.0/8"]`, "NEARSIDE_CA_FILE=x", "NEARSIDE_CERT_FILE=y"}, nil)
	if err != nil || len(c.TrustedProxies) != 1 {
		t.Errorf("%v, %v", c.TrustedProxies, err)
	}
}
