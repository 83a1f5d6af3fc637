package lua

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearside/internal/testkit"
	"nearside/lua/luatest"
)

// TestHTTPRetries checks which requests are repeated, and that the body is sent again. The
// pauses are those of the clock, which the test moves.
func TestHTTPRetries(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/cut":
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/later" && n < 3:
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/never":
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprintf(w, "%d %s", n, body)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer s.Close()
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	_, lines := startHost(t, luatest.BackgroundPlugin(`
M.permissions = {"http:*"}
function M:start()
  local url = "`+s.URL+`"
  ns.spawn(function()
    local from = ns.monotonic()
    local r = assert(ns.http.post(url .. "/later", {retries = 5, body = "again"}))
    print("later " .. r.status .. " " .. r.body .. " " .. ns.monotonic() - from)
    r = assert(ns.http.get(url .. "/never", {retries = 2}))
    print("never " .. r.status .. " " .. r.body)
    r = assert(ns.http.get(url .. "/bad", {retries = 2}))
    print("bad " .. r.status .. " " .. r.body)
    local r, err = ns.http.post(url .. "/cut", {retries = 3}) -- Go repeats a GET by itself
    print("cut " .. tostring(r) .. " " .. err)
    print("faults " .. select(2, pcall(ns.http.get, url, {retries = 11, key_file = "x", stream = 1})):gsub("\n", "; "))
    print("done")
  end)
end`), func(o *Options) { o.Clock = clock })
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines.Wait(t, "done")
	}()
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		default:
			clock.Advance(time.Second)
		}
	}
	luatest.WantLines(t, lines.All(), "later 200 3 again", "never 502 6 ", "bad 500 7 ", "cut nil POST "+s.URL+"/cut: ",
		"options.retries: 11 is not a whole number from 0 to 10", "options.stream: is not a function", "options.key_file: needs cert_file")
	if calls.Load() != 11 {
		t.Errorf("%d requests, want 3 + 3 + 1 + 4", calls.Load())
	}
}

// TestHTTPStream checks that a body that is larger than a response may be arrives in pieces,
// complete and in order, that the handler can end it, and that faults of the server and of
// the handler end the request.
func TestHTTPStream(t *testing.T) {
	const size = 20 << 20
	var gone atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			line := make([]byte, 1000)
			for sent := 0; sent < size; sent += len(line) {
				for i := range line {
					line[i] = byte('a' + sent/len(line)%26)
				}
				if _, err := w.Write(line); err != nil {
					gone.Add(1)
					return
				}
			}
		case "/cut":
			fmt.Fprint(w, "a part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/hangs":
			fmt.Fprint(w, "a part")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			gone.Add(1)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer s.Close()
	all := eval(t, `"http:*"`, `
local url = "`+s.URL+`"
local size, most, wrong, pieces = 0, 0, 0, 0
local r = assert(ns.http.get(url .. "/large", {stream = function(piece)
  if piece:byte(1) ~= 97 + math.floor(size / 1000) % 26 then wrong = wrong + 1 end
  size, most, pieces = size + #piece, math.max(most, #piece), pieces + 1
  if pieces % 100 == 0 then ns.sleep(0) end
end}))
print("large " .. r.status .. " " .. size .. " " .. most .. " " .. wrong .. " [" .. r.body .. "]")
local n = 0
r = assert(ns.http.get(url .. "/large", {stream = function() n = n + 1 return n < 3 end}))
print("ended " .. n)
local ok, err = pcall(ns.http.get, url .. "/large", {stream = function() error("my fault", 0) end})
print("raised " .. tostring(ok) .. " " .. tostring(err))
local r, err = ns.http.get(url .. "/cut", {stream = function(piece) print("piece " .. piece) end})
print("cut " .. tostring(r) .. " " .. err)
r, err = ns.http.get(url .. "/hangs", {timeout_ms = 50, stream = function() end})
print("hangs " .. tostring(r) .. " " .. err)
r = assert(ns.http.get(url .. "/busy", {stream = function() end, retries = 1}))
print("busy " .. r.status)
for i = 1, 40 do assert(ns.http.get(url .. "/large", {stream = function() return false end})) end
print("slots are free")
`)
	luatest.WantLines(t, all, "large 200 20972000 65536 0 []", "ended 3", "raised false my fault", "piece a part", "cut nil GET "+s.URL+"/cut: unexpected EOF",
		"hangs nil GET "+s.URL+"/hangs: timeout", "busy 503", "slots are free")
	luatest.WaitFor(t, func() bool { return gone.Load() == 43 })
}

// certificate writes a certificate and its key to one file, and returns its name.
func certificate(t *testing.T, name string) string {
	t.Helper()
	key := testkit.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der := testkit.Must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: testkit.Must(x509.MarshalPKCS8PrivateKey(key))})...)
	file := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestHTTPCertificates checks that ca_file decides which servers are trusted, and that
// cert_file is shown to the server.
func TestHTTPCertificates(t *testing.T) {
	server, client := certificate(t, "server"), certificate(t, "gate-7")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(testkit.Must(os.ReadFile(client)))
	s.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{testkit.Must(tls.LoadX509KeyPair(server, server))},
	}
	s.StartTLS()
	defer s.Close()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	all := eval(t, `"http:*"`, `
local function get(o) local r, err = ns.http.get("`+url+`", o) return r and r.body or "failed: " .. err end
print("both " .. get({ca_file = "`+server+`", cert_file = "`+client+`"}))
print("both " .. get({ca_file = "`+server+`", cert_file = "`+client+`", key_file = "`+client+`"}))
print("without " .. get({ca_file = "`+server+`"}))
print("system " .. get({cert_file = "`+client+`"}))
print("missing " .. get({ca_file = "/none.pem"}))
print("device " .. get({ca_file = "/dev/zero"}))
print("empty " .. get({ca_file = "`+empty+`"}))
print("empty " .. get({cert_file = "`+empty+`"}))
for i = 1, 20 do get({ca_file = "`+server+`", cert_file = "`+client+`", key_file = "`+client+`"}) end
print("other " .. get({ca_file = "`+client+`", cert_file = "`+client+`"}))
`)
	luatest.WantLines(t, all, "both hello gate-7", "both hello gate-7", "without failed", "system failed", "certificate", "missing failed", "ca_file: /none.pem cannot be read",
		"device failed", "ca_file: /dev/zero is not a regular file",
		"empty failed", "has no certificate in PEM form", "empty failed", "cert_file:", "other failed", "certificate")
}
