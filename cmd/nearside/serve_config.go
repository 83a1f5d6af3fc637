package main

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"

	"nearside/internal/access"
	"nearside/internal/config"
	"nearside/matcher"
)

// reload applies the changes that a running service can apply. It returns the keys that
// it applied and the keys that need a restart. If remotes, plugins, access, TLS files or the audit cannot be
// reloaded, their keys keep the old values, and all other keys are applied.
func (s *service) reload(ctx context.Context, next *config.Config) (applied, restart []string, err error) {
	next.Listen = s.realListen(next.Listen)
	var refused []string
	remoteErr := s.configureRemotes(next)
	if remoteErr != nil {
		refused = append(refused, "matchers.remote")
	}
	pluginErr := s.plugins.Load().Reconfigure(ctx, next.Plugins.Dir, next.Plugins.Active, next.Plugins.Settings, next.Plugins.Override)
	if pluginErr != nil {
		refused = append(refused, "plugins.dir", "plugins.active", "plugins.settings", "plugins.override")
	} else {
		_, ignored := checkPlugins(ctx, next) // Reconfigure has returned the errors of refused plugins
		logIgnored(s.log, ignored)
	}
	policy, accessErr := access.New(next.Access.Config(), s.access)
	if accessErr == nil && s.access.Required() && !policy.Required() {
		accessErr = errors.New("access: a reload cannot remove the last key and jwt, because every client could then do everything; the keys stay valid until a restart")
	}
	if accessErr != nil {
		refused = append(refused, config.AccessKeys...)
	} else {
		s.access = policy
	}
	tlsErr := s.certs.Configure(serverFiles(next))
	if tlsErr != nil {
		refused = append(refused, "tls.cert_file", "tls.key_file", "tls.client_ca_file")
	}
	auditErr := s.audit.Configure(next.Audit.Settings())
	if auditErr != nil {
		refused = append(refused, config.AuditKeys...)
	}
	applied, s.restart = s.config.Reload(next, refused...)
	s.memory.SetBytesMax(s.config.Limits.Memory)
	s.sweeper.retention.Store(newRetention(&s.config))
	s.pressure.configure(s.config.Limits.ProcessMemory)
	s.server.Reload(s.limits())
	return applied, s.restart, errors.Join(remoteErr, pluginErr, accessErr, tlsErr, auditErr)
}

// realListen returns the real address if listen is unchanged, because with port 0 the
// real port differs from the configured one.
func (s *service) realListen(listen string) string {
	if listen == s.listen {
		return s.config.Listen
	}
	return listen
}

// shown returns the effective configuration for GET /config. Automatic values are
// replaced by the values in use. The section running has facts about the process.
func (s *service) shown() map[string]any {
	c := s.config
	c.Workers = s.memory.Stats().Workers
	c.SIMD = s.kernel.Level()
	c.Limits.ProcessMemory = s.pressure.limit.Load()
	c.DataDir, c.Plugins.Dir, c.File = absolute(c.DataDir), absolute(c.Plugins.Dir), absolute(c.File)
	c.Descriptors.Versions = nil
	for _, v := range s.config.Descriptors.Versions {
		c.Descriptors.Versions = append(c.Descriptors.Versions, *s.registry.Version(v.Number))
	}
	shown := c.Map()
	shown["running"] = map[string]any{
		"version": versionText(), "config_file": c.File, "kernel": s.kernel.Name(), "processors": runtime.NumCPU(),
		"descriptor_versions": shownVersions(s.registry), "needs_restart": anyList(s.restart),
	}
	return shown
}

// absolute returns the absolute form of path. An empty path stays empty.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); path != "" && err == nil {
		return abs
	}
	return path
}

// shownVersions returns all descriptor versions, including the built-in ones.
func shownVersions(r *matcher.Registry) []any {
	all := []any{}
	for _, v := range r.Versions() {
		version := map[string]any{
			"number": int(v.Number), "type": v.Type.String(), "encoding": v.Encoding.String(), "length": v.Length, "calibrated": v.Calibrated,
			"similarity": map[string]any{"midpoint": v.Similarity.Midpoint, "steepness": v.Similarity.Steepness},
		}
		if v.Encoding == matcher.Uint8 {
			version["scale"] = v.Scale
		} else {
			version["metric"] = v.Metric.String()
		}
		all = append(all, version)
	}
	return all
}

// anyList returns all as a list that is never nil.
func anyList(all []string) []any {
	shown := []any{}
	for _, text := range all {
		shown = append(shown, text)
	}
	return shown
}
