package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/remote"
)

const livez = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

// withTLS makes a server use TLS. change changes its configuration.
func withTLS(change ...func(*tls.Config)) func(*settings) {
	return func(s *settings) {
		s.tls = serverTLS()
		for _, f := range change {
			f(s.tls)
		}
	}
}

// dialPlain is dial without TLS.
func (x *service) dialPlain() *raw {
	x.Helper()
	c := testkit.Must(net.Dial("tcp", x.address))
	x.Cleanup(func() { c.Close() })
	return newRaw(x, c)
}

// tryTLS does a handshake and one request. It returns the first error of the client.
func (x *service) tryTLS(change ...func(*tls.Config)) (tls.ConnectionState, error) {
	config := clientTLS()
	for _, f := range change {
		f(config)
	}
	c := tls.Client(x.dialPlain().Conn, config)
	defer c.Close()
	if err := c.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	_, _ = io.WriteString(c, strings.Repeat(livez, 1000)) // more than the server reads if it refuses the client
	_, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 200")))
	return c.ConnectionState(), err
}

// TestPlainRequestToTLS checks that a request without TLS gets an answer that says so, and
// that other bytes end the connection.
func TestPlainRequestToTLS(t *testing.T) {
	x := start(t, withTLS())
	for _, request := range []string{livez, "POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("x", 3_000_000)} {
		c := x.dialPlain().write(request)
		c.answer("without TLS").fault(12001, "needs TLS", "https://").last()
		c.ended()
	}
	if n := x.server.HandshakeFailures(); n != 2 {
		t.Errorf("%d failures", n)
	}
	for _, text := range []string{"\x00\x01\x02\x03\x04\x05\x06", "\x80\x2e\x01\x00\x02\x00\x15", "\x16\x03\x01\xff\xff\x01", "\x16\x03\x01\x00\x05hello"} {
		x.dialPlain().write(text).closeWrite().closedWithoutHTTP()
	}
	if n := x.server.HandshakeFailures(); n != 6 {
		t.Errorf("%d failures", n)
	}
	x.dialPlain().closeWrite().ended() // a health check of TCP
	if n := x.server.HandshakeFailures(); n != 6 {
		t.Errorf("%d failures", n)
	}
	x.call("GET", "/livez", "").status(200)
}

// closedWithoutHTTP checks that the server closes the connection and sends no answer of HTTP.
func (r *raw) closedWithoutHTTP() {
	r.Helper()
	if rest, _ := io.ReadAll(r.in); strings.Contains(string(rest), "HTTP") {
		r.Errorf("an answer: %q", rest)
	}
}

// TestVersionsOfTLS checks the versions of TLS and the protocols above it.
func TestVersionsOfTLS(t *testing.T) {
	x := start(t, withTLS())
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		state, err := x.tryTLS(func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })
		if version < tls.VersionTLS12 != (err != nil) || err == nil && state.Version != version {
			t.Errorf("%s: %s, %v", tls.VersionName(version), tls.VersionName(state.Version), err)
		}
	}
	for _, c := range []struct{ offered, chosen string }{{"", ""}, {"http/1.1", "http/1.1"}, {"h2,http/1.1", "http/1.1"}, {"h2", "none"}} {
		state, err := x.tryTLS(func(config *tls.Config) {
			config.NextProtos = strings.FieldsFunc(c.offered, func(r rune) bool { return r == ',' })
		})
		if c.chosen == "none" != (err != nil) || err == nil && state.NegotiatedProtocol != c.chosen {
			t.Errorf("%q: %q, %v", c.offered, state.NegotiatedProtocol, err)
		}
	}
}

// TestClientCertificates checks that a client without a good certificate gets an alert, and
// no answer.
func TestClientCertificates(t *testing.T) {
	x := start(t, withTLS(func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authority().Pool() }))
	with := func(i testkit.Issued) func(*tls.Config) {
		return func(c *tls.Config) { c.Certificates = []tls.Certificate{i.TLS()} }
	}
	for version := uint16(tls.VersionTLS12); version <= tls.VersionTLS13; version++ {
		only := func(c *tls.Config) { c.MaxVersion = version }
		if _, err := x.tryTLS(only, with(authority().Issue())); err != nil {
			t.Error(err)
		}
		if _, err := x.tryTLS(only); version == tls.VersionTLS13 && (err == nil || !strings.Contains(err.Error(), "certificate required")) || err == nil {
			t.Errorf("without a certificate: %v", err)
		}
		other := func(c *tls.Config) { // also if the server does not ask for its authority
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				cert := testkit.NewAuthority().Issue().TLS()
				return &cert, nil
			}
		}
		if _, err := x.tryTLS(only, other); err == nil || !strings.Contains(err.Error(), "remote error") {
			t.Errorf("with the certificate of another authority: %v", err)
		}
		expired := authority().Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		if _, err := x.tryTLS(only, with(expired)); err == nil || !strings.Contains(err.Error(), "remote error") {
			t.Errorf("with an expired certificate: %v", err)
		}
	}
}

