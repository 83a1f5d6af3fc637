package main

import (
	"crypto/tls"
	"log/slog"
	"strings"

	"nearside/internal/certs"
	"nearside/internal/config"
)

// defaultURL is the address of a server if neither a flag nor the environment gives one.
const defaultURL = "http://127.0.0.1:5110"

// remoteFlag has the flags of all commands that are clients of a server.
type remoteFlag struct {
	URL *string `help:"Address of the server (default: the variable NEARSIDE_URL, or http://127.0.0.1:5110)." placeholder:"URL"`
	tlsFlags
}

// tlsFlags are the flags for a server with TLS.
type tlsFlags struct {
	CAFile   *string `name:"ca-file" help:"PEM file of the authorities that may sign the server's certificate (default: the variable NEARSIDE_CA_FILE, or those of the system)." placeholder:"FILE"`
	CertFile *string `help:"PEM file with a client certificate and its private key (default: the variable NEARSIDE_CERT_FILE)." placeholder:"FILE"`
}

// client returns a client of the server.
func (f *remoteFlag) client(s *system) (*client, error) {
	if f.URL != nil {
		return f.newClient(s, "--url", *f.URL)
	}
	return f.defaultClient(s)
}

// defaultClient returns a client of the server that the environment names. An empty
// variable counts as not set.
func (f *tlsFlags) defaultClient(s *system) (*client, error) {
	if base := s.variable(config.URLVariable); base != "" {
		return f.newClient(s, config.URLVariable, base)
	}
	return f.newClient(s, "default", defaultURL)
}

// newClient returns a client of the server at base, which is the value of a flag or of an
// environment variable with the given name.
func (f *tlsFlags) newClient(s *system, name, base string) (*client, error) {
	secure, err := f.config(s)
	if err != nil {
		return nil, err
	}
	return newClient(name, base, secure)
}

// config returns the TLS configuration of connections.
func (f *tlsFlags) config(s *system) (*tls.Config, error) {
	files := certs.ClientFiles{
		CA:   s.fileOf("--ca-file", f.CAFile, config.CAFileVariable),
		Cert: s.fileOf("--cert-file", f.CertFile, config.CertFileVariable),
	}
	c, err := certs.NewClient(files, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return c.Config(), nil
}

// fileOf returns the file that a flag names, or an environment variable if the flag is not
// given.
func (s *system) fileOf(flag string, value *string, variable string) certs.File {
	if value != nil {
		return certs.File{Setting: flag, Path: *value}
	}
	return certs.File{Setting: variable, Path: s.variable(variable)}
}

// variable returns the value of an environment variable, or "" if it is not set.
func (s *system) variable(name string) string {
	value := ""
	for _, entry := range s.env {
		if key, text, ok := strings.Cut(entry, "="); ok && key == name {
			value = text // the last one is in force, as in os/exec
		}
	}
	return value
}
