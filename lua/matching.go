package lua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"nearside/lua/vm"
	"nearside/matcher"
)

// sortMatching finds the plugins of a generation that narrow or answer.
func (g *generation) sortMatching() {
	for _, p := range g.plugins {
		if p.hooks["match"] {
			g.matchers = append(g.matchers, p)
		}
		if p.hooks["prefilter"] {
			g.narrowers = append(g.narrowers, p)
		}
	}
	slices.SortStableFunc(g.narrowers, func(a, b *plugin) int { return cmp.Compare(a.matching.order, b.matching.order) })
}

// Acquire returns the matching plugins of now as matchers, and as prefilters
// in the order in which they run. They are for one request, and can be used
// until release is called.
func (h *Host) Acquire() (matchers []matcher.Matcher, prefilters []matcher.Prefilter, release func()) {
	for {
		g := h.current.Load()
		if len(g.matchers)+len(g.narrowers) == 0 {
			return nil, nil, func() {}
		}
		if entered := g.enter(); entered != nil {
			for _, p := range g.matchers {
				matchers = append(matchers, &answering{plugin: p, costs: map[costKey]offer{}})
			}
			for _, p := range g.narrowers {
				prefilters = append(prefilters, narrowing{p})
			}
			return matchers, prefilters, func() {
				for _, p := range entered {
					p.gate.leave()
				}
			}
		}
		if g == h.current.Load() { // closed for good
			return nil, nil, func() {}
		}
	}
}

// enter lets a request into all plugins of kind matching, or into none.
func (g *generation) enter() (entered []*plugin) {
	for _, p := range g.plugins {
		if !p.is(Matching) {
			continue
		}
		if !p.gate.enter() {
			for _, p := range entered {
				p.gate.leave()
			}
			return nil
		}
		entered = append(entered, p)
	}
	return entered
}

// takes says why a plugin cannot do sub; empty: it can.
func (c *capability) takes(sub *matcher.SubRequest) string {
	has := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	switch {
	case !has(c.origins, sub.Candidates.Origin.String()):
		return "not for " + sub.Candidates.Origin.String()
	case !has(c.descriptors, sub.Version.Type.String()):
		return "not for " + sub.Version.Type.String() + " descriptors"
	case !has(c.orders, sub.Candidates.Order.String()):
		return "not for the order " + sub.Candidates.Order.String()
	case !has(c.references, string(sub.Reference.Type)) && !slices.Contains(c.references, "descriptor"):
		return "not for references of type " + string(sub.Reference.Type)
	}
	return ""
}

// errOff is returned for a hook whose breaker is open.
var errOff = errors.New("is switched off after repeated failures")

// matchHook calls a hook of the matching side in a state of its own.
func (p *plugin) matchHook(ctx context.Context, name string, args func(*vm.State) []any) ([]any, error) {
	b := p.breakers[name]
	if !b.Allow() {
		return nil, errOff
	}
	results, err := p.checkedOut(ctx, name, args)
	if ctx.Err() == nil || err == nil { // else it was the client who left, or its deadline
		b.Done(err)
	} else {
		b.Done(nil)
	}
	return results, err
}

func (p *plugin) checkedOut(ctx context.Context, name string, args func(*vm.State) []any) ([]any, error) {
	limit := p.limits[name]
	if limit.Total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit.Total) // for the wait as well
		defer cancel()
	}
	state, err := p.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	in := state.Owner().(*instance)
	results, err := in.hook(ctx, limit, name, args(state)...)
	p.pool.Put(state, err != nil)
	if err != nil {
		in.report(name, err)
	}
	return results, err
}

// narrowing is a plugin as a prefilter.
type narrowing struct{ *plugin }

// Name implements [matcher.Prefilter].
func (p narrowing) Name() string { return p.name }

// Applies implements [matcher.Prefilter].
func (p narrowing) Applies(sub *matcher.SubRequest) bool { return p.matching.takes(sub) == "" }

