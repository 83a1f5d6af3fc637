package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// A generation is the set of plugins that one Reload has made. It is
// immutable once it is published, but for what its plugins hold.
type generation struct {
	plugins   []*plugin // by name
	matchers  []*plugin // those with a match, by name
	narrowers []*plugin // those with a prefilter, by order, then name
	listeners map[string][]*plugin
	cancel    context.CancelFunc
	sources   *sources
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
	g := &generation{listeners: map[string][]*plugin{}, cancel: cancel, sources: found}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.end(context.WithoutCancel(ctx)))
			cancel()
		}
	}()
	for _, name := range activeNames(h.o.Active) {
		p, err := h.open(ctx, life, found, name)
		if p != nil {
			g.plugins = append(g.plugins, p)
		}
		if err != nil {
			return nil, err
		}
	}
	g.sortMatching()
	for _, p := range g.plugins {
		if p.queue == nil {
			continue
		}
		for _, name := range p.eventNames {
			g.listeners[name] = append(g.listeners[name], p)
		}
	}
	return g, nil
}

// activeNames removes ".lua" and twins.
func activeNames(active []string) []string {
	var names []string
	for _, name := range active {
		if name = strings.TrimSuffix(name, ".lua"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// open loads, checks and initialises one plugin. What it returns beside an
// error has to be closed.
func (h *Host) open(ctx, life context.Context, found *sources, name string) (*plugin, error) {
	p, err := h.read(ctx, life, found, name)
	if err != nil {
		return p, err
	}
	if err := p.prepare(ctx, life); err != nil {
		return p, p.fault(err)
	}
	return p, nil
}

// read loads and checks one plugin: all but its initialisation.
func (h *Host) read(ctx, life context.Context, found *sources, name string) (*plugin, error) {
	src, hides, err := found.find(name)
	if err != nil {
		return nil, err
	}
	if hides {
		h.o.Log.Info("plugins: a file takes the place of the shipped plugin", slog.String("plugin", name), slog.String("file", src.shown(src.main)))
	}
	script, err := src.compile()
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", name, err) // names file and line itself
	}
	p := &plugin{
		shape: shape{name: name}, host: h, source: src, script: script, kv: h.store(name),
		log: h.o.Log.With(slog.String("plugin", name)),
	}
	first, value, err := p.instantiate(ctx, life)
	p.spare.Store(first)
	if err != nil {
		return p, fmt.Errorf("plugin %s: %w", name, err)
	}
	if p.shape, err = parseShape(name, value); err != nil {
		return p, p.located(err)
	}
	p.account.SetLimit(p.memory)
	settings, ok := h.o.Settings[name].(map[string]any)
	if p.schema != nil {
		if _, _, err := compileSchema(p.schema); err != nil {
			return p, p.located(err)
		}
	}
	if !ok && h.o.Settings[name] != nil {
		return p, fmt.Errorf("plugins.settings.%s: is not a table", name)
	}
	if p.settings, err = applySchema(p.schema, settings); err != nil && (settings != nil || !h.o.anySettings) {
		return p, fmt.Errorf("plugins.settings.%s: %w", name, err)
	}
	return p, nil
}

// close lets calls in progress end, waits for queued events, calls the close
// hooks, and ends the generation.
func (g *generation) close(ctx context.Context, reason string) error {
	if g.cancel == nil {
		return nil // the one before the first
	}
	var work sync.WaitGroup
	for _, p := range g.plugins {
		work.Go(func() { p.drain(ctx, reason) })
	}
	work.Wait()
	return g.end(ctx)
}

// end kills what still runs and waits for it.
func (g *generation) end(ctx context.Context) error {
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