// TestUnfinishedHandshakes checks that unfinished handshakes are bounded: the oldest is ended
// for a new one, and none keeps others from computing theirs.
func TestUnfinishedHandshakes(t *testing.T) {
	x := start(t, withTLS(), func(s *settings) { s.timeout = time.Hour })
	x.server.SetHandshakesMax(20)
	hello := clientHello(t)
	var slow []*raw
	for i := range 20 {
		c := x.dialPlain()
		if i%2 == 0 {
			c.write(string(hello[:len(hello)-1])) // the server waits for the rest
		} else {
			c.write(string(hello)) // the server waits for the next message
		}
		slow = append(slow, c)
		x.until(func() bool { return x.server.Handshakes() == i+1 })
	}
	for i := range 5 {
		x.dial().write(livez).answer("among slow handshakes").status(200) // ends the oldest of the slow ones
		slow[i].closedWithoutHTTP()
		x.until(func() bool { return x.server.Handshakes() == 19 })
		slow = append(slow, x.dialPlain())
		x.until(func() bool { return x.server.Handshakes() == 20 })
	}
	slow[5].write("\x15\x03\x01\x00\x02\x02\x28") // an alert ends a handshake; the others still wait
	x.until(func() bool { return x.server.Handshakes() == 19 })
}

// clientHello returns the first message of a client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() { // ends with the pipe
		_ = tls.Client(client, clientTLS()).Handshake()
		client.Close()
	}()
	header := make([]byte, 5)
	testkit.Must(io.ReadFull(server, header))
	body := make([]byte, int(header[3])<<8|int(header[4]))
	testkit.Must(io.ReadFull(server, body))
	return append(header, body...)
}

// TestHandshakeDeadline checks that a handshake ends at its deadline.
func TestHandshakeDeadline(t *testing.T) {
	x := start(t, withTLS(), func(s *settings) { s.timeout = 100 * time.Millisecond })
	x.dialPlain().closedWithoutAnswer()
	x.dialPlain().write(string(clientHello(t)[:100])).closedWithoutHTTP()
	if x.server.Handshakes() != 0 || x.server.HandshakeFailures() != 2 {
		t.Errorf("%d handshakes are unfinished, %d failed", x.server.Handshakes(), x.server.HandshakeFailures())
	}
}

// TestHandshakesCountAsConnections checks that unfinished handshakes count in the limit of an
// address, and that a client that is refused gets an answer over TLS.
func TestHandshakesCountAsConnections(t *testing.T) {
	x := start(t, withTLS(), func(s *settings) { s.address = 2 })
	x.dialPlain()
	x.dialPlain()
	x.until(func() bool { return x.server.Handshakes() == 2 })
	c := x.dial().write(livez)
	c.answer("the third").fault(12050, "2 connections of 127.0.0.1").last()
	c.ended()
	c = x.dialPlain().write(livez)
	c.answer("without TLS").status(400).part("error_code", "12001").last()
}

// TestTLSConnectionsMax checks that a server with a certificate has fewer connections, because
// each of them holds more memory.
func TestTLSConnectionsMax(t *testing.T) {
	secure, plain := start(t, withTLS()).server.ConnectionsMax(), start(t, func(s *settings) { s.tls = nil }).server.ConnectionsMax()
	if secure > 4096 || plain > 16384 || plain < secure {
		t.Errorf("%d connections over TLS and %d without", secure, plain)
	}
	if plain > 4096 && secure != 4096 {
		t.Errorf("%d connections over TLS, want 4096", secure)
	}
}

