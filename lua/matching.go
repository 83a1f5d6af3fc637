package lua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"

	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
)

// AcquireHooks returns the matching plugins of the running generation. The hooks are for one
// request, which can use them until it calls release.
func (h *Host) AcquireHooks() (hooks matcher.Hooks, release func()) {
	for {
		g := h.current.Load()
		if !g.matches {
			return hooks, func() {}
		}
		if entered := g.enter(); entered != nil {
			return g.newHooks(), func() {
				for _, p := range entered {
					p.gate.leave()
				}
			}
		}
		if g == h.current.Load() { // the host is closed
			return hooks, func() {}
		}
	}
}

// newHooks returns the hooks of the generation's plugins for one request.
func (g *generation) newHooks() (hooks matcher.Hooks) {
	for _, p := range g.matchers {
		hooks.Matchers = append(hooks.Matchers, &pluginMatcher{plugin: p})
	}
	for _, p := range g.hooked["request"] {
		hooks.Requests = append(hooks.Requests, pluginRequest{p})
	}
	hooks.Prefilters = make([]matcher.Prefilter, 0, len(g.hooked["prefilter"]))
	for _, p := range g.hooked["prefilter"] {
		hooks.Prefilters = append(hooks.Prefilters, pluginPrefilter{p})
	}
	if results := g.hooked["results"]; len(results) > 0 {
		room := &ns.ExtraRoom{}
		for _, p := range results {
			hooks.Results = append(hooks.Results, pluginResults{p, room})
		}
	}
	return hooks
}

// Acquire returns the matchers and the prefilters of AcquireHooks.
func (h *Host) Acquire() (matchers []matcher.Matcher, prefilters []matcher.Prefilter, release func()) {
	hooks, release := h.AcquireHooks()
	return hooks.Matchers, hooks.Prefilters, release
}

// enter starts a call at the gates of all plugins of kind matching. If one of the
// gates is closed, it starts no call and returns nil.
func (g *generation) enter() (entered []*plugin) {
	entered = make([]*plugin, 0, len(g.plugins))
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

// allows reports whether a list of a capability allows a value. An empty list allows all.
func allows(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }

// setRefusal returns why a plugin cannot process a candidate set whose descriptors of type t
// are compared; empty: it can.
func (c *capability) setRefusal(set *matcher.Candidates, t matcher.DescriptorType) string {
	switch {
	case !allows(c.origins, set.Origin.String()):
		return "not for " + set.Origin.String()
	case !allows(c.descriptors, t.String()):
		return "not for " + t.String() + " descriptors"
	case !allows(c.orders, set.Order.String()):
		return "not for the order " + set.Order.String()
	}
	return ""
}

// refusal returns why a plugin cannot process sub; empty: it can.
func (c *capability) refusal(sub *matcher.SubRequest) string {
	if why := c.setRefusal(sub.Candidates, sub.Version.Type); why != "" {
		return why
	}
	if !allows(c.references, string(sub.Reference.Type)) && !slices.Contains(c.references, "descriptor") {
		return "not for references of type " + string(sub.Reference.Type)
	}
	return ""
}

// errOff is returned for a hook whose breaker is open.
var errOff = errors.New("is switched off after repeated failures")

// matchHook calls a hook of the matching side in a state of the pool, and passes its
// results to read. An error of the hook or of read counts as a failure of the plugin,
// unless the plugin is innocent.
func (p *plugin) matchHook(ctx context.Context, name string, read func(results []any) error, args ...any) error {
	if reason := p.degraded.Load(); reason != nil {
		return errors.New("the plugin does not run: " + *reason)
	}
	call, ok := p.breakers[name].Allow()
	if !ok {
		return errOff
	}
	state, err := p.idleState(ctx)
	if err != nil {
		call.Cancel()
		return err
	}
	in := state.Owner().(*instance)
	results, err := in.callHook(ctx, p.limits[name], name, args...)
	broken := vm.Broken(err)
	p.pool.Put(state, broken)
	if rejection, ok := rejectionOf(name, results, err); ok && !broken {
		call.Record(nil)
		p.Lasting.Rejected.Add(1)
		return rejection.Err()
	}
	if err == nil {
		err = read(append(results, nil))
	}
	if err != nil && innocent(ctx, err) {
		call.Cancel()
		if errors.Is(err, vm.ErrHost) {
			p.Log.LogAttrs(ctx, slog.LevelError, "plugin "+name+": a service of the host failed", slog.String("error", err.Error()))
		}
		return err
	}
	call.Record(err)
	in.Report(name, err)
	return err
}

// idleState takes a state from the pool. It replaces states that were killed after their
// last use because they exceeded limits.memory.
func (p *plugin) idleState(ctx context.Context) (*vm.State, error) {
	for {
		state, err := p.pool.Get(ctx)
		if err != nil || !state.MemoryExceeded() {
			return state, err
		}
		p.pool.Put(state, true)
	}
}

// rejectionOf returns the rejection that a hook has returned or raised, if any.
func rejectionOf(hook string, results []any, err error) (*ns.Rejection, bool) {
	switch {
	case !ns.CanReject(hook):
		return nil, false
	case err != nil:
		return ns.RaisedRejection(err)
	case len(results) == 0:
		return nil, false
	}
	return ns.Rejected(results[0])
}

// innocent reports whether the plugin did not cause a failure: the request was
// cancelled or its deadline has passed, the plugin is being closed, or a service of
// the host failed.
func innocent(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed) || errors.Is(err, vm.ErrHost)
}

