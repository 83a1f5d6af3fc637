package route

import (
	"context"
	"strconv"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// narrowed is what prefilters left of a candidate set.
type narrowed struct {
	rows matcher.Selection
	plan []wire.PlanPrefilter
}

// narrowKey says which sub-requests share a narrowed set: those of one set and
// version that the same prefilters apply to.
type narrowKey struct {
	candidates *matcher.Candidates
	version    *matcher.Version
	applied    string
}

// narrow runs the prefilters that apply, once for each set and version, and
// gives the sub-requests what is left. It returns that by sub-request, nil
// when no prefilter applies to any.
func (r *Router) narrow(ctx context.Context, prefilters []matcher.Prefilter, subs []matcher.SubRequest, places []place) ([]*narrowed, error) {
	if len(prefilters) == 0 {
		return nil, nil
	}
	done := map[narrowKey]*narrowed{}
	all := make([]*narrowed, len(subs))
	for i := range subs {
		sub := &subs[i]
		var apply []matcher.Prefilter
		key := narrowKey{candidates: sub.Candidates, version: sub.Version}
		for n, p := range prefilters {
			if p.Applies(sub) {
				apply = append(apply, p)
				key.applied += strconv.Itoa(n) + " "
			}
		}
		if apply == nil {
			continue
		}
		if done[key] == nil {
			left, err := r.prefilter(ctx, apply, sub)
			if err != nil {
				return nil, matcher.At("candidates["+strconv.Itoa(places[i].set)+"]", err)
			}
			done[key] = left
		}
		all[i] = done[key]
		sub.Selection = done[key].rows
	}
	return all, nil
}

// prefilter evaluates the filters of sub's set and narrows it.
func (r *Router) prefilter(ctx context.Context, apply []matcher.Prefilter, sub *matcher.SubRequest) (*narrowed, error) {
	rows, err := r.options.Selector.Select(ctx, sub.Candidates, sub.Account)
	if err != nil {
		return nil, err
	}
	left := &narrowed{rows: rows}
	for _, p := range apply {
		start, before := time.Now(), left.rows.Len()
		if left.rows, err = p.Narrow(ctx, sub, left.rows); err != nil {
			return nil, err
		}
		left.plan = append(left.plan, wire.PlanPrefilter{
			Plugin: p.Name(), Before: before, After: left.rows.Len(), Milliseconds: milliseconds(time.Since(start)),
		})
	}
	return left, nil
}
