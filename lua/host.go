package lua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Options configures a Host.
type Options struct {
	Dir      string         // of plugins; may be missing
	Shipped  fs.FS          // plugins of the binary; nil: none
	Active   []string       // names, with or without ".lua"
	Settings map[string]any // by plugin: plugins.settings
	Log      *slog.Logger   // what plugins log and what the host has to say; nil: nowhere
	Services Services

	Clock        Clock         // nil: the machine's
	EventQueue   int           // points that wait per plugin; 0: 16,384
	EventBatch   int           // points per handle_event; 0: 256
	MatchStates  int           // states of each matching plugin; 0: 4
	Recycle      uint64        // uses after which a matching state is replaced; 0: 100,000
	BreakerLimit int           // failures in a row that open a breaker; 0: 5
	BreakerPause time.Duration // for which it stays open; 0: 10 s

	trial   *trial // nil but in tests of plugins
	reading bool   // plugins are checked, not run: those that are not active need no settings
}

// Services are what modules reach outside this package. A nil one makes its
// module fail with a text that says so; without Metrics, figures are counted
// nowhere.
type Services struct {
	Matching  Local            // for plugins of kind matching
	Metrics   Meter            // ns.metrics
	Resources func() Resources // ns.resource; called by any goroutine

	Store   Writer               // ns.store, with the two that follow
	Objects Reader               // sees what Store has written
	Decoder func() *wire.Decoder // with the limits of now; called by any goroutine
}

// Local is the local matcher: it makes the sets of matching plugins, scans
// them, and checks the rows that plugins give.
type Local interface {
	matcher.Matcher
	matcher.Selector
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	set := func(v *int, other int) {
		if *v <= 0 {
			*v = other
		}
	}
	set(&o.EventQueue, 16384)
	set(&o.EventBatch, 256)
	set(&o.MatchStates, 4)
	set(&o.BreakerLimit, 5)
	if o.Recycle == 0 {
		o.Recycle = 100_000
	}
	if o.BreakerPause <= 0 {
		o.BreakerPause = 10 * time.Second
	}
	return o
}

// A Host runs the active plugins.
type Host struct {
	o       Options
	clock   Clock
	started time.Time
	current atomic.Pointer[generation]

	listening atomic.Bool              // whether the server does
	loaded    atomic.Pointer[snapshot] // the files of the running generation
	held      redisHeld                // entries of streams in the hands of readers

	mu      sync.Mutex // of Reload and Close, and of what follows
	closed  bool
	kv      map[string]*kvStore // by plugin; kept over reloads
	lasting map[string]*lasting // by plugin; kept over reloads
	reloads uint64
}

// New loads and starts the active plugins. Its error names the file, the line
// and the reason. Close ends the Host.
func New(ctx context.Context, o Options) (*Host, error) {
	o = o.withDefaults()
	h := &Host{o: o, clock: o.Clock, started: o.Clock.Now(), kv: map[string]*kvStore{}}
	h.current.Store(&generation{})
	h.loaded.Store(&snapshot{})
	if err := h.Reload(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// errClosed is returned by a Host after Close.
var errClosed = errors.New("plugins: the host is closed")

// Reload reads all files again and replaces the running generation by a new
// one. When anything of the new one fails, the running one stays. The old one
// is closed before Reload returns; ctx bounds how long its calls are waited
// for.
func (h *Host) Reload(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosed
	}
	files := snapshotOf(h.o.Dir) // before they are read: a later change is noticed
	next, err := h.load(ctx)
	if err != nil {
		return err
	}
	h.loaded.Store(&files)
	old := h.current.Swap(next)
	next.golive()
	h.reloads++
	next.inherit(old)
	h.retry(next)
	if h.listening.Load() {
		next.begin()
	}
	if err := old.close(ctx, "reload"); err != nil {
		h.o.Log.Warn("plugins: the old generation", slog.String("error", err.Error()))
	}
	return nil
}

// Listening says that the server listens: what plugins have given to ns.ready
// runs now, and after later reloads at once.
func (h *Host) Listening() {
	h.listening.Store(true)
	h.current.Load().begin()
}

// Configure replaces the folder of plugins, the names of those that are active
// and their settings, for the next Reload.
func (h *Host) Configure(dir string, active []string, settings map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.o.Dir, h.o.Active, h.o.Settings = dir, active, settings
}

// Close ends all plugins. ctx bounds how long their calls and close hooks are
// waited for. Call it after the server has stopped: requests that still run
// get errors from closed plugins.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	if err := h.current.Swap(&generation{}).close(ctx, "shutdown"); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	return nil
}

// Emit hands an event of that name to the plugins that ask for it. It returns
// at once; each of them calls value later, which makes it of what
// vm.Call.Return takes, or a json.RawMessage.
func (h *Host) Emit(name string, value func() any) {
	value = decoded(value)
	for _, p := range h.current.Load().listeners[name] {
		p.queue.push(point{name, value})
	}
}

// Listens reports whether any plugin takes events of that name: making one
// for nobody can be saved.
func (h *Host) Listens(name string) bool { return len(h.current.Load().listeners[name]) > 0 }

// lasting are counters that all generations of a plugin share.
type lasting struct {
	dropped  atomic.Uint64 // values of batches
	rejected atomic.Uint64 // requests, by ns.reject
}

func (h *Host) lastingOf(name string) *lasting {
	if h.lasting == nil {
		h.lasting = map[string]*lasting{}
	}
	if h.lasting[name] == nil {
		h.lasting[name] = &lasting{}
	}
	return h.lasting[name]
}

// store returns the key-value store of a plugin.
func (h *Host) store(name string) *kvStore {
	s := h.kv[name]
	if s == nil {
		s = newKV(h.clock.Now)
		h.kv[name] = s
	}
	return s
}