// A pluginPrefilter is a plugin as a [matcher.Prefilter].
type pluginPrefilter struct{ *plugin }

// Name implements [matcher.Prefilter].
func (p pluginPrefilter) Name() string { return p.plugin.Name }

// Applies implements [matcher.Prefilter].
func (p pluginPrefilter) Applies(sub *matcher.SubRequest) bool { return p.refusal(sub) == "" }

// Narrow implements [matcher.Prefilter]. If the plugin fails, Narrow returns all rows,
// or CodeUnavailable if the plugin has set on_error to "fail".
func (p pluginPrefilter) Narrow(ctx context.Context, sub *matcher.SubRequest, rows matcher.Selection) (matcher.Selection, error) {
	whole, err := ns.SelectionOf(rows)
	if err != nil {
		return nil, err
	}
	var narrowed *memory.Selection
	req := ns.NewHookRequest(ctx, "prefilter", sub)
	defer req.End()
	err = p.matchHook(ctx, "prefilter", func(results []any) (err error) {
		narrowed, err = ns.Narrowed(results[0], whole)
		return err
	}, req.Object(), ns.SetOf(&p.host.Host, req, whole))
	if err == nil {
		return narrowed, nil
	}
	if _, err := p.orSkip(ctx, "prefilter", err); err != nil {
		return nil, err
	}
	return rows, nil
}

// A pluginMatcher is a plugin as a [matcher.Matcher], for one request.
type pluginMatcher struct {
	*plugin
	mu    sync.Mutex
	costs map[costKey]offer // the offers so far; nil: there are none
}

// costKey holds the parts of a sub-request on which a plugin's cost depends. The cost does
// not depend on the reference.
type costKey struct {
	candidates *matcher.Candidates
	version    *matcher.Version
}

// offer holds the results of Cost for one costKey.
type offer struct {
	cost   float64
	reason string
	ok     bool
}

// CostDefault is the cost of a plugin that has a match hook but no cost hook.
const CostDefault = 100

// Name implements [matcher.Matcher].
func (m *pluginMatcher) Name() string { return m.plugin.Name }