// TestTLSFarBeyondLimit checks that many more connections than the limit get a 503 over TLS or
// are closed, and that the connection within the limit goes on.
func TestTLSFarBeyondLimit(t *testing.T) {
	x := start(t, withTLS())
	x.server.SetConnectionsMax(1)
	busy := x.occupy()
	var done sync.WaitGroup
	var refused, closed int
	var mu sync.Mutex
	for range 300 {
		done.Go(func() {
			tcp := testkit.Must(net.Dial("tcp", x.address))
			defer tcp.Close()
			check(t, tcp.SetDeadline(time.Now().Add(time.Minute)))
			text, _ := io.ReadAll(tls.Client(tcp, clientTLS()))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case strings.HasPrefix(string(text), "HTTP/1.1 503 "):
				refused++
			case len(text) == 0:
				closed++
			default:
				t.Errorf("%.100q", text)
			}
		})
	}
	done.Wait()
	if refused == 0 {
		t.Errorf("%d connections were refused with an answer, %d were closed", refused, closed)
	}
	busy.write(strings.Repeat(" ", 1000)).answer("busy").status(200)
}

// TestReplacedCertificate checks that new connections get the new certificate, and that open
// connections go on. Without a configuration, new connections do not use TLS.
func TestReplacedCertificate(t *testing.T) {
	var current *settings
	x := start(t, withTLS(), func(s *settings) { current = s })
	old := x.dial()
	old.write(livez).answer("before").status(200)
	next := serverTLS()
	next.Certificates = []tls.Certificate{authority().Issue().TLS()}
	current.setTLS(next)
	state, err := x.tryTLS()
	check(t, err)
	if !state.PeerCertificates[0].Equal(next.Certificates[0].Leaf) {
		t.Error("the new certificate is not used")
	}
	old.write(livez).answer("after").status(200)
	current.setTLS(nil)
	x.dialPlain().write(livez).answer("without TLS").status(200)
	old.write(livez).answer("after").status(200)
}

// TestRemoteOverTLS checks a remote behind TLS with client certificates, whose authority is
// replaced.
func TestRemoteOverTLS(t *testing.T) {
	far := start(t, withTLS(func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authority().Pool() }),
		func(s *settings) { s.starting = false })
	own := clientTLS()
	own.Certificates = []tls.Certificate{authority().Issue().TLS()}
	far.trust(own)
	far.call("POST", "/1/events", `{"event_id":"`+id(1)+`","face_descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).status(201)
	dir := t.TempDir()
	ca, cert := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem")
	testkit.WriteFile(ca, testkit.NewAuthority().PEM)
	testkit.WriteFile(cert, authority().Issue().Both())
	x := start(t, func(s *settings) {
		s.remotes = []remote.Config{{Name: "far", URL: "https://" + far.address, Cost: 1, MaxInflight: 4, Origins: []matcher.Origin{matcher.Events}, CAFile: ca, CertFile: cert}}
	})
	body := matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), `{"filters":{"origin":"events"},"targets":[]}`)
	x.call("POST", "/1/matcher/faces", body).fault(12050, "remote far", "unknown authority")
	testkit.WriteFile(ca, authority().PEM)
	x.until(func() bool { return x.call("POST", "/1/matcher/faces", body).response.StatusCode == http.StatusCreated })
	x.call("POST", "/1/matcher/faces", body).status(201).part("0.matches.0.result", `[{"event":{"event_id":"`+id(1)+`"}}]`)

	err := remote.NewGroup(nil, slog.New(slog.DiscardHandler)).Configure([]remote.Config{{Name: "a", URL: "https://x", MaxInflight: 1, CAFile: cert + ".none"}, {Name: "b", URL: "https://x", MaxInflight: 1, CertFile: ca}})
	if err == nil || !strings.Contains(err.Error(), "matchers.remote[0].ca_file: "+cert+".none cannot be read") || !strings.Contains(err.Error(), "matchers.remote[1].cert_file: "+ca+" has no private key") {
		t.Error(err)
	}
}

// TestShutdownDuringHandshakes checks that Shutdown does not wait for unfinished handshakes.
func TestShutdownDuringHandshakes(t *testing.T) {
	x := start(t, withTLS(), func(s *settings) { s.timeout = time.Hour })
	c := x.dialPlain()
	x.until(func() bool { return x.server.Handshakes() == 1 })
	check(t, x.stop(context.Background()))
	c.closedWithoutAnswer()
}
