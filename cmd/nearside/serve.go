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
	Listen  *string `help:"Address to listen on; with port 0, a free port is used." placeholder:"HOST:PORT"`
	DataDir *string `help:"Folder of the stored objects." placeholder:"DIR"`
}

// Help is printed below the flags.
func (*serveCmd) Help() string {
	return `Example:

    nearside serve --listen 127.0.0.1:5110 --data-dir data

When it is ready, it logs a line with "listening on http://HOST:PORT". After SIGTERM, it completes the running requests and stops. After SIGHUP, it reloads the plugins, the limits, the remotes and the log level.`
}

// readConfig reads the configuration, at the start or for a reload. It replaces the log
// format auto by the format in use.
func (c *serveCmd) readConfig(s *system) (config.Config, []string, error) {
	flags := map[string]any{}
	if c.Listen != nil {
		flags["listen"] = *c.Listen
	}
	if c.DataDir != nil {
		flags["data_dir"] = *c.DataDir
	}
	cfg, warnings, err := config.Read(c.Config, s.env, flags)
	cfg.Log.Format = logFormat(s.stderr, cfg.Log.Format)
	return cfg, warnings, err
}

// Run reads the configuration and serves until a signal arrives.
func (c *serveCmd) Run(s *system) error {
	cfg, warnings, err := c.readConfig(s)
	if err != nil {
		return err
	}
	log, level := newLogger(s.stderr, cfg.Log)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	problems := runPreflight(s.ctx, &cfg)
	if err := problems.report(log); err != nil {
		return err
	}
	svc, err := openService(s.ctx, &cfg, log)
	if err != nil {
		return err
	}
	spareProcessor(svc.memory.Stats().Workers)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return svc.serve(s.ctx, hangups, func() {
		next, warnings, err := c.readConfig(s)
		for _, warning := range warnings {
			log.Warn(warning)
		}
		if err != nil {
			log.Error("not reloaded: the configuration has faults", "error", err)
			return
		}
		level.Set(next.Log.Level)
		applied, restart, err := svc.reload(s.ctx, &next)
		if err != nil {
			log.Error("only partly reloaded", "applied", applied, "needs_restart", restart, "error", err)
			return
		}
		if len(restart) > 0 {
			log.Warn("changes of the configuration need a restart", "needs_restart", restart)
		}
		log.Info("plugins, limits, remotes and log level reloaded", "applied", applied, "needs_restart", restart)
	})
}

// spareProcessor lets Go run one more goroutine at once than there are workers, unless
// GOMAXPROCS is set. Workers compute and never wait. If they used all processors, Go
// would poll the network only when it preempts a worker, every 10 ms.
func spareProcessor(workers int) {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) <= workers {
		runtime.GOMAXPROCS(workers + 1)
	}
}

// service has all parts of a running server, in the order in which they are created.
type service struct {
	log      *slog.Logger
	config   config.Config // the effective configuration
	listen   string        // as configured, maybe with port 0
	restart  []string      // keys that were changed since the start and need a restart
	kernel   *simd.Kernel
	registry *matcher.Registry
	memory   *memory.Memory
	pressure *pressure
	store    *store.Store
	plugins  atomic.Pointer[lua.Host] // nil until openPlugins has returned
	remotes  *remote.Group
	server   *server.Server
	sweeper  *sweeper
	decoder  atomic.Pointer[wire.Decoder] // with the current limits
	meta     []matcher.MetaField          // those of the start
	watch    bool                         // whether changes of plugins reload them
}

