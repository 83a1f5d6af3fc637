package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/internal/certs"
	"nearside/internal/config"
	"nearside/internal/server"
	"nearside/internal/telemetry"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/remote"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/simd"
)

// newService creates the parts that need no stored data, and listens. After that, start must
// be called; until it has loaded the data, the server answers that it is starting.
func newService(cfg *config.Config, log *slog.Logger) (*service, error) {
	s := &service{log: log, meta: cfg.Events.MetaFields, config: *cfg, listen: cfg.Listen, served: make(chan error, 1)}
	var err error
	if s.registry, err = matcher.NewRegistry(cfg.Descriptors.Versions); err != nil {
		return nil, err
	}
	if s.kernel, err = simd.Select(cfg.SIMD); err != nil {
		return nil, err
	}
	if s.access, err = access.New(cfg.Access.Config(), nil); err != nil {
		return nil, err
	}
	s.audit = audit.New(log)
	s.certs = certs.NewServer(log)
	if err := s.certs.Configure(serverFiles(cfg)); err != nil {
		return nil, err
	}
	s.pressure = newPressure(log)
	s.memory, err = memory.New(memory.Options{
		Registry: s.registry, Kernel: s.kernel, Workers: cfg.Workers, Cost: cfg.Matchers.Memory.Cost, BytesMax: cfg.Limits.Memory,
		MetaFields: s.meta, Refuse: s.pressure.refuseWrite, Tight: s.pressure.isTight,
	})
	if err != nil {
		return nil, err
	}
	s.remotes = remote.NewGroup(s.decoder.Load, log)
	s.points = telemetry.New(versionText(), telemetry.Gauges{
		Rows:    func(o matcher.Origin) int { return s.memory.Stats().Rows[o] },
		Lists:   func() int { return s.memory.Stats().Lists },
		Memory:  func() int64 { return s.memory.Stats().Bytes },
		Workers: func() int { return s.memory.Stats().Workers },
		Queue:   func() int { return s.memory.Stats().Queue },
		Process: s.pressure.figures,
		Remotes: s.remotes.States,
		TLS: func() (time.Time, int64, int64) {
			return s.certs.NotAfter(), s.certs.Failures(), s.server.HandshakeFailures()
		},
		Plugins:   s.pluginStates,
		Audit:     s.audit.Stats,
		Snapshots: func() (time.Time, int64) { return s.snapshots.Load().state() },
	})
	s.events = &telemetry.Points{Service: cfg.Monitoring.Service, Emit: s.emit, Listens: s.listens}
	s.observers = matcher.Observers{s.points, s.events, matchLog{log}}
	s.server, err = server.New(server.Options{
		RefuseMatch: s.pressure.refuseMatch, RefuseWrite: s.pressure.refuseWrite,
		Listen: cfg.Listen, Observer: s.observers, Log: log, Metrics: s.points.WriteText,
		Version: server.Version{Major: versionMajor, Minor: versionMinor, Patch: versionPatch},
		Limits:  s.limits(), Insecure: cfg.Insecure, TLS: s.certs.Config, Audit: s.audit,
	})
	if err != nil {
		s.memory.Close()
		return nil, err
	}
	s.config.Listen = s.server.Addr().String() // with the real port
	return s, nil
}

// stopMax is how long start waits, after a failure, for the answers that the server is
// writing. They are small.
const stopMax = time.Second

// start lets the server answer and loads the stored data. If loading fails, it closes all
// parts. The end of ctx is not an error, because it is an ordinary stop.
func (s *service) start(ctx context.Context) (loaded bool, err error) {
	go func() { s.served <- s.server.Run() }()
	if err = s.load(ctx); err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		s.log.Info("stopping before the start is complete", "error", err)
		err = nil
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopMax)
	defer cancel()
	_ = s.server.Shutdown(grace) // requests that are cut have only been refused
	err = errors.Join(err, <-s.served, s.close(context.WithoutCancel(ctx)))
	if err == nil {
		s.log.Info("stopped")
	}
	return false, err
}

// load loads the stored data and creates the parts that need it. Then the server answers
// all requests.
func (s *service) load(ctx context.Context) (err error) {
	start, cfg := time.Now(), &s.config
	s.store, err = store.Open(ctx, store.Options{
		Dir: cfg.DataDir, Applier: s.memory, Cache: s.memory, Observer: s.observers, Watcher: s.events, Auditor: s.audit, Warn: s.log.Warn,
		Progress: s.showProgress(startProgress(s.log, time.Now)),
		Verified: logVerified(s.log),
		Check: func() error {
			s.server.SetProgress(server.Progress{Phase: "opening the database for writing"})
			return checkVersions(s.memory.Misfits())
		},
	})
	if err != nil {
		return err
	}
	if err := s.audit.Open(ctx, cfg.Audit.Settings(), s.store); err != nil {
		return err
	}
	s.server.SetProgress(server.Progress{Phase: "starting plugins"})
	s.pressure.configure(cfg.Limits.ProcessMemory) // after loading, because stored data is loaded even above the limit
	s.sweeper = &sweeper{store: s.store, memory: s.memory, log: s.log}
	s.sweeper.retention.Store(newRetention(cfg))
	if err := s.configureRemotes(cfg); err != nil {
		return err
	}
	host, err := s.openPlugins(ctx, cfg, s.points)
	if err != nil {
		return err
	}
	s.plugins.Store(host)
	s.server.Reload(s.limits())
	s.logLoaded(time.Since(start))
	router := route.New(route.Options{
		Registry: s.registry, Moments: s.memory, Local: s.memory, Remotes: s.remotes, Plugins: host, Observer: s.observers,
	})
	s.router.Store(router)
	saved := openSnapshots(cfg, s.store, s.log)
	s.snapshots.Store(saved)
	if s.tasks, err = s.openTasks(); err != nil {
		return err
	}
	s.server.Open(server.Parts{Memory: s.memory, Store: s.store, Plugins: host, Remotes: s.remotes, Router: router, Tasks: s.tasks, Snapshots: saved.folder})
	s.tasks.Resume()
	return nil
}

// showProgress returns a function that shows the progress of loading at GET /readyz, and
// passes it on.
func (s *service) showProgress(next func(done, total uint64)) func(done, total uint64) {
	return func(done, total uint64) {
		s.server.SetProgress(server.Progress{Phase: "loading", Done: done, Total: total})
		next(done, total)
		if s.loading != nil {
			s.loading(done, total)
		}
	}
}

// logLoaded logs what a start has loaded, and the time that it took.
func (s *service) logLoaded(took time.Duration) {
	stats := s.memory.Stats()
	s.log.Info("loaded", "faces", stats.Rows[matcher.Faces], "events", stats.Rows[matcher.Events],
		"attributes", stats.Rows[matcher.Attributes], "lists", stats.Lists, "data_dir", s.config.DataDir,
		"kernel", s.kernel.Name(), "workers", stats.Workers, "took", took.Round(time.Millisecond).String())
}

// checkVersions returns an error if stored descriptors have no matching version in the
// configuration, because they could not be matched.
func checkVersions(misfits map[uint32]int) error {
	if len(misfits) == 0 {
		return nil
	}
	var found []string
	for _, v := range slices.Sorted(maps.Keys(misfits)) {
		found = append(found, fmt.Sprintf("%d of version %d", misfits[v], v))
	}
	return fmt.Errorf("descriptors.versions: the data directory has descriptors without a fitting version: %s; configure these versions as they were when the objects were stored",
		strings.Join(found, ", "))
}
