package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Authority is a certificate authority.
type Authority struct {
	PEM  []byte // its certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// serials gives each certificate another number.
var serials atomic.Int64

// NewAuthority returns an authority with a new key.
func NewAuthority() *Authority {
	a := &Authority{key: Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	der := Must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))
	a.cert, a.PEM = Must(x509.ParseCertificate(der)), encodePEM("CERTIFICATE", der)
	return a
}

// Pool returns a pool with the certificate of a.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issued is a certificate with its private key, both in PEM form.
type Issued struct{ Cert, Key []byte }

// Issue returns a new certificate for localhost, 127.0.0.1 and ::1, for servers and
// clients, that is valid for 1000 hours. change changes it before it is signed.
func (a *Authority) Issue(change ...func(*x509.Certificate)) Issued {
	key := Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: "test"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	for _, f := range change {
		f(c)
	}
	der := Must(x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key))
	return Issued{encodePEM("CERTIFICATE", der), encodePEM("PRIVATE KEY", Must(x509.MarshalPKCS8PrivateKey(key)))}
}

// TLS returns the certificate in the form of crypto/tls.
func (i Issued) TLS() tls.Certificate { return Must(tls.X509KeyPair(i.Cert, i.Key)) }

// Both returns the certificate and the key in one text.
func (i Issued) Both() []byte { return append(append([]byte(nil), i.Cert...), i.Key...) }

// WriteFile replaces a file by one with another content, in one step.
func WriteFile(path string, content []byte) {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		panic(err)
	}
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
