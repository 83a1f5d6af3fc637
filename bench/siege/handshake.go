package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// anyCertificate is the TLS configuration of clients. They do not check the certificate,
// because it is made for each run.
var anyCertificate = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above

// writeCertificate writes a new certificate and its key to dir, and returns the section tls
// of the configuration.
func writeCertificate(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 7)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "cert.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	return "tls: {cert_file: " + path + "}\n", os.WriteFile(path, text, 0o600)
}

// handshakeAttacks are the attacks that need TLS.
var handshakeAttacks = []attack{
	{name: "silent-handshake", plain: true, run: func(_ context.Context, c net.Conn) { untilClosed(c) }},
	{name: "cut-handshake", plain: true, run: func(_ context.Context, c net.Conn) {
		sendText(c, "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03") // a record of 16 KiB of which 6 bytes arrive
		untilClosed(c)
	}},
	{name: "half-handshake", plain: true, run: func(ctx context.Context, c net.Conn) {
		// The client sends its first message, gets the answer of the server, and never finishes.
		_ = tls.Client(&mute{Conn: c}, anyCertificate).HandshakeContext(ctx)
		untilClosed(c)
	}},
	{name: "handshakes", plain: true, run: func(ctx context.Context, c net.Conn) {
		_ = tls.Client(c, anyCertificate).HandshakeContext(ctx) // the connection is closed at once
	}},
}

// mute is a connection that drops all writes after the first one.
type mute struct {
	net.Conn
	begun bool
}

func (m *mute) Write(b []byte) (int, error) {
	if m.begun {
		return len(b), nil
	}
	m.begun = true
	return m.Conn.Write(b)
}
