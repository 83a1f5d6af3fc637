package lua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"nearside/lua/vm"
	"nearside/matcher"
)

// A Lease holds the matching plugins of one generation for a request: they
// are not closed before Release. What req and set are in the calls is the
// caller's affair; a vm.Object of a class of the library gives them methods.
type Lease struct{ Plugins []*MatchPlugin } // by order, then name

// A MatchPlugin is the matching side of a plugin.
type MatchPlugin struct{ p *plugin }

// Lease returns the current matching plugins. The caller calls Release.
func (h *Host) Lease() *Lease {
	for {
		g := h.current.Load()
		l, ok := g.lease()
		if ok || g == h.current.Load() {
			return l // of a host that is being closed: without those that are
		}
		l.Release() // a new generation has taken over
	}
}

// lease enters all matching plugins; ok is false when one is being closed.
func (g *generation) lease() (l *Lease, ok bool) {
	l, ok = &Lease{}, true
	for _, p := range g.matching {
		if !p.gate.enter() {
			ok = false
			continue
		}
		l.Plugins = append(l.Plugins, &MatchPlugin{p})
	}
	return l, ok
}

// Release ends the lease.
func (l *Lease) Release() {
	for _, m := range l.Plugins {
		m.p.gate.leave()
	}
	l.Plugins = nil
}

// byOrder is the order in which prefilters run.
func byOrder(a, b *plugin) int {
	return cmp.Or(cmp.Compare(a.matching.order, b.matching.order), cmp.Compare(a.name, b.name))
}

// Name is the plugin's name.
func (m *MatchPlugin) Name() string { return m.p.name }

// Has reports whether the plugin has the hook: cost, prefilter or match.
func (m *MatchPlugin) Has(hook string) bool { return m.p.hooks[hook] }

// Can reports whether the plugin declares that it can do a request of this
// kind; what it does not declare is any. Every target must be declared, if
// the origin's targets are.
func (m *MatchPlugin) Can(reference, origin, descriptor, order string, targets []string) bool {
	c := m.p.matching
	within := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	if !within(c.references, reference) || !within(c.origins, origin) || !within(c.descriptors, descriptor) || !within(c.orders, order) {
		return false
	}
	declared := c.targets[origin]
	return len(declared) == 0 || !slices.ContainsFunc(targets, func(t string) bool { return !slices.Contains(declared, t) })
}

// Cost asks the plugin what req costs; ok is false when it cannot do it. An
// error means "cannot", too, and is counted here.
func (m *MatchPlugin) Cost(ctx context.Context, req any) (cost float64, ok bool) {
	results, err := m.call(ctx, "cost", req)
	if err != nil || len(results) == 0 {
		return 0, false
	}
	cost, ok = results[0].(float64)
	if results[0] != nil && !ok {
		m.p.failed("cost", fmt.Errorf("%v is not a number", results[0]))
	}
	return cost, ok && cost == cost // NaN is no cost
}

// Prefilter gives set to the plugin and returns what it narrowed it to, a Go
// value that the caller checks. When the plugin fails or its breaker is open,
// that is set itself (on_error = "skip"), or an error of CodeUnavailable.
func (m *MatchPlugin) Prefilter(ctx context.Context, req, set any) (any, error) {
	results, err := m.call(ctx, "prefilter", req, set)
	if err == nil && (len(results) == 0 || results[0] == nil) {
		err = errors.New("prefilter returned nothing: return a set")
		m.p.failed("prefilter", err)
	}
	switch {
	case err == nil:
		return results[0], nil
	case m.p.matching.failOnError:
		return nil, matcher.Errorf(matcher.CodeUnavailable, "plugin %s: prefilter: %w", m.p.name, err)
	}
	return set, nil
}

// Match asks the plugin for the full answer: rows as it gives them, or ok
// false when it declines.
func (m *MatchPlugin) Match(ctx context.Context, req, set any) (rows []any, ok bool, err error) {
	results, err := m.call(ctx, "match", req, set)
	if err != nil || len(results) == 0 || results[0] == nil {
		return nil, false, err
	}
	switch v := results[0].(type) {
	case []any:
		return v, true, nil
	case vm.Empty:
		return nil, true, nil
	}
	err = fmt.Errorf("plugin %s: match returned %v: return a list of rows, or nil", m.p.name, results[0])
	m.p.failed("match", err)
	return nil, false, err
}

// errBreaker is why a hook was not called.
var errBreaker = errors.New("switched off for a while after repeated failures")

// call runs a hook on a pooled state. A state on which a call failed is
// replaced.
func (m *MatchPlugin) call(ctx context.Context, hook string, args ...any) ([]any, error) {
	state, err := m.p.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	b := m.p.breakers[hook]
	if b == nil || !b.Allow() {
		m.p.pool.Put(state, false)
		return nil, errBreaker
	}
	results, err := state.Owner().(*instance).hook(ctx, m.p.limits[hook], hook, args...)
	m.p.pool.Put(state, err != nil)
	if errors.Is(err, vm.ErrCancelled) {
		b.Cancel() // the client has gone; that says nothing of the plugin
		return nil, err
	}
	b.Done(err)
	if err != nil {
		m.p.failed(hook, err)
		return nil, err
	}
	return results, nil
}
