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
)

// A generation is the set of plugins that one Reload has made. It is
// immutable once it is published, but for what its plugins hold.
type generation struct {
	plugins   []*plugin // by name
	started   []*plugin // in the order of plugins.active, in which they were started
	matchers  []*plugin // those with a match, by name
	narrowers []*plugin // those with a prefilter, by order, then name
	listeners map[string][]*plugin
	life      context.Context // ends with the generation
	cancel    context.CancelFunc
	sources   *sources

	retries     *sync.WaitGroup // attempts to start plugins that are not required
	retrying    context.Context // ends them
	stopRetries context.CancelFunc
}

// load makes a whole generation, initialised and not yet running. On an error
// nothing of it is left.
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
	slices.SortFunc(g.plugins, func(a, b *plugin) int { return strings.Compare(a.name, b.name) })
	g.index()
	return g, nil
}

// index finds what each plugin is for.
func (g *generation) index() {
	g.matchers, g.narrowers, g.listeners = nil, nil, map[string][]*plugin{}
	for _, p := range g.plugins {
		if p.hooks["match"] {
			g.matchers = append(g.matchers, p)
		}
		if p.hooks["prefilter"] {
			g.narrowers = append(g.narrowers, p)
		}
		if p.queue == nil {
			continue
		}
		for _, name := range p.eventNames {
			g.listeners[name] = append(g.listeners[name], p)
		}
	}
	slices.SortStableFunc(g.narrowers, func(a, b *plugin) int { return cmp.Compare(a.matching.order, b.matching.order) })
}

// activeNames removes ".lua" and names that come twice; the order stays.
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

// open loads, checks and initialises one plugin. What it returns beside an
// error has to be closed.
func (h *Host) open(ctx, life context.Context, found *sources, name string) (*plugin, error) {
	p, err := h.read(ctx, life, found, name)
	if err != nil {
		return p, err
	}
	if err := p.checkFiles(); err != nil { // it may still run well: the lines may never be reached
		h.o.Log.Warn("plugins: check finds faults", slog.String("plugin", name), slog.String("error", err.Error()))
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

// read loads and checks one plugin: all but its initialisation.
func (h *Host) read(ctx, life context.Context, found *sources, name string) (*plugin, error) {
	src, hides, err := found.find(name)
	if err != nil && !h.o.reading && h.o.trial == nil {
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
		return nil, fmt.Errorf("plugin %s: %w", name, err) // names file and line itself
	}
	p := &plugin{
		gate:  gate{host: h},
		shape: shape{name: name}, host: h, source: src, script: script, kv: h.store(name), lasting: h.lastingOf(name), live: newFlight(h),
		log: h.o.Log.With(slog.String("plugin", name)),
	}
	first, value, err := p.instantiate(ctx, life)
	p.spare.Store(first)
	if err != nil {
		return p, fmt.Errorf("plugin %s: %w", name, err)
	}
	inherited, err := first.state.Inherited(ctx, defaultLimits()["initialize"], first.table, contractNames)
	if err != nil {
		return p, fmt.Errorf("plugin %s: reading its table: %w", name, err)
	}
	if p.shape, err = parseShape(name, value, inherited); err != nil {
		return p, p.located(err)
	}
	p.account.SetLimit(p.memory)
	settings, ok := h.o.Settings[name].(map[string]any)
	if p.compiled, err = compileSchema(p.schema); err != nil {
		return p, p.located(err)
	}
	if !ok && h.o.Settings[name] != nil {
		return p, fmt.Errorf("plugins.settings.%s: is not a table", name)
	}
	if p.settings, err = p.compiled.apply(settings); err != nil && (!h.o.reading || settings != nil || h.active(name)) {
		return p, fmt.Errorf("plugins.settings.%s: %w", name, err)
	}
	return p, nil
}

// begin lets the plugins of the published generation do what waits for the
// server.
func (g *generation) begin() {
	for _, p := range g.plugins {
		p.ready.begin()
	}
}

// close lets calls in progress end, waits for queued events, calls the close
// hooks, and ends the generation.
// golive lets the consumers of a generation take their first messages.
func (g *generation) golive() {
	for _, p := range g.started {
		p.live.end()
	}
}

// close brings all plugins to rest at the same time, calls their close hooks
// in the reverse order of their start, and ends the generation.
func (g *generation) close(ctx context.Context, reason string) error {
	if g.cancel == nil {
		return nil // the one before the first
	}
	g.stopRetries()
	g.retries.Wait()
	quiet, cancel := firstPart(ctx)
	defer cancel()
	var work []func()
	for _, p := range g.plugins {
		work = append(work, func() { p.quiesce(quiet, reason) })
	}
	if len(g.plugins) > 0 {
		g.plugins[0].host.together(work)
	}
	for _, p := range slices.Backward(g.started) {
		p.finish(ctx, reason)
	}
	return g.end(ctx)
}

// firstPart is a context that ends after two thirds of the time that ctx has
// left, so that the close hooks have some, too.
func firstPart(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/3))
}

// end kills what still runs and waits for it.
func (g *generation) end(ctx context.Context) error {
	g.stopRetries()
	g.cancel()
	var faults []error
	for _, p := range g.plugins {
		faults = append(faults, p.close(ctx))
	}
	return errors.Join(append(faults, g.sources.close())...)
}

// find returns the plugin of that name.
func (g *generation) find(name string) *plugin {
	i, ok := slices.BinarySearchFunc(g.plugins, name, func(p *plugin, name string) int { return strings.Compare(p.name, name) })
	if !ok {
		return nil
	}
	return g.plugins[i]
}
