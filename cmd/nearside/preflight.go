package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sys/unix"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/internal/certs"
	"nearside/internal/config"
	"nearside/lua"
	"nearside/matcher"
	"nearside/matcher/remote"
	"nearside/matcher/store"
	"nearside/plugins"
	"nearside/simd"
)

// preflight has the problems of a configuration on this machine that can be found
// without serving. Both `serve` and `config check` use it.
type preflight struct {
	refused  []error  // serve does not start
	ignored  []error  // serve starts, but ignores a part of the configuration
	inUse    []error  // serve does not start until another process ends
	defaults []string // warnings about defaults that may not fit
}

// runPreflight checks the data directory, the address, the TLS files and the plugins. It changes
// nothing.
func runPreflight(ctx context.Context, cfg *config.Config) preflight {
	p := preflight{defaults: uncalibrated(cfg)}
	if _, err := simd.Select(cfg.SIMD); err != nil {
		p.refused = append(p.refused, fmt.Errorf("simd: %w", err))
	}
	if _, err := access.New(cfg.Access.Config(), nil); err != nil {
		p.refused = append(p.refused, err)
	}
	info, err := store.Inspect(cfg.DataDir)
	if err == nil {
		err = info.Fault
	}
	if err != nil {
		p.refused = append(p.refused, fmt.Errorf("data_dir: %w", err))
	}
	if info.InUse {
		p.inUse = append(p.inUse, fmt.Errorf("data_dir: %s is in use by another process", info.Dir))
	}
	switch err := tryListen(ctx, cfg.Listen); {
	case errors.Is(err, unix.EADDRINUSE) && info.InUse: // probably of the same server
		p.inUse = append(p.inUse, fmt.Errorf("listen: %w", err))
	case err != nil:
		p.refused = append(p.refused, fmt.Errorf("listen: %w", err))
	}
	if err := audit.Check(cfg.Audit.Settings()); err != nil {
		p.refused = append(p.refused, err)
	}
	for _, err := range []error{certs.Check(serverFiles(cfg)), remote.CheckFiles(remoteConfigs(cfg))} {
		if err != nil {
			p.refused = append(p.refused, err)
		}
	}
	refused, ignored := checkPlugins(ctx, cfg)
	p.refused = append(p.refused, refused...)
	p.ignored = append(p.ignored, ignored...)
	return p
}

// checkPlugins checks the plugins that cfg activates, without running them.
func checkPlugins(ctx context.Context, cfg *config.Config) (refused, ignored []error) {
	return lua.CheckConfigured(ctx, lua.Options{
		Dir: cfg.Plugins.Dir, Shipped: plugins.Files, Active: cfg.Plugins.Active, Settings: cfg.Plugins.Settings, Override: cfg.Plugins.Override,
	})
}

// uncalibrated returns a warning for each configured version without a calibration.
func uncalibrated(cfg *config.Config) (warnings []string) {
	registry, err := matcher.NewRegistry(cfg.Descriptors.Versions)
	if err != nil {
		return nil // config.Read has returned this error already
	}
	for i, v := range cfg.Descriptors.Versions {
		if v = *registry.Version(v.Number); !v.Calibrated {
			warnings = append(warnings, fmt.Sprintf("descriptors.versions[%d].similarity: is missing, so version %d uses an uncalibrated default: midpoint %v, steepness %v; "+
				"it affects similarities and thresholds, not distances and the order of matches", i, v.Number, v.Similarity.Midpoint, v.Similarity.Steepness))
		}
	}
	return warnings
}

// tryListen checks that the address can be listened on.
func tryListen(ctx context.Context, address string) error {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// report logs warnings and ignored settings, and returns the reasons why serve does not
// start. If only one of the data directory and the address is in use, it leaves that out,
// because the store or the server reports it with more details.
func (p *preflight) report(log *slog.Logger) error {
	for _, warning := range p.defaults {
		log.Warn(warning)
	}
	logIgnored(log, p.ignored)
	if len(p.inUse) > 1 { // probably the same server
		return errors.Join(append(p.refused, p.inUse...)...)
	}
	return errors.Join(p.refused...)
}

// logIgnored logs each ignored part of the configuration.
func logIgnored(log *slog.Logger, ignored []error) {
	for _, err := range ignored {
		log.Warn("a part of the configuration is ignored", "error", err)
	}
}
