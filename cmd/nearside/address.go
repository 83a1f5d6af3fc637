package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"

	"nearside/internal/access"
	"nearside/internal/certs"
	"nearside/internal/config"
)

// defaultURL is the address of a server if neither a flag nor the environment gives one.
const defaultURL = "http://127.0.0.1:5110"

// remoteFlag has the flags of all commands that are clients of a server.
type remoteFlag struct {
	URL     *string `help:"Address of the server (default: the variable NEARSIDE_URL, or http://127.0.0.1:5110)." placeholder:"URL"`
	Key     *string `help:"Key for the server (default: the variable NEARSIDE_KEY). Other users of this machine can see it in the list of processes; --key-file hides it." placeholder:"KEY"`
	KeyFile string  `help:"File with the key for the server." placeholder:"FILE"`
	tlsFlags
}

// tlsFlags are the flags for a server with TLS.
type tlsFlags struct {
	CAFile   *string `name:"ca-file" help:"PEM file of the authorities that may sign the server's certificate (default: the variable NEARSIDE_CA_FILE, or those of the system)." placeholder:"FILE"`
	CertFile *string `help:"PEM file with a client certificate and its private key (default: the variable NEARSIDE_CERT_FILE)." placeholder:"FILE"`
}

// client returns a client of the server.
func (f *remoteFlag) client(s *system) (*client, error) {
	c, err := f.withoutKey(s)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Key != nil && f.KeyFile != "":
		return nil, usagef("--key and --key-file must not be given together")
	case f.Key != nil:
		err = c.setKey("--key", *f.Key)
	case f.KeyFile != "":
		var key string
		if key, err = access.ReadKeyFile(f.KeyFile); err == nil {
			c.key = key
		} else {
			err = fmt.Errorf("--key-file: %w", err)
		}
	}
	return c, err
}

func (f *remoteFlag) withoutKey(s *system) (*client, error) {
	if f.URL != nil {
		return s.withKey(f.newClient(s, "--url", *f.URL))
	}
	return f.defaultClient(s)
}

// withKey sets the key of the environment. An empty variable counts as not set.
func (s *system) withKey(c *client, err error) (*client, error) {
	if key := s.variable(config.KeyVariable); err == nil && key != "" {
		err = c.setKey(config.KeyVariable, key)
	}
	return c, err
}

// setKey sets the key that the client sends. name is the flag or the variable that has it.
func (c *client) setKey(name, key string) error {
	if err := access.CheckCredential(key); err != nil {
		return usagef("%s: %v", name, err)
	}
	c.key = key
	return nil
}

// defaultClient returns a client of the server that the environment names. An empty
// variable counts as not set.
func (f *tlsFlags) defaultClient(s *system) (*client, error) {
	if base := s.variable(config.URLVariable); base != "" {
		return s.withKey(f.newClient(s, config.URLVariable, base))
	}
	return s.withKey(f.newClient(s, "default", defaultURL))
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
