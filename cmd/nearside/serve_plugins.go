package main

import (
	"context"
	"slices"

	"nearside/internal/config"
	"nearside/internal/telemetry"
	"nearside/lua"
	"nearside/plugins"
)

// openPlugins starts the active plugins.
func (s *service) openPlugins(ctx context.Context, cfg *config.Config, points *telemetry.Telemetry) (*lua.Host, error) {
	s.watch = cfg.Plugins.Watch
	return lua.New(ctx, lua.Options{
		Shipped: plugins.Files,
		Dir:     cfg.Plugins.Dir, Active: slices.Clone(cfg.Plugins.Active), Settings: cfg.Plugins.Settings,
		Log: s.log, MatchStates: s.memory.Stats().Workers,
		Services: lua.Services{
			Matching: s.memory, Metrics: points.Plugins(), Resources: points.Resources,
			Store: s.store, Objects: s.memory, Decoder: s.decoder.Load,
		},
	})
}

// emit hands an event to the plugins, once they are there.
func (s *service) emit(event string, value func() any) {
	if host := s.plugins.Load(); host != nil {
		host.Emit(event, value)
	}
}

func (s *service) listens(event string) bool {
	host := s.plugins.Load()
	return host != nil && host.Listens(event)
}

// watchPlugins reloads plugins when their files change, if that is wanted. The
// channel is closed when it has ended, with ctx.
func (s *service) watchPlugins(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if !s.watch {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		if err := s.plugins.Load().Watch(ctx); err != nil {
			s.log.Error("changes of plugins are not noticed", "error", err)
		}
	}()
	return ended
}
