package main

import (
	"nearside/internal/certs"
	"nearside/internal/config"
	"nearside/matcher/remote"
)

// serverFiles returns the TLS files of the server.
func serverFiles(cfg *config.Config) certs.ServerFiles {
	return certs.FilesOf(cfg.TLS.CertFile, cfg.TLS.KeyFile, cfg.TLS.ClientCAFile)
}

// remoteConfigs returns the remotes of a configuration.
func remoteConfigs(cfg *config.Config) []remote.Config {
	configs := make([]remote.Config, len(cfg.Matchers.Remote))
	for i, r := range cfg.Matchers.Remote {
		configs[i] = remote.Config(r)
	}
	return configs
}

// scheme returns the scheme of the server's URL.
func (s *service) scheme() string {
	if s.certs.Config() == nil {
		return "http"
	}
	return "https"
}
