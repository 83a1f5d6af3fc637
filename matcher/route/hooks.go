package route

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// The names of hooks in plans.
const (
	requestHook = "request"
	resultsHook = "results"
)

// hooked has what the hooks of plugins did in one request.
type hooked struct {
	contest *contest
	// shown are the candidate sets of the answer. The candidate sets of the request may ask
	// for more fields, for results hooks.
	shown []*matcher.Candidates
	plans [][]wire.PlanHook // of request hooks, by candidate set; nil: there are none
}

// requestPlans returns what request hooks did to a candidate set.
func (h *hooked) requestPlans(set int) []wire.PlanHook {
	if h.plans == nil {
		return nil
	}
	return slices.Clone(h.plans[set])
}

// callOf returns a match as request hooks see it.
func (req *Request) callOf() *matcher.MatchCall {
	return &matcher.MatchCall{
		Kind: req.kind(), Type: req.Type, Version: req.Version, References: req.References, ReferenceSet: req.referenceSet,
		Candidates: req.Candidates, Account: req.Account, Key: req.Key, Route: req.Route, RequestID: req.RequestID,
		Forwarded: req.Forwarded, RowsMax: req.RowsMax,
	}
}

// callRequestHooks calls the request hooks, which may change the candidate sets of req.
// Then it makes the candidate sets ask for all fields for which a results hook applies.
func (c *contest) callRequestHooks(ctx context.Context, req *Request) error {
	req.hooked = &hooked{contest: c, shown: req.Candidates}
	if len(c.hooks.Requests) > 0 {
		if err := req.changeSets(ctx); err != nil {
			return err
		}
	}
	req.widen()
	return nil
}

// changeSets calls the request hooks.
func (req *Request) changeSets(ctx context.Context) error {
	req.hooked.plans = make([][]wire.PlanHook, len(req.Candidates))
	call, changed := req.callOf(), false
	for _, h := range req.hooked.contest.hooks.Requests {
		if !h.Applies(call) {
			continue
		}
		before := make([]matcher.Candidates, len(call.Candidates))
		for i, set := range call.Candidates {
			before[i] = *set
		}
		start := time.Now()
		skipped, err := h.Request(ctx, call)
		if err != nil {
			return deadlineError(ctx, err)
		}
		plan := wire.PlanHook{Plugin: h.Name(), Hook: requestHook, Milliseconds: milliseconds(time.Since(start))}
		for i, set := range call.Candidates {
			plan.Changes = setChanges(&before[i], set)
			changed = changed || plan.Changes != nil
			if skipped != "" {
				plan.Changes = []string{skipped}
			}
			req.hooked.plans[i] = append(req.hooked.plans[i], plan)
		}
	}
	if changed && req.Reserve != nil {
		return req.Reserve(ctx)
	}
	return nil
}

// setChanges returns what a request hook has changed in a candidate set.
func setChanges(was, is *matcher.Candidates) (changes []string) {
	note := func(name string, changed bool, now, before any) {
		if changed {
			changes = append(changes, fmt.Sprintf("%s %v, was %v", name, now, before))
		}
	}
	note("limit", is.Limit != was.Limit, is.Limit, was.Limit)
	note("threshold", is.Threshold != was.Threshold, is.Threshold, was.Threshold)
	note("order", is.Order != was.Order, is.Order, was.Order)
	note("exclude_self", is.ExcludeSelf != was.ExcludeSelf, is.ExcludeSelf, was.ExcludeSelf)
	note("targets", targetText(is.Targets) != targetText(was.Targets), targetText(is.Targets), targetText(was.Targets))
	note("group", groupText(is.Group) != groupText(was.Group), groupText(is.Group), groupText(was.Group))
	return changes
}

func targetText(targets []string) string {
	switch {
	case targets == nil:
		return "all"
	case len(targets) == 0:
		return "none"
	}
	return strings.Join(targets, ", ")
}

func groupText(g *matcher.Grouping) string {
	if g == nil {
		return "none"
	}
	return fmt.Sprintf("by %s of size %d", g.By.Name, g.Size)
}

// widen replaces the candidate sets to which a results hook applies by copies that ask
// for all fields. A results hook may use fields that the answer does not show.
func (req *Request) widen() {
	hooks := req.hooked.contest.hooks.Results
	if len(hooks) == 0 {
		return
	}
	types := req.referenceTypes()
	req.Candidates = slices.Clone(req.Candidates)
	for i, set := range req.Candidates {
		if req.anyApplies(hooks, set, types) {
			wide := *set
			wide.Targets = nil
			req.Candidates[i] = &wide
		}
	}
}

