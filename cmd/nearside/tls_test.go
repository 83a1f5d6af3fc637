package main

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"nearside/internal/testkit"
)

// TestServeTLS checks a server with TLS from its command line: the certificate, its
// replacement, a reload with faults, and the commands that are clients.
func TestServeTLS(t *testing.T) {
	authority := testkit.NewAuthority()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	first, second := authority.Issue(), authority.Issue()
	testkit.WriteFile(path("ca.pem"), authority.PEM)
	testkit.WriteFile(path("cert.pem"), first.Cert)
	testkit.WriteFile(path("key.pem"), first.Key)
	config := writeConfig(t, serveConfig+"tls: {cert_file: "+path("cert.pem")+", key_file: "+path("key.pem")+"}\n")
	p := serve(t, config, t.TempDir())
	if !strings.HasPrefix(p.url, "https://127.0.0.1:") {
		t.Fatal(p.url)
	}
	p.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: authority.Pool()}
	p.mustCall(t, "GET", "/readyz", nil, &struct{}{})

	run := func(want int, parts []string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		code := runCommand(args, strings.NewReader(""), &out, &out)
		for _, part := range parts {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%q: want %q in\n%s", args, part, &out)
			}
		}
		if code != want {
			t.Errorf("%q: exit code %d, want %d\n%s", args, code, want, &out)
		}
	}
	t.Setenv("NEARSIDE_URL", p.url)
	run(1, []string{"unknown authority", "--ca-file"}, "doctor", "--ready")
	run(0, []string{"ready"}, "doctor", "--ready", "--ca-file", path("ca.pem"))
	run(1, []string{"--ca-file: " + path("none") + " cannot be read"}, "doctor", "--ready", "--ca-file", path("none"))
	run(1, []string{"--cert-file: " + path("ca.pem") + " has no private key"}, "doctor", "--ready", "--cert-file", path("ca.pem"))
	t.Setenv("NEARSIDE_CA_FILE", path("ca.pem"))
	run(0, nil, "list", "find")
	run(0, nil, "export")
	run(1, []string{"needs TLS"}, "list", "find", "--url", strings.Replace(p.url, "https:", "http:", 1))
	run(0, []string{"ready"}, "doctor", "--ready", strings.Replace(p.url, "127.0.0.1", "localhost", 1))
	t.Setenv("NEARSIDE_CA_FILE", path("none"))
	run(1, []string{"NEARSIDE_CA_FILE: " + path("none")}, "list", "find")
	t.Setenv("NEARSIDE_CA_FILE", path("ca.pem"))

	// A reload uses new files at once, and keeps the certificate if they are wrong.
	serial := func() string {
		c := testkit.Must(tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{RootCAs: authority.Pool()}))
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	number := func(i testkit.Issued) string { return i.TLS().Leaf.SerialNumber.String() }
	testkit.WriteFile(path("cert.pem"), second.Cert)
	testkit.Check(t, p.command.Process.Signal(syscall.SIGHUP))
	p.awaitLog("only partly reloaded")
	if !strings.Contains(p.log(), "tls.key_file: "+path("key.pem")) || serial() != number(first) {
		t.Errorf("certificate %s, want %s:\n%s", serial(), number(first), p.log())
	}
	testkit.WriteFile(path("key.pem"), second.Key)
	testkit.Check(t, p.command.Process.Signal(syscall.SIGHUP))
	p.awaitLog("log level reloaded")
	if serial() != number(second) {
		t.Errorf("certificate %s, want %s:\n%s", serial(), number(second), p.log())
	}
	testkit.Check(t, os.WriteFile(config, []byte(serveConfig+"tls: {cert_file: "+path("cert.pem")+", key_file: "+path("key.pem")+", client_ca_file: "+path("ca.pem")+"}\n"), 0o600))
	testkit.Check(t, p.command.Process.Signal(syscall.SIGHUP))
	p.awaitLog("tls.client_ca_file")
	run(1, []string{"--cert-file"}, "list", "find")
	testkit.WriteFile(path("client.pem"), authority.Issue().Both())
	run(0, nil, "list", "find", "--cert-file", path("client.pem"))
}

// awaitLog waits until the log of the server has a text.
func (p *process) awaitLog(text string) {
	for end := time.Now().Add(time.Minute); !strings.Contains(p.log(), text) && time.Now().Before(end); {
		runtime.Gosched()
	}
}

// TestTLSFaultsAtStart checks that serve and config check report faults of TLS files.
func TestTLSFaultsAtStart(t *testing.T) {
	authority := testkit.NewAuthority()
	dir := t.TempDir()
	cert := filepath.Join(dir, "cert.pem")
	testkit.WriteFile(cert, authority.Issue().Cert)
	config := writeConfig(t, "tls: {cert_file: "+cert+"}\nmatchers: {remote: [{name: a, url: \"https://x\", ca_file: "+dir+"/none}]}\n")
	want := []string{"tls.cert_file: " + cert + " has no private key", "matchers.remote[0].ca_file: " + dir + "/none cannot be read"}
	p := start(t, config, t.TempDir())
	if code := p.wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	if code := runCommand([]string{"config", "check", "--config", config}, nil, &out, &out); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range want {
		if !strings.Contains(p.log(), line) || !strings.Contains(out.String(), config+": "+line) {
			t.Errorf("want %q in\n%s\nand in\n%s", line, p.log(), &out)
		}
	}
}