// openService creates all parts of the service and loads the stored data.
func openService(ctx context.Context, cfg *config.Config, log *slog.Logger) (svc *service, err error) {
	start := time.Now()
	s := &service{log: log, meta: cfg.Events.MetaFields, config: *cfg, listen: cfg.Listen}
	if s.registry, err = matcher.NewRegistry(cfg.Descriptors.Versions); err != nil {
		return nil, err
	}
	kernel, err := simd.Select(cfg.SIMD)
	if err != nil {
		return nil, err
	}
	s.pressure = newPressure(log)
	s.memory, err = memory.New(memory.Options{
		Registry: s.registry, Kernel: kernel, Workers: cfg.Workers, Cost: cfg.Matchers.Memory.Cost, BytesMax: cfg.Limits.Memory,
		MetaFields: s.meta, Refuse: s.pressure.refuseWrite, Tight: s.pressure.isTight,
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
		Queue:   func() int { return s.memory.Stats().Queue },
		Process: s.pressure.figures,
		Remotes: s.remotes.States,
	})
	observers := matcher.Observers{points, &telemetry.Points{Emit: s.emit, Listens: s.listens}, matchLog{log}}
	s.store, err = store.Open(ctx, store.Options{
		Dir: cfg.DataDir, Applier: s.memory, Cache: s.memory, Observer: observers, Warn: log.Warn,
		Progress: startProgress(log, time.Now),
		Verified: logVerified(log),
		Check:    func() error { return checkVersions(s.memory.Misfits()) },
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
	s.pressure.configure(cfg.Limits.ProcessMemory) // after loading, because stored data is loaded even above the limit
	s.sweeper = &sweeper{store: s.store, memory: s.memory, retention: cfg.Events.Retention, log: log}
	s.kernel = kernel
	limits := s.limits()
	if err = s.configureRemotes(cfg); err != nil {
		return nil, err
	}
	host, err := s.openPlugins(ctx, cfg, points)
	if err != nil {
		return nil, err
	}
	s.plugins.Store(host)
	s.server, err = server.New(server.Options{
		RefuseMatch: s.pressure.refuseMatch, RefuseWrite: s.pressure.refuseWrite,
		Listen: cfg.Listen, Memory: s.memory, Store: s.store, Plugins: host, Remotes: s.remotes, Observer: observers, Log: log, Metrics: points.WriteText,
		Router: route.New(route.Options{
			Registry: s.registry, Moments: s.memory, Local: s.memory, Remotes: s.remotes, Plugins: host, Observer: observers,
		}),
		Version: server.Version{Major: versionMajor, Minor: versionMinor, Patch: versionPatch},
		Limits:  limits,
	})
	if err != nil {
		return nil, err
	}
	s.config.Listen = s.server.Addr().String() // with the real port
	s.server.Reload(s.limits())
	s.logLoaded(time.Since(start))
	return s, nil
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

// limits returns the limits of the effective configuration, and creates a decoder with
// them.
func (s *service) limits() server.Limits {
	l := s.config.Limits
	s.decoder.Store(&wire.Decoder{Registry: s.registry, Now: time.Now, MetaFields: s.meta, Limits: wire.Limits{
		References: l.References, Candidates: l.Candidates, RawCandidates: l.RawCandidates, Result: l.Result, FilterValues: l.FilterValues,
		LineBytes: server.LineMax(l.LineBytes, l.BodyBytes),
	}})
	return server.Limits{
		Decoder:   s.decoder.Load(),
		BodyBytes: l.BodyBytes, LineBytes: l.LineBytes, HeaderBytes: int(l.HeaderBytes), ConnectionsPerAddress: l.ConnectionsPerAddress, CrossMatch: l.CrossMatch, RequestTimeout: l.RequestTimeout, Config: s.shown(),
	}
}

// configureRemotes replaces the remotes. The store then refuses writes of the data that
// they own.
func (s *service) configureRemotes(cfg *config.Config) error {
	configs := make([]remote.Config, len(cfg.Matchers.Remote))
	for i, r := range cfg.Matchers.Remote {
		configs[i] = remote.Config(r)
	}
	if err := s.remotes.Configure(configs); err != nil {
		return err
	}
	_, owners := s.remotes.Current()
	s.store.SetOwners(owners)
	return nil
}

// serve serves until ctx ends. Then it waits for the requests in progress and closes
// all parts.
func (s *service) serve(ctx context.Context, hangups <-chan os.Signal, reload func()) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Run() }()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	watched := s.watchPlugins(watching)
	swept := s.sweeper.start(watching)
	s.log.Info("listening on http://" + s.server.Addr().String())
	s.plugins.Load().ServerReady()
	var err error
	for running := true; running; {
		select {
		case <-hangups:
			reload()
		case err = <-served:
			running = false
		case <-ctx.Done():
			s.log.Info("stopping", "grace", s.config.Limits.ShutdownTimeout.String())
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Limits.ShutdownTimeout)
			if timeout := s.server.Shutdown(grace); timeout != nil {
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

// close closes all parts below the server, in the reverse order of their creation.
func (s *service) close(ctx context.Context) error {
	var err error
	if host := s.plugins.Load(); host != nil {
		grace, cancel := context.WithTimeout(ctx, s.config.Limits.ShutdownTimeout)
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
