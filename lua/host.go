package lua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/matcher"
)

// Options configures a Host.
type Options struct {
	Dir      string               // the folder of plugins; it may not exist
	Shipped  fs.FS                // the plugins in the binary; nil: there are no such plugins
	Active   []string             // names, with or without ".lua"
	Settings map[string]any       // plugins.settings, by plugin
	Override map[string]*Override // plugins.override, by plugin
	Log      *slog.Logger         // for messages of plugins and of the host; nil: they are discarded
	Services ns.Services

	Clock        ns.Clock      // nil: the system clock
	EventQueue   int           // the maximum number of queued points per plugin; 0: 16,384
	EventBatch   int           // the maximum number of points per handle_event; 0: 256
	MatchStates  int           // the number of states of each matching plugin; 0: 4
	Recycle      uint64        // uses after which a matching state is replaced; 0: 100,000
	BreakerLimit int           // consecutive failures that open a breaker; 0: 5
	BreakerPause time.Duration // how long a breaker stays open; 0: 10 s

	Doubles    ns.Doubles          // test doubles, for tests of plugins
	MetaFields []matcher.MetaField // of the events of tests of plugins; a host does not use them

	checking bool // plugins are only checked; plugins that are not active need no settings
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = peer.SystemClock{}
	}
	set := func(v *int, fallback int) {
		if *v <= 0 {
			*v = fallback
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
	ns.Host
	o       Options
	current atomic.Pointer[generation]

	listening atomic.Bool              // whether the server listens
	loaded    atomic.Pointer[snapshot] // the files of the running generation

	mu      sync.Mutex // serialises Reload and Close, and protects the fields below
	closed  bool
	kv      map[string]*ns.KV      // by plugin; survives reloads
	lasting map[string]*ns.Lasting // by plugin; survives reloads
	reloads uint64
}

// New loads and starts the active plugins. Its error names the file, the line and the
// reason. The caller must call Close.
func New(ctx context.Context, o Options) (*Host, error) {
	o = o.withDefaults()
	h := newHost(o)
	h.current.Store(&generation{})
	h.loaded.Store(&snapshot{})
	if err := h.Reload(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// newHost returns a Host without plugins.
func newHost(o Options) *Host {
	return &Host{
		Host: ns.Host{Clock: o.Clock, Started: o.Clock.Now(), Services: o.Services, Doubles: o.Doubles},
		o:    o, kv: map[string]*ns.KV{},
	}
}

// errClosed is returned by a Host after Close.
var errClosed = errors.New("plugins: the host is closed")

// Reload reads all files again and replaces the running generation with a new one.
// If the new generation cannot be loaded, the running one stays. Reload closes the
// old generation before it returns; ctx limits how long it waits for calls of the
// old generation.
func (h *Host) Reload(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reload(ctx)
}

// reload is Reload for a caller that holds mu.
func (h *Host) reload(ctx context.Context) error {
	if h.closed {
		return errClosed
	}
	files := snapshotOf(h.o.Dir) // before the files are read, so that a later change is noticed
	next, err := h.load(ctx)
	if err != nil {
		h.stopPersisting(ctx)
		return err
	}
	h.loaded.Store(&files)
	release := next.holdOrdered(h.current.Load())
	defer release()
	old := h.current.Swap(next)
	next.goLive()
	h.reloads++
	next.inherit(old)
	h.retryDegraded(next)
	if h.listening.Load() {
		next.runReady()
	}
	if err := old.close(ctx, "reload"); err != nil {
		h.o.Log.Warn("plugins: the old generation did not end cleanly", slog.String("error", err.Error()))
	}
	h.stopPersisting(ctx)
	return nil
}

// stopPersisting stops to keep the values of plugins that are not active, or do not ask for
// it. It logs changes that cannot be written.
func (h *Host) stopPersisting(ctx context.Context) {
	g := h.current.Load()
	for name, kv := range h.kv {
		if p := g.find(name); p != nil && p.persistKV {
			continue
		}
		if err := kv.StopPersisting(ctx); err != nil {
			h.o.Log.Error("plugins: values of ns.kv are lost", slog.String("error", err.Error()))
		}
	}
}

// ServerReady must be called when the server listens. It runs the functions that plugins
// have passed to ns.ready. After later reloads, such functions run at once.
func (h *Host) ServerReady() {
	h.listening.Store(true)
	h.current.Load().runReady()
}

// Reconfigure sets the folder of plugins, the names of the active ones, their settings and
// their overrides, and reloads. If the reload fails, the old configuration stays in effect,
// for later reloads too.
func (h *Host) Reconfigure(ctx context.Context, dir string, active []string, settings map[string]any, override map[string]*Override) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.o
	h.o.Dir, h.o.Active, h.o.Settings, h.o.Override = dir, active, settings, override
	err := h.reload(ctx)
	if err != nil {
		h.o = old
	}
	return err
}

// Close ends all plugins. ctx limits how long it waits for their calls and close
// hooks. Call it after the server has stopped, because requests that still run get
// errors from closed plugins.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	err := h.current.Swap(&generation{}).close(ctx, "shutdown")
	h.stopPersisting(ctx)
	if err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	return nil
}

// Emit queues an event of that name for the plugins that listen to it, and returns at
// once. value is called later, once for each of these plugins. It returns a value that
// vm.Call.Return accepts, or a json.RawMessage.
func (h *Host) Emit(name string, value func() any) { h.EmitFrom(name, "", value) }

// EmitFrom is Emit for an event with a cause. If a plugin has caused the event, it receives
// the event only if it has set own_events, and for all plugins the value, a table, gets the
// field origin.
func (h *Host) EmitFrom(name string, cause matcher.Cause, value func() any) {
	for _, p := range h.current.Load().listeners[name] {
		if made, ok := p.pointOf(name, cause, value); ok {
			h.pushTo(p, name, made)
		}
	}
}

// pushTo adds a point to the queue of a plugin. If a reload has ended the queue meanwhile, the
// point goes to the plugin's successor. Without a successor, it is counted as lost.
func (h *Host) pushTo(p *plugin, name string, made point) {
	for !p.queue.push(made) {
		listeners := h.current.Load().listeners[name]
		i := slices.IndexFunc(listeners, func(next *plugin) bool { return next.Name == p.Name })
		if i < 0 || listeners[i] == p {
			p.queue.countLost(1)
			return
		}
		p = listeners[i]
	}
}

// pointOf returns the point that the plugin receives for an event, and whether it receives
// the event.
func (p *plugin) pointOf(name string, cause matcher.Cause, value func() any) (point, bool) {
	by := cause.Plugin()
	if by == "" {
		return point{name, value}, true
	}
	return point{name, func() any { return withOrigin(value(), cause) }}, by != p.Name || p.ownEvents
}

// withOrigin returns the value of an event with its cause.
func withOrigin(value any, cause matcher.Cause) any {
	v := goval.Decoded(value)
	if fields, ok := v.(map[string]any); ok {
		fields["origin"] = string(cause)
	}
	return v
}

// Listens reports whether any plugin listens to events of that name. If not, the
// caller need not create the event.
func (h *Host) Listens(name string) bool { return len(h.current.Load().listeners[name]) > 0 }

// lastingOf returns the counters of a plugin that survive reloads.
func (h *Host) lastingOf(name string) *ns.Lasting {
	if h.lasting == nil {
		h.lasting = map[string]*ns.Lasting{}
	}
	if h.lasting[name] == nil {
		h.lasting[name] = &ns.Lasting{}
	}
	return h.lasting[name]
}

// kvOf returns the key-value store of a plugin.
func (h *Host) kvOf(name string) *ns.KV {
	s := h.kv[name]
	if s == nil {
		s = ns.NewKV(h.Clock.Now)
		h.kv[name] = s
	}
	return s
}
