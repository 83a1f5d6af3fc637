package route

import (
	"context"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// crossOwners returns the remotes that own both sides of a cross match; empty:
// this server owns both. If the sides have no common owner, the error is
// CodeNoMatcher.
func (r *Router) crossOwners(req *CrossRequest) ([]string, error) {
	if r.options.Remotes == nil {
		return nil, nil
	}
	_, all := r.options.Remotes.Current()
	left, err := all.Of(req.References.Origin, &req.References.Filter)
	if err != nil {
		return nil, matcher.At("references", err)
	}
	right, err := all.Of(req.Candidates.Origin, &req.Candidates.Filter)
	if err != nil {
		return nil, matcher.At("candidates", err)
	}
	both := slices.DeleteFunc(slices.Clone(left), func(name string) bool { return !slices.Contains(right, name) })
	if len(both) == 0 && len(left)+len(right) > 0 {
		return nil, matcher.Errorf(matcher.CodeNoMatcher, "references: they belong to %s, the candidates to %s; no matcher has both",
			matcher.OwnerText(left), matcher.OwnerText(right))
	}
	return both, nil
}

// crossRemote lets an owner answer a cross match. The limits of the remote apply
// too. match is the request with which the hooks of plugins were called.
func (r *Router) crossRemote(ctx context.Context, req *CrossRequest, match *Request, owners []string) (*Answer, error) {
	remotes, _ := r.options.Remotes.Current()
	remotes = slices.DeleteFunc(slices.Clone(remotes), func(m matcher.Remote) bool { return !slices.Contains(owners, m.Name()) })
	var offered []wire.PlanMatcher
	err := error(matcher.Errorf(matcher.CodeUnavailable, "%s is not configured any more", matcher.OwnerText(owners)))
	for i, m := range remotes {
		offered = append(offered, wire.PlanMatcher{Name: m.Name(), Chosen: true, Reason: "owns both sides"})
		offer := &offered[len(offered)-1]
		offer.Cost, _, _ = m.Cost(ctx, &matcher.SubRequest{Candidates: req.Candidates})
		var a *Answer
		if a, err = r.crossAt(ctx, m, req, i < len(remotes)-1); err == nil {
			a.explain(req.Explain, offered)
			if err := a.callResultsHooks(ctx, match); err != nil {
				return nil, err
			}
			return a, nil
		}
		if ctx.Err() != nil || !isMatcherFault(err) {
			break
		}
		offer.Chosen, offer.Reason = false, failedReason(err, req.Account)
	}
	return nil, deadlineError(ctx, err)
}

// crossAt lets one remote answer a cross match. If hasNext, it gets half of the
// time, so that the next remote can answer if it fails.
func (r *Router) crossAt(ctx context.Context, m matcher.Remote, req *CrossRequest, hasNext bool) (*Answer, error) {
	if hasNext {
		var cancel context.CancelFunc
		ctx, cancel = halfTime(ctx)
		defer cancel()
	}
	point := matcher.MatchPoint{
		Time: time.Now(), Kind: matcher.MatchCross, Matcher: m.Name(), Origin: req.Candidates.Origin, RequestID: req.RequestID, ListRows: -1,
	}
	r.calls.addCalls(m.Name(), 1)
	defer r.calls.addCalls(m.Name(), -1)
	refs, results, err := m.Cross(ctx, &req.CrossMatch)
	err = deadlineError(ctx, err)
	moment := r.options.Moments.Moment(req.Account, nil, nil)
	a := &Answer{References: refs, Results: make([][]matcher.Result, len(results))}
	sub := matcher.SubRequest{Reference: &matcher.Reference{}, Candidates: req.Candidates, Account: req.Account, Moment: moment}
	for i := range results {
		completeRows(&results[i], &sub)
		a.Results[i] = results[i : i+1]
		point.Matches += len(results[i].Matches)
	}
	if r.options.Observer != nil {
		point.Subs, point.Err, point.Duration = len(results), err, time.Since(point.Time)
		r.options.Observer.Matched(point)
	}
	return a, err
}

// callResultsHooks lets results hooks change the rows of a remote's answer to a cross match.
func (a *Answer) callResultsHooks(ctx context.Context, match *Request) error {
	subs, results := make([]matcher.SubRequest, len(a.References)), make([]*matcher.Result, len(a.References))
	version := &matcher.Version{Type: match.Type} // the remote does not say which
	for i := range subs {
		subs[i] = matcher.SubRequest{
			Reference: &a.References[i], Candidates: match.hooked.shown[0], Version: version, Account: match.Account, RequestID: match.RequestID,
			Key: match.Key, Route: match.Route, Path: match.path(0), Explain: match.Explain,
		}
		results[i] = &a.Results[i][0]
	}
	hooks, err := match.hooked.contest.callResultsHooks(ctx, subs, results)
	if err != nil {
		return err
	}
	for i, result := range results {
		a.PluginOrder = a.PluginOrder || result.PluginOrder
		if match.Explain {
			match.hooked.addTo(a.Plans[i][0], 0, hooks, i, result)
		}
	}
	return nil
}

// explain adds the plans of an answer of a remote, if the request asked for them.
func (a *Answer) explain(asked bool, offered []wire.PlanMatcher) {
	for i := range a.Results {
		if !asked {
			return
		}
		a.Plans = append(a.Plans, []*wire.Plan{planOf(&a.Results[i][0].Scan, offered)})
	}
}
