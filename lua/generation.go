package lua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"nearside/lua/ns"
	"nearside/lua/ns/peer"
)

// A generation is the set of plugins that one Reload has loaded. It is immutable after it
// is published, but the state of its plugins still changes.
type generation struct {
	plugins   []*plugin            // by name
	started   []*plugin            // in the order in which they were started, which is that of plugins.active
	matches   bool                 // whether a plugin is of kind matching
	matchers  []*plugin            // plugins with a match hook, by name
	hooked    map[string][]*plugin // plugins with a hook of orderedHooks, by hook; each list is sorted by order, then name
	listeners map[string][]*plugin // plugins with a queue, by event
	life      context.Context      // ends with the generation
	cancel    context.CancelFunc
	sources   *sources

	retries     *sync.WaitGroup // attempts to start plugins that are not required
	retrying    context.Context // ends these attempts
	stopRetries context.CancelFunc
}

// load returns a new generation that is initialised but not running yet. After an
// error, it has closed everything that it opened.
func (h *Host) load(ctx context.Context) (_ *generation, err error) {
	found, err := openSources(h.o.Dir, h.o.Shipped)
	if err != nil {
		return nil, err
	}
	// A generation outlives the request that asked for it.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g := &generation{life: life, cancel: cancel, sources: found, retries: &sync.WaitGroup{}}
	g.retrying, g.stopRetries = context.WithCancel(life)
	defer func() {
		if err != nil {
			err = errors.Join(err, g.end(context.WithoutCancel(ctx)))
			cancel()
		}
	}()
	for _, name := range activeNames(h.o.Active) {
		p, err := h.open(ctx, life, found, name)
		if p != nil {
			g.plugins, g.started = append(g.plugins, p), append(g.started, p)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.plugins, func(a, b *plugin) int { return strings.Compare(a.Name, b.Name) })
	g.index()
	return g, nil
}

// orderedHooks are the hooks that run for each plugin that has them, one after the other.
var orderedHooks = []string{"request", "prefilter", "results"}

// index fills matchers, hooked and listeners from plugins.
func (g *generation) index() {
	g.matches, g.matchers, g.hooked, g.listeners = false, nil, map[string][]*plugin{}, map[string][]*plugin{}
	for _, p := range g.plugins {
		g.matches = g.matches || p.is(Matching)
		if p.hooks["match"] {
			g.matchers = append(g.matchers, p)
		}
		for _, hook := range orderedHooks {
			if p.hooks[hook] {
				g.hooked[hook] = append(g.hooked[hook], p)
			}
		}
		if p.queue == nil {
			continue
		}
		for _, name := range p.eventNames {
			g.listeners[name] = append(g.listeners[name], p)
		}
	}
	for _, all := range g.hooked {
		slices.SortStableFunc(all, func(a, b *plugin) int { return cmp.Compare(a.matching.order, b.matching.order) })
	}
}

// activeNames removes the suffix ".lua" and duplicates, and keeps the order.
func activeNames(active []string) []string {
	var names []string
	for _, name := range active {
		if name = strings.TrimSuffix(name, ".lua"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// active reports whether the configuration names a plugin.
func (h *Host) active(name string) bool { return slices.Contains(activeNames(h.o.Active), name) }

// open loads, checks and initialises one plugin. The caller must close the plugin even
// if there is an error.
func (h *Host) open(ctx, life context.Context, found *sources, name string) (*plugin, error) {
	p, err := h.read(ctx, life, found, name)
	if err != nil {
		return p, err
	}
	if err := p.checkFiles(); err != nil { // not fatal, because the faulty lines may never run
		h.o.Log.Warn("plugins: a plugin has faults that did not prevent its start", slog.String("plugin", name), slog.String("error", err.Error()))
	}
	p.reason = "reload"
	if h.reloads == 0 {
		p.reason = "start"
	}
	err = p.prepare(ctx, life)
	switch {
	case err == nil:
		return p, nil
	case p.required || ctx.Err() != nil:
		return p, p.fault(err)
	}
	return p.degrade(ctx, err)
}

// read loads and checks one plugin but does not initialise it.
func (h *Host) read(ctx, life context.Context, found *sources, name string) (*plugin, error) {
	src, hides, err := found.find(name)
	if err != nil && !h.o.checking {
		err = fmt.Errorf("plugins.active: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if hides {
		h.o.Log.Info("plugins: a file takes the place of the shipped plugin", slog.String("plugin", name), slog.String("file", src.shown(src.main)))
	}
	script, err := src.compile(src.main)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", name, err) // err already names file and line
	}
	p := &plugin{
		gate:  gate{host: h},
		shape: shape{Declared: ns.Declared{Name: name}}, host: h, source: src, script: script,
		Plugin: ns.Plugin{
			Host: &h.Host, About: ns.Declared{Name: name}, KV: h.kvOf(name), Lasting: h.lastingOf(name), BeforeLive: peer.NewFlight(h.o.Doubles.Counter),
			Log: h.logOf(name),
		},
	}
	first, value, err := p.instantiate(ctx, life)
	p.spare.Store(first)
	if err != nil {
		return p, fmt.Errorf("plugin %s: %w", name, err)
	}
	inherited, err := first.State.Inherited(ctx, defaultLimits()["initialize"], first.table, contractNames)
	if err != nil {
		return p, fmt.Errorf("plugin %s: reading its table: %w", name, err)
	}
	if p.shape, err = parseShape(name, value, inherited); err != nil {
		return p, p.located(err)
	}
	if o := h.o.Override[name]; o != nil {
		if err := p.override(o); err != nil {
			return p, err
		}
	}
	p.About = p.Declared
	p.account.SetLimit(p.memory)
	if p.persistKV && !h.o.checking {
		if err := p.KV.Persist(ctx, &h.Host, name, p.Log); err != nil {
			return p, p.located(err)
		}
	}
	settings, ok := h.o.Settings[name].(map[string]any)
	if p.compiled, err = compileSchema(p.schema); err != nil {
		return p, p.located(err)
	}
	if !ok && h.o.Settings[name] != nil {
		return p, fmt.Errorf("plugins.settings.%s: is not a table", name)
	}
	if p.Settings, err = p.compiled.apply(settings); err != nil && (!h.o.checking || settings != nil || h.active(name)) {
		faults := []error{p.compiled.badDefaults()} // the cause may be a wrong default
		if faults[0] != nil {
			faults[0] = p.located(faults[0])
		}
		for _, fault := range faultLines(err) {
			faults = append(faults, fmt.Errorf("plugins.settings.%s: %w", name, fault))
		}
		return p, errors.Join(faults...)
	}
	return p, nil
}

// runReady runs the functions that plugins have passed to ns.ready.
func (g *generation) runReady() {
	for _, p := range g.plugins {
		p.Ready.Begin()
	}
}

// goLive lets the consumers of the generation start to receive messages.
func (g *generation) goLive() {
	for _, p := range g.started {
		p.BeforeLive.End()
	}
}

// close stops the work of all plugins in parallel, calls their close hooks in the
// reverse order of their start, and ends the generation.
func (g *generation) close(ctx context.Context, reason string) error {
	if g.cancel == nil {
		return nil // the empty generation before the first load
	}
	g.stopRetries()
	g.retries.Wait()
	quiesceTime, cancel := firstPart(ctx)
	defer cancel()
	var work []func()
	for _, p := range g.plugins {
		work = append(work, func() { p.quiesce(quiesceTime, reason) })
	}
	if len(g.plugins) > 0 {
		g.plugins[0].host.Together(work)
	}
	for _, p := range slices.Backward(g.started) {
		p.callClose(ctx, reason)
	}
	return g.end(ctx)
}

// firstPart returns a context that ends after two thirds of the remaining time of
// ctx. The last third is for the close hooks.
func firstPart(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/3))
}

// end kills the calls that still run and waits until they have ended.
func (g *generation) end(ctx context.Context) error {
	g.stopRetries()
	g.cancel()
	var faults []error
	for _, p := range g.plugins {
		faults = append(faults, p.close(ctx))
	}
	return errors.Join(append(faults, g.sources.close())...)
}

// find returns the plugin of that name, or nil.
func (g *generation) find(name string) *plugin {
	i, ok := slices.BinarySearchFunc(g.plugins, name, func(p *plugin, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return nil
	}
	return g.plugins[i]
}
