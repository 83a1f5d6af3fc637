package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nearside/internal/testkit"
)

// folder is a directory with files of certificates.
type folder struct {
	*testing.T
	dir string
	log bytes.Buffer
}

func newFolder(t *testing.T) *folder { return &folder{T: t, dir: t.TempDir()} }

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) write(name string, parts ...[]byte) {
	testkit.WriteFile(f.path(name), bytes.Join(parts, nil))
}

func (f *folder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// files returns ServerFiles of the folder; an empty name is not used.
func (f *folder) files(names ...string) ServerFiles {
	for i := range names {
		if names[i] != "" {
			names[i] = f.path(names[i])
		}
	}
	return FilesOf(names[0], names[1], names[2])
}

// serial returns the number of the certificate that s presents to a client with a
// certificate, or the error of the client.
func (f *folder) serial(s *Server, client *tls.Config) (string, error) {
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	outer := testkit.Must(net.Dial("tcp", l.Addr().String()))
	defer outer.Close()
	inner := testkit.Must(l.Accept())
	defer inner.Close()
	served := make(chan error, 1)
	go func() { served <- tls.Server(inner, s.Config()).Handshake() }()
	c := tls.Client(outer, client)
	if err := c.Handshake(); err != nil {
		outer.Close()
		<-served
		return "", err
	}
	if err := <-served; err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func serialOf(i testkit.Issued) string { return i.TLS().Leaf.SerialNumber.String() }

// TestFaults checks the errors about files. Each names the setting, the file and the fault.
func TestFaults(t *testing.T) {
	f, a := newFolder(t), testkit.NewAuthority()
	one, two := a.Issue(), a.Issue()
	f.write("cert", one.Cert)
	f.write("key", one.Key)
	f.write("other", two.Key)
	f.write("both", one.Both())
	f.write("reversed", a.PEM, one.Cert, one.Key)
	f.write("chain", one.Cert, a.PEM)
	f.write("empty")
	f.write("torn", one.Cert[:len(one.Cert)/2])
	f.write("junk", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.write("junkkey", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.write("encrypted", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.write("encrypted1", []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.write("large", make([]byte, fileMax+1))
	testkit.Check(t, os.Mkdir(f.path("folder"), 0o700))
	testkit.Check(t, syscall.Mkfifo(f.path("pipe"), 0o600))
	check := func(cert, key, ca string, want ...string) {
		t.Helper()
		err := Check(f.files(cert, key, ca))
		if len(want) == 0 {
			testkit.Check(t, err)
			return
		}
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%v, want %q", err, part)
			}
		}
	}
	check("", "", "")
	check("cert", "key", "")
	check("both", "", "")
	check("chain", "key", "cert")
	check("none", "key", "", "tls.cert_file: "+f.path("none")+" cannot be read: no such file")
	check("none", "none", "none", "tls.cert_file", "tls.key_file", "tls.client_ca_file")
	check("cert", "", "", "tls.cert_file: "+f.path("cert")+" has no private key")
	check("cert", "other", "", "tls.key_file: "+f.path("other"), "does not belong", "localhost")
	check("reversed", "", "", "does not belong", "test authority", "must come first")
	check("empty", "key", "", "tls.cert_file: "+f.path("empty")+" has no certificate")
	check("torn", "key", "", "has no certificate")
	check("key", "cert", "", "has no certificate")
	check("junk", "key", "", "tls.cert_file", "cannot be parsed")
	check("cert", "junkkey", "", "tls.key_file", "cannot be parsed")
	check("cert", "encrypted", "", "tls.key_file", "encrypted", "openssl")
	check("cert", "encrypted1", "", "tls.key_file", "encrypted")
	check("large", "key", "", "tls.cert_file", "1048576 bytes")
	check("folder", "key", "", "tls.cert_file", "not a regular file")
	check("pipe", "key", "", "tls.cert_file", "not a regular file")
	check("cert", "key", "key", "tls.client_ca_file: "+f.path("key")+" has no certificate")
	check("cert", "key", "junk", "tls.client_ca_file", "cannot be parsed")
}

// TestReplaced checks that new files are used, that wrong ones are not, and that wrong
// files are counted and logged once.
func TestReplaced(t *testing.T) {
	f, a := newFolder(t), testkit.NewAuthority()
	client := &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"}
	s := NewServer(f.logger())
	expect := func(want testkit.Issued, failures int64) {
		t.Helper()
		got, err := f.serial(s, client)
		if err != nil || got != serialOf(want) || s.Failures() != failures || !s.NotAfter().Equal(want.TLS().Leaf.NotAfter) {
			t.Errorf("certificate %s, %v, %d failures, want certificate %s and %d failures\n%s", got, err, s.Failures(), serialOf(want), failures, &f.log)
		}
	}
	first, second, third := a.Issue(), a.Issue(), a.Issue()
	f.write("cert", first.Cert)
	f.write("key", first.Key)
	testkit.Check(t, s.Configure(f.files("cert", "key", "")))
	expect(first, 0)
	s.refresh()
	expect(first, 0)

	f.write("cert", second.Cert) // the key follows a little later
	s.refresh()
	expect(first, 0)
	f.write("key", second.Key)
	s.refresh()
	expect(second, 0)
	if f.log.Reset(); strings.Contains(f.log.String(), "WARN") {
		t.Error("a warning while files are replaced")
	}

	f.write("key", third.Key)
	for range 5 {
		s.refresh()
	}
	expect(second, 1)
	if n := strings.Count(f.log.String(), "new TLS files are not used"); n != 1 || !strings.Contains(f.log.String(), f.path("key")) {
		t.Errorf("%d warnings:\n%s", n, &f.log)
	}
	testkit.Check(t, os.Remove(f.path("key")))
	for range 3 {
		s.refresh()
	}
	expect(second, 2)
	f.write("key", second.Key) // as before: nothing is wrong any more
	s.refresh()
	f.write("key", third.Key)
	s.refresh()
	expect(second, 2)
	s.refresh()
	expect(second, 3)

	expired := a.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	f.write("cert", expired.Cert)
	f.write("key", expired.Key)
	s.refresh()
	s.refresh()
	expect(second, 4)
	if !strings.Contains(f.log.String(), "expired at") {
		t.Error(f.log.String())
	}
	f.write("cert", third.Cert)
	f.write("key", third.Key)
	s.refresh()
	expect(third, 4)
	if err := s.Configure(f.files("none", "key", "")); err == nil {
		t.Error("a missing file was accepted")
	}
	expect(third, 4)
	s.refresh()
	expect(third, 4)
	testkit.Check(t, s.Configure(ServerFiles{}))
	if s.Config() != nil || !s.NotAfter().IsZero() {
		t.Error("TLS is still on")
	}
	s.refresh()
}

// TestExpired checks that a server starts with an expired certificate and warns.
func TestExpired(t *testing.T) {
	f, a := newFolder(t), testkit.NewAuthority()
	now := time.Now()
	for _, c := range []struct {
		begin, end time.Duration
		fault      string
	}{
		{-time.Hour, -time.Minute, "expired at"}, {time.Hour, 1000 * time.Hour, "not valid before"}, {-time.Hour, 24 * time.Hour, "expires soon"}, {-time.Hour, 30 * 24 * time.Hour, ""},
	} {
		f.log.Reset()
		f.write("both", a.Issue(func(x *x509.Certificate) { x.NotBefore, x.NotAfter = now.Add(c.begin), now.Add(c.end) }).Both())
		s := NewServer(f.logger())
		testkit.Check(t, s.Configure(f.files("both", "", "")))
		if warned := strings.Contains(f.log.String(), "is not valid"); warned != (c.fault != "" && c.fault != "expires soon") {
			t.Errorf("%q: the log is %q", c.fault, &f.log)
		}
		if err := CheckTime(f.files("both", "", ""), now); c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%v, want %q", err, c.fault)
		}
	}
	if err := CheckTime(f.files("none", "", ""), now); err != nil {
		t.Error(err)
	}
}

// TestClientCertificates checks tls.client_ca_file, also when it is replaced: a client that
// could resume a session must not be accepted because of an authority that was removed.
func TestClientCertificates(t *testing.T) {
	f, a, b := newFolder(t), testkit.NewAuthority(), testkit.NewAuthority()
	f.write("both", a.Issue().Both())
	f.write("ca", a.PEM)
	s := NewServer(f.logger())
	testkit.Check(t, s.Configure(f.files("both", "", "ca")))
	sessions := tls.NewLRUClientSessionCache(8)
	client := func(with ...testkit.Issued) *tls.Config {
		c := &tls.Config{RootCAs: a.Pool(), ServerName: "localhost", ClientSessionCache: sessions, MaxVersion: tls.VersionTLS12}
		for _, i := range with {
			c.Certificates = append(c.Certificates, i.TLS())
		}
		return c
	}
	ofA, ofB := a.Issue(), b.Issue()
	expect := func(c *tls.Config, accepted bool) {
		t.Helper()
		if _, err := f.serial(s, c); (err == nil) != accepted {
			t.Errorf("%v, want accepted: %v", err, accepted)
		}
	}
	expect(client(ofA), true)
	expect(client(ofA), true) // resumed
	f.write("ca", b.PEM)
	s.refresh()
	expect(client(ofA), false)
	expect(client(), false)
	sessions = tls.NewLRUClientSessionCache(8)
	expect(client(), false)
	expect(client(ofB), true)
}

// TestClient checks the files of a client.
func TestClient(t *testing.T) {
	f, a, b := newFolder(t), testkit.NewAuthority(), testkit.NewAuthority()
	ca, cert := File{"--ca-file", f.path("ca")}, File{"--cert-file", f.path("cert")}
	for _, files := range []ClientFiles{{CA: ca}, {Cert: cert}} {
		if _, err := LoadClient(files); err == nil || !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "--c") {
			t.Error(err)
		}
	}
	one, two := a.Issue(), b.Issue()
	f.write("ca", a.PEM)
	f.write("cert", one.Both())
	c := testkit.Must(NewClient(ClientFiles{CA: ca, Cert: cert}, f.logger()))
	server := NewServer(f.logger())
	f.write("server", b.Issue().Both())
	testkit.Check(t, server.Configure(f.files("server", "", "")))
	accepts := func() bool {
		config := c.Config().Clone()
		config.ServerName = "localhost"
		_, err := f.serial(server, config)
		return err == nil
	}
	before := c.Config()
	if accepts() || c.Config() != before {
		t.Error("the server of another authority is accepted, or equal files give another configuration")
	}
	f.write("ca", b.PEM)
	f.write("cert", two.Both())
	if !accepts() || !bytes.Equal(c.Config().Certificates[0].Certificate[0], two.TLS().Certificate[0]) {
		t.Error("the new files are not used")
	}
	f.write("cert", two.Cert)
	for range 3 {
		if !accepts() {
			t.Error("after a wrong file, the last good ones are not used")
		}
	}
	if n := strings.Count(f.log.String(), "new TLS files of a client are not used"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &f.log)
	}
	empty := testkit.Must(NewClient(ClientFiles{}, nil)).Config()
	if empty.RootCAs != nil || empty.Certificates != nil {
		t.Error("no files, but certificates")
	}
}
