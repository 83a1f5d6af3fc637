package trial

import (
	"context"
	"errors"

	"nearside/lua"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
)

// trialLocal is the local matcher of the call in progress.
type trialLocal struct{ current *trialMemory }

func (l *trialLocal) Name() string { return "memory" }

func (l *trialLocal) Cost(ctx context.Context, sub *matcher.SubRequest) (float64, string, bool) {
	return l.current.Cost(ctx, sub)
}

func (l *trialLocal) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	return l.current.Match(ctx, subs)
}

func (l *trialLocal) Select(ctx context.Context, c *matcher.Candidates, account *matcher.ID) (matcher.Selection, error) {
	return l.current.Select(ctx, c, account)
}

// runMatching runs f, a call of the matching side, with rows as the stored objects.
// reference is the descriptor of the reference as a list of numbers, or nil. runMatching
// returns the index in rows of each ID.
func (t *trial) runMatching(c *vm.Call, p *lua.Probe, rows []any, candidates map[string]any, reference any,
	f func(ctx context.Context, sub *matcher.SubRequest) error,
) (map[matcher.ID]int, error) {
	m, err := newTrialMemory(t.clock.Now, t.options.MetaFields)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	indexes, err := m.putRows(rows)
	if err != nil {
		return nil, err
	}
	sub, err := m.newSubRequest(candidates, reference, rows)
	if err != nil {
		return nil, err
	}
	if why := p.Refusal(sub); why != "" {
		return nil, errors.New("the plugin is " + why)
	}
	t.local.current = m
	defer func() { t.local.current = t.store.memory }()
	before := t.failureCount()
	err = c.Wait(func(ctx context.Context) error {
		return t.runUntilIdle(ctx, func(ctx context.Context) error { return f(ctx, sub) })
	})
	if failed := t.takeFailures(before); failed != nil {
		err = failed
	}
	return indexes, err
}

func trialCost(c *vm.Call, t *trial, p *lua.Probe) error {
	if !p.Has("match") {
		return errors.New("the plugin has no hook match, so it has no cost")
	}
	var reference any
	if c.Has(2) {
		reference = c.List(2)
	}
	var cost any
	_, err := t.runMatching(c, p, trialRows(c, 3), c.Map(1), reference, func(ctx context.Context, sub *matcher.SubRequest) error {
		matchers, _, release := p.Host().Acquire()
		defer release()
		if value, _, ok := matchers[0].Cost(ctx, sub); ok {
			cost = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.Return(cost)
}

func trialRows(c *vm.Call, i int) []any {
	if !c.Has(i) {
		return nil
	}
	return c.List(i)
}

func trialPrefilter(c *vm.Call, t *trial, p *lua.Probe) error {
	if !p.Has("prefilter") {
		return errors.New("the plugin has no hook prefilter")
	}
	rows := c.List(1)
	kept := make([]bool, len(rows))
	var narrowedRows *memory.Selection
	indexes, err := t.runMatching(c, p, rows, c.Map(2), nil, func(ctx context.Context, sub *matcher.SubRequest) error {
		whole, err := t.local.current.Select(ctx, sub.Candidates, sub.Account)
		if err != nil {
			return err
		}
		_, prefilters, release := p.Host().Acquire()
		defer release()
		narrowed, err := prefilters[0].Narrow(ctx, sub, whole)
		if err != nil {
			return err
		}
		narrowedRows, err = ns.SelectionOf(narrowed)
		return err
	})
	if e, ok := errors.AsType[*matcher.Error](err); ok && e.Code == matcher.CodeRejected {
		return c.Return(nil, map[string]any{"status": e.Status, "detail": e.Detail})
	}
	if err != nil {
		return err
	}
	for r := range narrowedRows.Rows() {
		kept[indexes[narrowedRows.Object(r).ID]] = true
	}
	result := []any{}
	for i, row := range rows {
		if kept[i] {
			result = append(result, row)
		}
	}
	return c.Return(result)
}

func trialMatch(c *vm.Call, t *trial, p *lua.Probe) error {
	if !p.Has("match") {
		return errors.New("the plugin has no hook match")
	}
	rows := c.List(1)
	var result matcher.Result
	indexes, err := t.runMatching(c, p, rows, c.Map(3), c.List(2), func(ctx context.Context, sub *matcher.SubRequest) error {
		if why := p.MatchRefusal(sub); why != "" {
			return errors.New("match is " + why)
		}
		matchers, _, release := p.Host().Acquire()
		defer release()
		result = matchers[0].Match(ctx, []matcher.SubRequest{*sub})[0]
		return nil
	})
	switch {
	case err != nil:
		return err
	case errors.Is(result.Err, matcher.ErrDeclined):
		return c.Return(nil)
	case result.Err != nil:
		return result.Err
	}
	found := make([]any, len(result.Matches))
	for i, match := range result.Matches {
		row := goval.Clone(rows[indexes[match.ID]]).(map[string]any)
		row["distance"], row["similarity"] = match.Distance, match.Similarity
		found[i] = row
	}
	return c.Return(found)
}
