package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
)

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

// matchHook calls a hook of the matching side in a state of its own; read
// takes its results. What goes wrong in either is a failure of the plugin.
func (p *plugin) matchHook(ctx context.Context, name string, read func(results []any) error, args ...any) error {
	if reason := p.degraded.Load(); reason != nil {
		return errors.New("the plugin does not run: " + *reason)
	}
	b := p.breakers[name]
	if !b.Allow() {
		return errOff
	}
	state, err := p.idleState(ctx)
	if err != nil {
		b.Cancel()
		return err
	}
	in := state.Owner().(*instance)
	results, err := in.hook(ctx, p.limits[name], name, args...)
	broken := vm.Broken(err)
	p.pool.Put(state, broken)
	if decision, ok := decisionOf(name, results, err); ok && !broken {
		b.Done(nil)
		p.lasting.rejected.Add(1)
		return decision.err()
	}
	if err == nil {
		err = read(append(results, nil))
	}
	if err != nil && innocent(ctx, err) {
		b.Cancel()
		return err
	}
	b.Done(err)
	in.report(name, err)
	return err
}

// idleState takes a state from the pool. Those that were killed for their
// memory since they were last used are replaced.
func (p *plugin) idleState(ctx context.Context) (*vm.State, error) {
	for {
		state, err := p.pool.Get(ctx)
		if err != nil || !state.Exceeded() {
			return state, err
		}
		p.pool.Put(state, true)
	}
}

// decisionOf returns the rejection that a prefilter has returned or raised.
func decisionOf(hook string, results []any, err error) (*rejection, bool) {
	switch {
	case hook != "prefilter":
		return nil, false
	case err != nil:
		return raisedRejection(err)
	case len(results) == 0:
		return nil, false
	}
	return rejected(results[0])
}

// innocent reports whether a failure says nothing of the plugin: the client or
// its time has gone, the plugin is being closed, its state was taken away for
// what another one holds, or a service of the host failed.
func innocent(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed) || errors.Is(err, vm.ErrHost)
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
	var left *memory.Selection
	err = p.matchHook(ctx, "prefilter", func(results []any) (err error) {
		left, err = narrowed(results[0], whole)
		return err
	}, requestOf(ctx, sub, false), setOf(p.host, sub, whole))
	switch {
	case err == nil:
		return left, nil
	case matcher.CodeOf(err) == matcher.CodeRejected:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case p.matching.failOnError:
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
	if reason := a.degraded.Load(); reason != nil {
		return 0, "does not run: " + *reason, false
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
	o := offer{reason: "cannot"}
	err := a.matchHook(ctx, "cost", func(results []any) error {
		if results[0] == nil {
			return nil
		}
		if o.cost, o.ok = results[0].(float64); !o.ok || o.cost != o.cost {
			return fmt.Errorf("the result, %v, is no number", results[0])
		}
		o.reason = ""
		return nil
	}, requestOf(ctx, sub, false))
	if err != nil {
		return offer{reason: "cost: " + err.Error()}
	}
	return o
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
	var ids []matcher.ID
	declined := false
	err := a.matchHook(ctx, "match", func(results []any) (err error) {
		if declined = results[0] == nil; !declined {
			ids, err = rowIDs(results[0])
		}
		return err
	}, requestOf(ctx, sub, true), lazySet(a.host, sub))
	switch {
	case err != nil:
		return matcher.Result{Err: fmt.Errorf("plugin %s: match: %w", a.name, err)}
	case declined:
		return matcher.Result{Err: matcher.ErrDeclined}
	}
	return a.host.o.Services.Matching.Match(ctx, []matcher.SubRequest{only(sub, ids)})[0]
}