// Cost implements [matcher.Matcher]. It calls the cost hook once for each candidate set
// and version.
func (m *pluginMatcher) Cost(ctx context.Context, sub *matcher.SubRequest) (cost float64, reason string, ok bool) {
	if reason := cmp.Or(m.refusal(sub), rankingRefusal(sub.Candidates)); reason != "" {
		return 0, reason, false
	}
	if len(sub.Reference.Parts) > 0 { // req:descriptor() returns only one descriptor
		return 0, "not for references of type " + string(matcher.RefTogether), false
	}
	if m.degraded.Load() != nil {
		return 0, "does not run; " + seeLog, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := costKey{sub.Candidates, sub.Version}
	o, known := m.costs[key]
	if !known {
		o = m.callCost(ctx, sub)
		if m.costs == nil {
			m.costs = map[costKey]offer{}
		}
		m.costs[key] = o
	}
	return o.cost, o.reason, o.ok
}

// rankingRefusal returns why no plugin can answer for a candidate set; empty: a plugin can.
// The match hook returns only the nearest rows, as many as the limit. Rows further back may
// be needed for these fields, and a count needs all rows.
func rankingRefusal(c *matcher.Candidates) string {
	switch {
	case c.Group != nil:
		return "not for candidate sets with group"
	case c.Offset > 0:
		return "not for candidate sets with offset"
	case c.Count:
		return "not for candidate sets with count"
	case c.ExcludeSelf:
		return "not for candidate sets with exclude_self"
	}
	return ""
}

// callCost calls the cost hook. The operator's override replaces the cost, unless the
// plugin cannot answer.
func (m *pluginMatcher) callCost(ctx context.Context, sub *matcher.SubRequest) offer {
	o := offer{cost: CostDefault, ok: true}
	if m.hooks["cost"] {
		o = m.costOfHook(ctx, sub)
	}
	if cost := m.overridden.Cost; o.ok && cost != nil {
		o.cost = *cost
	}
	return o
}

// costOfHook returns the result of the cost hook.
func (m *pluginMatcher) costOfHook(ctx context.Context, sub *matcher.SubRequest) offer {
	o := offer{reason: "cannot"}
	req := ns.NewHookRequest(ctx, "cost", sub)
	defer req.End()
	err := m.matchHook(ctx, "cost", func(results []any) error {
		if results[0] == nil {
			return nil
		}
		if o.cost, o.ok = results[0].(float64); !o.ok || math.IsNaN(o.cost) || math.IsInf(o.cost, 0) {
			return fmt.Errorf("the result, %v, is not a finite number; return nil when the plugin cannot answer", results[0])
		}
		o.reason = ""
		return nil
	}, req.Object())
	if err != nil {
		return offer{reason: "cost: " + m.withhold(err).Error()}
	}
	return o
}

// Match implements [matcher.Matcher]. The local matcher compares the rows that the plugin
// returns. Rows that do not exist or are not in the candidate set are left out.
func (m *pluginMatcher) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := make([]matcher.Result, len(subs))
	var work sync.WaitGroup
	next := make(chan int)
	for range min(len(subs), m.pool.Size()) {
		work.Go(func() {
			for i := range next {
				results[i] = m.match(ctx, &subs[i])
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

func (m *pluginMatcher) match(ctx context.Context, sub *matcher.SubRequest) matcher.Result {
	var ids []matcher.ID
	declined := false
	req := ns.NewHookRequest(ctx, "match", sub)
	defer req.End()
	err := m.matchHook(ctx, "match", func(results []any) (err error) {
		if declined = results[0] == nil; !declined {
			ids, err = ns.RowIDs(results[0])
		}
		return err
	}, req.Object(), ns.LazySet(&m.host.Host, req, sub))
	switch {
	case err != nil:
		return matcher.Result{Err: fmt.Errorf("plugin %s: match: %w", m.plugin.Name, m.withhold(err))}
	case declined:
		return matcher.Result{Err: matcher.ErrDeclined}
	}
	return m.compare(ctx, sub, ids)
}

// compare makes the local matcher compare the objects of ids that are in the set of
// sub. In the plan, RowsSelected and RowsOtherVersion count the whole set, and
// RowsScanned counts only the compared rows.
func (m *pluginMatcher) compare(ctx context.Context, sub *matcher.SubRequest, ids []matcher.ID) matcher.Result {
	whole, err := m.host.WholeSet(ctx, sub)
	if err != nil {
		return matcher.Result{Err: fmt.Errorf("plugin %s: match: %w", m.plugin.Name, err)}
	}
	narrowed := *sub
	narrowed.Selection = whole.ByID(ids)
	result := m.host.Services.Matching.Match(ctx, []matcher.SubRequest{narrowed})[0]
	if sub.Explain && result.Err == nil {
		result.Scan.RowsSelected = whole.Len()
		result.Scan.RowsOtherVersion = whole.Len() - whole.Comparable(sub.Version)
	}
	return result
}
