package http

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"nearside/internal/certs"
)

// maxTLS is the maximum number of different TLS values that a client uses.
const maxTLS = 16

// TLS names the PEM files for connections to https. The zero value uses the authorities of
// the system and no client certificate.
type TLS struct {
	CAFile   string // authorities that are trusted instead of those of the system
	CertFile string // certificate of the client, and its key unless KeyFile is set
	KeyFile  string
}

// clientFor returns the client for these files. The first call reads them. CertFile and
// KeyFile are read again for each connection.
func (c *Client) clientFor(files TLS) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.clients[files]; h != nil {
		return h, nil
	}
	if len(c.clients) >= maxTLS {
		return nil, fmt.Errorf("the plugin uses more than %d different sets of ca_file, cert_file and key_file", maxTLS)
	}
	transport := c.transport
	if transport == nil {
		network, err := newTransport(files)
		if err != nil {
			return nil, err
		}
		transport = network
	}
	h := &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	c.clients[files] = h
	return h, nil
}

func newTransport(files TLS) (*http.Transport, error) {
	config, err := files.config()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		MaxConnsPerHost: MaxCalls, MaxIdleConns: MaxCalls, MaxIdleConnsPerHost: 8,
		IdleConnTimeout: idleTime, TLSHandshakeTimeout: handshakeTime, TLSClientConfig: config,
		MaxResponseHeaderBytes: MaxHeaderBytes, Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t, nil
}

// config reads the files.
func (f TLS) config() (*tls.Config, error) {
	files := certs.ClientFiles{
		CA: certs.File{Setting: "ca_file", Path: f.CAFile}, Cert: certs.File{Setting: "cert_file", Path: f.CertFile}, Key: certs.File{Setting: "key_file", Path: f.KeyFile},
	}
	config, err := certs.LoadClient(files)
	if err != nil || f.CertFile == "" {
		return config, err
	}
	config.Certificates = nil
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		now, err := certs.LoadClient(certs.ClientFiles{Cert: files.Cert, Key: files.Key})
		if err != nil {
			return nil, err
		}
		return &now.Certificates[0], nil
	}
	return config, nil
}
