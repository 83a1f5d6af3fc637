package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"nearside/internal/certs"
)

// tlsFiles returns the files of a remote. path is that of c in errors.
func (c *Config) tlsFiles(path string) certs.ClientFiles {
	return certs.ClientFiles{
		CA:   certs.File{Setting: path + ".ca_file", Path: c.CAFile},
		Cert: certs.File{Setting: path + ".cert_file", Path: c.CertFile},
	}
}

// CheckFiles returns an error for each file of the remotes that cannot be used.
func CheckFiles(configs []Config) error {
	var faults []error
	for i := range configs {
		_, err := certs.LoadClient(configs[i].tlsFiles(fmt.Sprintf("matchers.remote[%d]", i)))
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// dialTLS returns a dialer of TLS connections. Each connection uses the certificates that
// the files have at that time.
func dialTLS(dial dialer, certificates *certs.Client) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout) // for TCP and TLS
		defer cancel()
		tcp, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := certificates.Config().Clone()
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			config.ServerName = address
		}
		c := tls.Client(tcp, config)
		if err := c.HandshakeContext(ctx); err != nil {
			_ = tcp.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		return c, nil
	}
}
