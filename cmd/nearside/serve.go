package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/internal/certs"
	"nearside/internal/config"
	"nearside/internal/server"
	"nearside/internal/task"
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

When it is ready, it logs a line with "listening on http://HOST:PORT" (https with TLS). After SIGTERM, it completes the running requests and stops. After SIGHUP, it reloads the plugins, the limits, the remotes, the keys, the TLS files, the trusted proxies, the audit and the log level.`
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
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before newService listens, so that a signal during a start does not end the process
	defer signal.Stop(hangups)
	svc, err := newService(&cfg, log)
	if err != nil {
		return err
	}
	if loaded, err := svc.start(s.ctx); !loaded {
		return err
	}
	spareProcessor(svc.memory.Stats().Workers)
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
		log.Info("plugins, limits, remotes, keys and log level reloaded", "applied", applied, "needs_restart", restart)
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

// service has all parts of a running server. newService creates those that need no stored
// data, load creates the others.
type service struct {
	log       *slog.Logger
	config    config.Config // the effective configuration
	listen    string        // as configured, maybe with port 0
	restart   []string      // keys that were changed since the start and need a restart
	kernel    *simd.Kernel
	registry  *matcher.Registry
	memory    *memory.Memory
	pressure  *pressure
	remotes   *remote.Group
	certs     *certs.Server
	points    *telemetry.Telemetry
	events    *telemetry.Points // for plugins
	observers matcher.Observers
	server    *server.Server
	served    chan error                   // receives the result of server.Run
	decoder   atomic.Pointer[wire.Decoder] // with the current limits
	meta      []matcher.MetaField          // those of the start
	watch     bool                         // whether changes of plugins reload them
	access    *access.Policy
	audit     *audit.Log

	store     *store.Store // nil until the data is loaded
	sweeper   *sweeper
	tasks     *task.Runner                 // nil until the data is loaded
	snapshots atomic.Pointer[snapshots]    // nil until the data is loaded
	plugins   atomic.Pointer[lua.Host]     // nil until openPlugins has returned
	router    atomic.Pointer[route.Router] // nil until the data and the plugins are loaded

	loading func(done, total uint64) // tests hold a start with it; may be nil
}

// limits returns the limits of the effective configuration, and creates a decoder with
// them.
func (s *service) limits() server.Limits {
	l := s.config.Limits
	s.decoder.Store(&wire.Decoder{Registry: s.registry, Now: time.Now, MetaFields: s.meta, Limits: wire.Limits{
		References: l.References, Candidates: l.Candidates, RawCandidates: l.RawCandidates, Result: l.Result, Offset: l.Offset, FilterValues: l.FilterValues,
		LineBytes: server.LineMax(l.LineBytes, l.BodyBytes),
	}})
	return server.Limits{
		Decoder:   s.decoder.Load(),
		BodyBytes: l.BodyBytes, LineBytes: l.LineBytes, HeaderBytes: int(l.HeaderBytes), ConnectionsPerAddress: l.ConnectionsPerAddress, TrustedProxies: s.config.TrustedProxies, CrossMatch: l.CrossMatch, RequestTimeout: l.RequestTimeout, Config: s.shown(), Access: s.access,
	}
}

// configureRemotes replaces the remotes. The store then refuses writes of the data that
// they own.
func (s *service) configureRemotes(cfg *config.Config) error {
	if err := s.remotes.Configure(remoteConfigs(cfg)); err != nil {
		return err
	}
	_, owners := s.remotes.Current()
	s.store.SetOwners(owners)
	return nil
}

// serve is called after start and runs until ctx ends. Then it waits for the requests in
// progress and closes all parts.
func (s *service) serve(ctx context.Context, hangups <-chan os.Signal, reload func()) error {
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	watched := s.watchPlugins(watching)
	swept := s.sweeper.start(watching)
	scheduled := s.snapshots.Load().start(watching, s.tasks)
	certificates := make(chan struct{})
	go func() {
		defer close(certificates)
		s.certs.Watch(watching)
	}()
	s.log.Info("listening on " + s.scheme() + "://" + s.server.Addr().String())
	s.plugins.Load().ServerReady()
	var err error
	for running := true; running; {
		select {
		case <-hangups:
			reload()
		case err = <-s.served:
			running = false
		case <-ctx.Done():
			s.log.Info("stopping", "grace", s.config.Limits.ShutdownTimeout.String())
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Limits.ShutdownTimeout)
			if timeout := s.server.Shutdown(grace); timeout != nil {
				s.log.Warn("requests were cut at the end of the grace period")
			}
			cancel()
			err = <-s.served
			running = false
		}
	}
	unwatch()
	<-watched
	<-swept
	<-scheduled
	<-certificates
	err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
	s.log.Info("stopped")
	return err
}

// close closes all parts below the server, in the reverse order of their creation.
func (s *service) close(ctx context.Context) error {
	var err error
	if s.tasks != nil {
		s.tasks.Close()
	}
	if host := s.plugins.Load(); host != nil {
		grace, cancel := context.WithTimeout(ctx, s.config.Limits.ShutdownTimeout)
		defer cancel()
		err = host.Close(grace)
	}
	s.remotes.Close()
	err = errors.Join(err, s.audit.Close())
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	s.memory.Close()
	return err
}
