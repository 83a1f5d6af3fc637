package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"nearside/internal/config"
	"nearside/internal/server"
	"nearside/internal/telemetry"
	"nearside/lua"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/remote"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

type serveCmd struct {
	Config  string  `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
	Listen  *string `help:"Address to listen on; port 0 is a free one." placeholder:"HOST:PORT"`
	DataDir *string `help:"Folder of the stored objects." placeholder:"DIR"`
}

// Help is shown below the flags.
func (*serveCmd) Help() string {
	return `Example:

    nearside serve --listen 127.0.0.1:5110 --data-dir data

When it can answer, it logs a line with "listening on http://HOST:PORT". SIGTERM lets running requests end and stops; SIGHUP reads plugins, limits, remotes and the log level again.`
}

// read reads the configuration, now or again.
func (c *serveCmd) read(s *system) (config.Config, []string, error) {
	flags := map[string]any{}
	if c.Listen != nil {
		flags["listen"] = *c.Listen
	}
	if c.DataDir != nil {
		flags["data_dir"] = *c.DataDir
	}
	return config.Read(c.Config, s.env, flags)
}

// Run reads the configuration and serves until a signal comes.
func (c *serveCmd) Run(s *system) error {
	cfg, warnings, err := c.read(s)
	if err != nil {
		return err
	}
	log, level := newLogger(s.stderr, cfg.Log)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	svc, err := open(s.ctx, &cfg, log)
	if err != nil {
		return err
	}
	spareProcessor(svc.memory.Stats().Workers)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return svc.run(s.ctx, hangups, func() {
		next, _, err := c.read(s)
		if err != nil {
			log.Error("not reloaded", "error", err)
			return
		}
		level.Set(next.Log.Level)
		if err := svc.reload(s.ctx, &next); err != nil {
			log.Error("not wholly reloaded", "error", err)
			return
		}
		log.Info("plugins, limits, remotes and log level reloaded")
	})
}

// spareProcessor lets Go run one goroutine more at once than there are workers,
// unless GOMAXPROCS says how many. A worker computes and never waits: with all
// processors at it, Go looks at the network every 10 ms only, when it takes one
// away from a worker.
func spareProcessor(workers int) {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) <= workers {
		runtime.GOMAXPROCS(workers + 1)
	}
}

// service is everything that serves, bottom up.
type service struct {
	log      *slog.Logger
	registry *matcher.Registry
	memory   *memory.Memory
	store    *store.Store
	plugins  atomic.Pointer[lua.Host] // nil until it is there
	remotes  *remote.Group
	server   *server.Server
	sweeper  *sweeper
	decoder  atomic.Pointer[wire.Decoder] // with the limits of now
	meta     []matcher.MetaField          // declared when the program started
	watch    bool                         // whether changes of plugins reload them
	grace    time.Duration                // for requests under way at the end
}

// open builds the service from what is stored.
func open(ctx context.Context, cfg *config.Config, log *slog.Logger) (svc *service, err error) {
	start := time.Now()
	s := &service{log: log, meta: cfg.Events.MetaFields, grace: cfg.Limits.ShutdownTimeout}
	if s.registry, err = matcher.NewRegistry(cfg.Descriptors.Versions); err != nil {
		return nil, err
	}
	kernel, err := simd.Select(cfg.SIMD)
	if err != nil {
		return nil, err
	}
	s.memory, err = memory.New(memory.Options{
		Registry: s.registry, Kernel: kernel, Workers: cfg.Workers, Cost: cfg.Matchers.Memory.Cost, BytesMax: cfg.Limits.Memory,
		MetaFields: s.meta,
	})
	if err != nil {
		return nil, err
	}
	s.remotes = remote.NewGroup(s.decoder.Load, log)
	points := telemetry.New(versionText(), telemetry.Gauges{
		Rows:    func(o matcher.Origin) int { return s.memory.Stats().Rows[o] },
		Lists:   func() int { return s.memory.Stats().Lists },
		Memory:  func() int64 { return s.memory.Stats().Bytes },
		Workers: func() int { return s.memory.Stats().Workers },
		Remotes: s.remotes.States,
	})
	observers := matcher.Observers{points, &telemetry.Points{Emit: s.emit, Listens: s.listens}, matchLog{log}}
	s.store, err = store.Open(ctx, store.Options{
		Dir: cfg.DataDir, Applier: s.memory, Cache: s.memory, Observer: observers, Warn: log.Warn,
		Check: func() error { return checkVersions(s.memory.Misfits()) },
	})
	if err != nil {
		s.memory.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	s.sweeper = &sweeper{store: s.store, memory: s.memory, retention: cfg.Events.Retention, log: log}
	limits := s.limits(cfg)
	if err = s.configureRemotes(cfg); err != nil {
		return nil, err
	}
	host, err := s.openPlugins(ctx, cfg, points)
	if err != nil {
		return nil, err
	}
	s.plugins.Store(host)
	s.server, err = server.New(server.Options{
		Listen: cfg.Listen, Memory: s.memory, Store: s.store, Plugins: host, Remotes: s.remotes, Observer: observers, Log: log, Metrics: points.WriteText,
		Router: route.New(route.Options{
			Registry: s.registry, Objects: s.memory, Selector: s.memory, Local: s.memory, Remotes: s.remotes, Plugins: host, Observer: observers,
		}),
		Version: server.Version{Major: versionMajor, Minor: versionMinor, Patch: versionPatch},
		Limits:  limits,
	})
	if err != nil {
		return nil, err
	}
	stats := s.memory.Stats()
	log.Info("loaded", "faces", stats.Rows[matcher.Faces], "events", stats.Rows[matcher.Events],
		"attributes", stats.Rows[matcher.Attributes], "lists", stats.Lists, "data_dir", cfg.DataDir,
		"kernel", kernel.Name(), "workers", stats.Workers, "took", time.Since(start).Round(time.Millisecond).String())
	return s, nil
}

// checkVersions refuses to serve objects that could not be matched.
func checkVersions(misfits map[uint32]int) error {
	if len(misfits) == 0 {
		return nil
	}
	var found []string
	for _, v := range slices.Sorted(maps.Keys(misfits)) {
		found = append(found, fmt.Sprintf("%d of version %d", misfits[v], v))
	}
	return fmt.Errorf("descriptors.versions: the data directory has descriptors that no configured version fits: %s; add them as they were when the objects were stored",
		strings.Join(found, ", "))
}

// limits returns what cfg says of them, and makes the decoder with them.
func (s *service) limits(cfg *config.Config) server.Limits {
	l := cfg.Limits
	s.decoder.Store(&wire.Decoder{Registry: s.registry, Now: time.Now, MetaFields: s.meta, Limits: wire.Limits{
		References: l.References, Candidates: l.Candidates, RawCandidates: l.RawCandidates, Result: l.Result, FilterValues: l.FilterValues,
	}})
	return server.Limits{
		Decoder:   s.decoder.Load(),
		BodyBytes: l.BodyBytes, LineBytes: l.LineBytes, HeaderBytes: int(l.HeaderBytes), ConnectionsPerAddress: l.ConnectionsPerAddress, CrossMatch: l.CrossMatch, RequestTimeout: l.RequestTimeout, Config: cfg.Map(),
	}
}

// configureRemotes replaces the remotes; the store refuses what they own.
func (s *service) configureRemotes(cfg *config.Config) error {
	configs := make([]remote.Config, len(cfg.Matchers.Remote))
	for i, r := range cfg.Matchers.Remote {
		configs[i] = remote.Config(r)
	}
	if err := s.remotes.Configure(configs); err != nil {
		return err
	}
	_, owners := s.remotes.Now()
	s.store.SetOwners(owners)
	return nil
}

// reload takes what can change while the service runs. Plugins that cannot be
// loaded leave the running ones as they are.
func (s *service) reload(ctx context.Context, cfg *config.Config) error {
	s.memory.SetBytesMax(cfg.Limits.Memory)
	s.server.Reload(s.limits(cfg))
	if err := s.configureRemotes(cfg); err != nil {
		return err
	}
	host := s.plugins.Load()
	host.Configure(cfg.Plugins.Dir, cfg.Plugins.Active, cfg.Plugins.Settings)
	return host.Reload(ctx)
}

// run serves until ctx ends, then lets the requests under way end and closes
// everything, top down.
func (s *service) run(ctx context.Context, hangups <-chan os.Signal, reload func()) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Run() }()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	watched := s.watchPlugins(watching)
	swept := s.sweeper.start(watching)
	s.log.Info("listening on http://" + s.server.Addr().String())
	s.plugins.Load().Listening()
	var err error
	for running := true; running; {
		select {
		case <-hangups:
			reload()
		case err = <-served:
			running = false
		case <-ctx.Done():
			s.log.Info("stopping", "grace", s.grace.String())
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
			if slow := s.server.Shutdown(grace); slow != nil {
				s.log.Warn("requests were cut at the end of the grace period")
			}
			cancel()
			err = <-served
			running = false
		}
	}
	unwatch()
	<-watched
	<-swept
	err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
	s.log.Info("stopped")
	return err
}

// close ends what there is below the server, top down.
func (s *service) close(ctx context.Context) error {
	var err error
	if host := s.plugins.Load(); host != nil {
		grace, cancel := context.WithTimeout(ctx, s.grace)
		defer cancel()
		err = host.Close(grace)
	}
	if s.remotes != nil {
		s.remotes.Close()
	}
	err = errors.Join(err, s.store.Close())
	s.memory.Close()
	return err
}
