// Package certs makes TLS configurations from certificates and keys in PEM files, and reads
// the files again when they change.
//
// A [Server] has the certificate of a server. [Server.Watch] compares the files with what
// was read last, every few seconds. A [Client] has the certificates of a client, and
// compares its files before each connection. Both keep what they have when new files are
// wrong, and log a warning once for each wrong content.
//
// The package compares contents, not times, so it notices every kind of replacement: a
// rename, a symbolic link that points elsewhere, or a write within the same second.
package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// fileMax is the largest size of a file in bytes. A bundle with the certificates of all
// public authorities has a quarter of it.
const fileMax = 1 << 20

// File is a file that a setting names.
type File struct {
	Setting string // the name of the setting in errors, such as tls.cert_file
	Path    string // empty: the setting is not used
}

// errorf returns an error about the file.
func (f File) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s "+format, append([]any{f.Setting, f.Path}, args...)...)
}

// read returns the content of the file. It returns nil if the setting is not used.
func (f File) read() ([]byte, error) {
	if f.Path == "" {
		return nil, nil
	}
	info, err := os.Stat(f.Path) // before Open, which waits for a writer if the file is a pipe
	if err == nil && !info.Mode().IsRegular() {
		return nil, f.errorf("is not a regular file")
	}
	if err != nil {
		return nil, f.unreadable(err)
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, f.unreadable(err)
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, fileMax+1))
	switch {
	case err != nil:
		return nil, f.unreadable(err)
	case len(text) > fileMax:
		return nil, f.errorf("has more than %d bytes, which is the limit", fileMax)
	}
	return text, nil
}

func (f File) unreadable(err error) error {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		err = failed.Err
	}
	return f.errorf("cannot be read: %w", err)
}

// pair returns a certificate with its private key. If key names no file, the key is in the
// file of the certificate.
func pair(cert, key File, certText, keyText []byte) (tls.Certificate, error) {
	var c tls.Certificate
	for _, block := range blocks(certText) {
		if block.Type == "CERTIFICATE" {
			c.Certificate = append(c.Certificate, block.Bytes)
		}
	}
	if c.Certificate == nil {
		return c, cert.errorf("has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	for i, der := range c.Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return c, cert.errorf("has a certificate that cannot be parsed (number %d of the file): %w", i+1, err)
		}
		if i == 0 {
			c.Leaf = parsed
		}
	}
	if key.Path == "" {
		key, keyText = cert, certText
	}
	var err error
	if c.PrivateKey, err = privateKey(key, keyText); err != nil {
		return c, err
	}
	public, ok := c.Leaf.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	if !ok || !public.Equal(c.PrivateKey.(crypto.Signer).Public()) {
		return c, key.errorf("has a private key that does not belong to the first certificate of %s, %s; the certificate of this machine must come first, and those of authorities after it",
			cert.Path, subject(c.Leaf))
	}
	return c, nil
}

// privateKey returns the first private key of a file.
func privateKey(f File, text []byte) (crypto.Signer, error) {
	for _, block := range blocks(text) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, f.errorf("has an encrypted private key; decrypt it, for example with `openssl pkey`")
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, f.errorf("has a private key that cannot be parsed: it must be an RSA, ECDSA or Ed25519 key in PKCS #8, PKCS #1 or SEC 1 form")
		}
		return key, nil
	}
	return nil, f.errorf("has no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
}

// errKey is the error of a key of an unknown kind. It shows nothing of the key.
var errKey = errors.New("not a known kind of private key")

func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, errKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errKey
}

// pool returns the certificates of a file of authorities.
func pool(f File, text []byte) (*x509.CertPool, error) {
	all, found := x509.NewCertPool(), false
	for i, block := range blocks(text) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, f.errorf("has a certificate that cannot be parsed (block %d of the file): %w", i+1, err)
		}
		all.AddCert(c)
		found = true
	}
	if !found {
		return nil, f.errorf("has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return all, nil
}

// blocks returns all PEM blocks of a text.
func blocks(text []byte) (all []*pem.Block) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		all = append(all, block)
	}
}

// checkTime returns an error if the certificate is not valid at a time.
func checkTime(f File, c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return f.errorf("has a certificate that expired at %s: %s", c.NotAfter.Format(time.RFC3339), subject(c))
	case now.Before(c.NotBefore):
		return f.errorf("has a certificate that is not valid before %s: %s", c.NotBefore.Format(time.RFC3339), subject(c))
	}
	return nil
}

// subject names a certificate in messages.
func subject(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return "certificate of " + strings.Join(c.DNSNames[:min(3, len(c.DNSNames))], ", ")
	case c.Subject.CommonName != "":
		return "certificate of " + c.Subject.CommonName
	}
	return "certificate with serial number " + c.SerialNumber.String()
}

// contents are the contents of files, in a fixed order. An element is nil if the setting is
// not used.
type contents [][]byte

// readAll reads all files.
func readAll(files ...File) (contents, error) {
	all := make(contents, len(files))
	var faults []error
	for i, f := range files {
		text, err := f.read()
		if err != nil {
			faults = append(faults, err)
		}
		all[i] = text
	}
	return all, errors.Join(faults...)
}

func (c contents) equal(d contents) bool {
	if len(c) != len(d) {
		return false
	}
	for i := range c {
		if !bytes.Equal(c[i], d[i]) {
			return false
		}
	}
	return true
}

// wrongFiles are new contents of files that cannot be used.
type wrongFiles struct {
	contents contents
	fault    string
	looks    int // how often they were found
}

// note notes that files are wrong, and reports whether to log it: once, when the same
// contents are found for the second time. Files that are being replaced one after another
// do not fit together for a moment, and that is not a fault.
func (w *wrongFiles) note(c contents, err error) bool {
	if w.looks == 0 || w.fault != err.Error() || !w.contents.equal(c) {
		*w = wrongFiles{contents: c, fault: err.Error()}
	}
	w.looks++
	return w.looks == 2
}
