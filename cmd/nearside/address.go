package main

import (
	"fmt"
	"strings"

	"nearside/internal/access"
	"nearside/internal/config"
)

// defaultURL is the address of a server if neither a flag nor the environment gives one.
const defaultURL = "http://127.0.0.1:5110"

// remoteFlag has the flags of all commands that are clients of a server.
type remoteFlag struct {
	URL     *string `help:"Address of the server (default: the variable NEARSIDE_URL, or http://127.0.0.1:5110)." placeholder:"URL"`
	Key     *string `help:"Key for the server (default: the variable NEARSIDE_KEY). Other users of this machine can see it in the list of processes; --key-file hides it." placeholder:"KEY"`
	KeyFile string  `help:"File with the key for the server." placeholder:"FILE"`
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
		return s.withKey(newClient("--url", *f.URL))
	}
	return defaultClient(s)
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
func defaultClient(s *system) (*client, error) {
	if base := s.variable(config.URLVariable); base != "" {
		return s.withKey(newClient(config.URLVariable, base))
	}
	return s.withKey(newClient("default", defaultURL))
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