// referenceTypes returns the types of the references, each once.
func (req *Request) referenceTypes() (types []matcher.ReferenceType) {
	if req.cross {
		return []matcher.ReferenceType{refTypes[req.referenceSet.Origin]}
	}
	for i := range req.References {
		if t := req.References[i].Type; !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// anyApplies reports whether a results hook applies to the answer of a candidate set for a
// reference of one of the types.
func (req *Request) anyApplies(hooks []matcher.ResultsHook, set *matcher.Candidates, types []matcher.ReferenceType) bool {
	return slices.ContainsFunc(hooks, func(h matcher.ResultsHook) bool {
		return slices.ContainsFunc(types, func(t matcher.ReferenceType) bool {
			return h.Applies(&matcher.SubRequest{
				Reference: &matcher.Reference{Type: t}, Candidates: set, Version: &matcher.Version{Type: req.Type},
				Account: req.Account, Key: req.Key, Route: req.Route,
			})
		})
	})
}

// wantsObjects reports whether results hooks read the objects of the rows of a set.
func (h *hooked) wantsObjects(sets []*matcher.Candidates) bool {
	for i := range sets {
		if sets[i] != h.shown[i] {
			return true
		}
	}
	return false
}

// addTo adds what plugins did to the plan of a candidate set and a reference. results[i]
// has what results hooks did; results is nil if there are none.
func (h *hooked) addTo(plan *wire.Plan, set int, results [][]wire.PlanHook, i int, result *matcher.Result) {
	plan.Hooks = h.requestPlans(set)
	if results != nil {
		plan.Hooks = append(plan.Hooks, results[i]...)
	}
	plan.PluginOrder = result.PluginOrder
}

// callResultsHooks lets results hooks change the results. subs are the sub-requests that
// have a result; their candidate sets are those that the answer shows. It returns what the
// hooks did, by sub-request. The error is that of the first sub-request that has one.
func (c *contest) callResultsHooks(ctx context.Context, subs []matcher.SubRequest, results []*matcher.Result) ([][]wire.PlanHook, error) {
	if len(c.hooks.Results) == 0 {
		return nil, nil
	}
	plans, errs := make([][]wire.PlanHook, len(subs)), make([]error, len(subs))
	var next atomic.Int64
	var failed atomic.Bool
	work := func() {
		for !failed.Load() { // before the next index is taken, so that all lower indexes have their results
			i := int(next.Add(1)) - 1
			if i >= len(subs) {
				return
			}
			if plans[i], errs[i] = c.callResultsHooksOf(ctx, &subs[i], results[i]); errs[i] != nil {
				failed.Store(true)
			}
		}
	}
	var workers sync.WaitGroup
	for range min(len(subs), runtime.GOMAXPROCS(0)) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return plans, cmp.Or(errs...)
}

// callResultsHooksOf calls the results hooks for one result.
func (c *contest) callResultsHooksOf(ctx context.Context, sub *matcher.SubRequest, result *matcher.Result) ([]wire.PlanHook, error) {
	var plans []wire.PlanHook
	for _, h := range c.hooks.Results {
		if !h.Applies(sub) {
			continue
		}
		was, start := *result, time.Now()
		skipped, err := h.Results(ctx, sub, result)
		if err != nil {
			return nil, deadlineError(ctx, located(sub.Path, err))
		}
		if !sub.Explain {
			continue
		}
		plan := wire.PlanHook{Plugin: h.Name(), Hook: resultsHook, Changes: rowChanges(sub, &was, result), Milliseconds: milliseconds(time.Since(start))}
		if skipped != "" {
			plan.Changes = []string{skipped}
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// rowChanges returns what a results hook has changed in a result.
func rowChanges(sub *matcher.SubRequest, was, is *matcher.Result) (changes []string) {
	if n := len(is.Matches); n != len(was.Matches) {
		changes = append(changes, fmt.Sprintf("rows %d, were %d", n, len(was.Matches)))
	}
	if is.PluginOrder {
		changes = append(changes, "order of the plugin")
	}
	targets := func(r *matcher.Result) string {
		if r.Targets == nil {
			return targetText(sub.Candidates.Targets)
		}
		return targetText(r.Targets)
	}
	if now, before := targets(is), targets(was); now != before {
		changes = append(changes, fmt.Sprintf("targets %s, was %s", now, before))
	}
	if names := extraNames(is); names != "" {
		changes = append(changes, "extra "+names)
	}
	return changes
}

// extraNames returns the names of the fields that plugins have added to rows.
func extraNames(r *matcher.Result) string {
	var names []string
	for _, extra := range r.Extra {
		for _, e := range extra {
			if !slices.Contains(names, e.Name) {
				names = append(names, e.Name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
