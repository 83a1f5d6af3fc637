package route

import (
	"context"
	"strconv"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// narrowed is a candidate set after prefilters removed rows.
type narrowed struct {
	rows matcher.Selection
	plan []wire.PlanPrefilter
}

// narrowKey identifies a narrowed set. Sub-requests share it if they have the same
// candidate set, version and prefilters.
type narrowKey struct {
	candidates *matcher.Candidates
	version    *matcher.Version
	applied    string // the indexes of the prefilters
}

// narrow runs the prefilters that apply, once for each narrowKey, and sets the
// Selection of the sub-requests. It returns the narrowed set of each sub-request;
// an element is nil if no prefilter applies. It returns nil if there are no
// prefilters.
func (r *Router) narrow(ctx context.Context, prefilters []matcher.Prefilter, subs []matcher.SubRequest) ([]*narrowed, error) {
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
			left, err := narrowSet(ctx, apply, sub)
			if err != nil {
				return nil, located(sub.Path, err)
			}
			done[key] = left
		}
		all[i] = done[key]
		sub.Selection = done[key].rows
	}
	return all, nil
}

// narrowSet evaluates the filter of sub's candidate set and runs the prefilters on
// its rows.
func narrowSet(ctx context.Context, apply []matcher.Prefilter, sub *matcher.SubRequest) (*narrowed, error) {
	rows, err := sub.Moment.Select(ctx, sub.Candidates, sub.Account)
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
