package main

import (
	"context"
	"slices"

	"nearside/internal/config"
	"nearside/internal/telemetry"
	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/plugins"
)

// openPlugins starts the active plugins.
func (s *service) openPlugins(ctx context.Context, cfg *config.Config, points *telemetry.Telemetry) (*lua.Host, error) {
	s.watch = cfg.Plugins.Watch
	return lua.New(ctx, lua.Options{
		Shipped: plugins.Files,
		Dir:     cfg.Plugins.Dir, Active: slices.Clone(cfg.Plugins.Active), Settings: cfg.Plugins.Settings, Override: cfg.Plugins.Override,
		Log: s.log, MatchStates: s.memory.Stats().Workers,
		Services: ns.Services{
			Matching: s.memory, Match: s.matchFor, Metrics: points.Plugins(), Resources: points.Resources,
			Store: s.store, Objects: s.memory, Decoder: s.decoder.Load, Values: s.store,
		},
	})
}

// pluginStates returns the states of the plugins, or none before they have been started.
func (s *service) pluginStates() []lua.Status {
	if host := s.plugins.Load(); host != nil {
		return host.Plugins()
	}
	return nil
}

// emit passes an event to the plugins, if they have been started.
func (s *service) emit(event string, cause matcher.Cause, value func() any) {
	if host := s.plugins.Load(); host != nil {
		host.EmitFrom(event, cause, value)
	}
}

// listens reports whether a plugin receives an event.
func (s *service) listens(event string) bool {
	host := s.plugins.Load()
	return host != nil && host.Listens(event)
}

// watchPlugins reloads plugins when their files change, if plugins.watch is set. It ends
// with ctx, and then closes the channel.
func (s *service) watchPlugins(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if !s.watch {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		if err := s.plugins.Load().Watch(ctx); err != nil {
			s.log.Error("changes of plugin files cannot be detected", "error", err)
		}
	}()
	return ended
}