// Narrow implements [matcher.Prefilter]. When the plugin fails it returns all
// rows, or CodeUnavailable if the plugin wants it so.
func (p narrowing) Narrow(ctx context.Context, sub *matcher.SubRequest, rows matcher.Selection) (matcher.Selection, error) {
	whole, err := selectionOf(rows)
	if err != nil {
		return nil, err
	}
	results, err := p.matchHook(ctx, "prefilter", func(*vm.State) []any {
		return []any{requestTable(ctx, sub), setOf(p.host, sub, whole)}
	})
	if err == nil {
		left, e := narrowed(results, whole)
		if err = e; err == nil {
			return left, nil
		}
		p.failed("prefilter", err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if p.matching.failOnError {
		return nil, matcher.Errorf(matcher.CodeUnavailable, "plugin %s: prefilter: %w", p.name, err)
	}
	return rows, nil
}

// answering is a plugin as a matcher, for one request.
type answering struct {
	*plugin
	mu    sync.Mutex
	costs map[costKey]offer
}

// costKey is what a plugin's cost depends on: all but the reference.
type costKey struct {
	candidates *matcher.Candidates
	version    *matcher.Version
}

// offer is what a plugin said about its cost.
type offer struct {
	cost   float64
	reason string
	ok     bool
}

// costDefault is the cost of a plugin that has a match and no cost.
const costDefault = 100

// Name implements [matcher.Matcher].
func (a *answering) Name() string { return a.name }

// Cost implements [matcher.Matcher]. It asks the plugin once for each set and
// version.
func (a *answering) Cost(ctx context.Context, sub *matcher.SubRequest) (cost float64, reason string, ok bool) {
	if reason := a.matching.takes(sub); reason != "" {
		return 0, reason, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := costKey{sub.Candidates, sub.Version}
	o, known := a.costs[key]
	if !known {
		o = a.ask(ctx, sub)
		a.costs[key] = o
	}
	return o.cost, o.reason, o.ok
}

func (a *answering) ask(ctx context.Context, sub *matcher.SubRequest) offer {
	if !a.hooks["cost"] {
		return offer{cost: costDefault, ok: true}
	}
	results, err := a.matchHook(ctx, "cost", func(*vm.State) []any { return []any{requestTable(ctx, sub)} })
	if err != nil {
		return offer{reason: "cost: " + err.Error()}
	}
	if len(results) == 0 || results[0] == nil {
		return offer{reason: "cannot"}
	}
	cost, ok := results[0].(float64)
	if !ok || cost != cost {
		err := fmt.Errorf("cost: %v is no number", results[0])
		a.failed("cost", err)
		return offer{reason: err.Error()}
	}
	return offer{cost: cost, ok: true}
}

// Match implements [matcher.Matcher]. The plugin's rows are looked up and
// compared by the local matcher: those that do not exist, or are outside the
// set, are left out.
func (a *answering) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := make([]matcher.Result, len(subs))
	var work sync.WaitGroup
	next := make(chan int)
	for range min(len(subs), a.pool.Size()) {
		work.Go(func() {
			for i := range next {
				results[i] = a.match(ctx, &subs[i])
			}
		})
	}
	for i := range subs {
		next <- i
	}
	close(next)
	work.Wait()
	return results
}

func (a *answering) match(ctx context.Context, sub *matcher.SubRequest) matcher.Result {
	results, err := a.matchHook(ctx, "match", func(*vm.State) []any {
		req := requestTable(ctx, sub)
		req["reference"] = map[string]any{"type": string(sub.Reference.Type), "id": sub.Reference.ID, "version": int(sub.Version.Number)}
		req["descriptor"] = func(c *vm.Call) error { return c.Return(sub.Reference.Descriptor.Data) }
		return []any{req, lazySet(a.host, sub)}
	})
	if err != nil {
		return matcher.Result{Err: fmt.Errorf("plugin %s: match: %w", a.name, err)}
	}
	if len(results) == 0 || results[0] == nil {
		return matcher.Result{Err: matcher.ErrDeclined}
	}
	ids, err := rowIDs(results[0])
	if err != nil {
		a.failed("match", err)
		return matcher.Result{Err: fmt.Errorf("plugin %s: match: %w", a.name, err)}
	}
	return a.host.o.Services.Matching.Match(ctx, []matcher.SubRequest{only(sub, ids)})[0]
}
