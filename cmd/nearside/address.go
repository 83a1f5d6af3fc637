package main

import (
	"strings"

	"nearside/internal/config"
)

// defaultURL is the address of a server if neither a flag nor the environment gives one.
const defaultURL = "http://127.0.0.1:5110"

// remoteFlag is the flag of all commands that are clients of a server.
type remoteFlag struct {
	URL *string `help:"Address of the server (default: the variable NEARSIDE_URL, or http://127.0.0.1:5110)." placeholder:"URL"`
}

// client returns a client of the server.
func (f *remoteFlag) client(s *system) (*client, error) {
	if f.URL != nil {
		return newClient("--url", *f.URL)
	}
	return defaultClient(s)
}

// defaultClient returns a client of the server that the environment names. An empty
// variable counts as not set.
func defaultClient(s *system) (*client, error) {
	if base := s.variable(config.URLVariable); base != "" {
		return newClient(config.URLVariable, base)
	}
	return newClient("default", defaultURL)
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
