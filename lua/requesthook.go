package lua

import (
	"context"
	"slices"

	"nearside/matcher"
)

// A pluginRequest is a plugin as a [matcher.RequestHook].
type pluginRequest struct{ *plugin }

// Name implements [matcher.RequestHook].
func (p pluginRequest) Name() string { return p.plugin.Name }

// Applies implements [matcher.RequestHook]. The hook is called if the plugin is for one of
// the candidate sets.
func (p pluginRequest) Applies(call *matcher.MatchCall) bool {
	return slices.ContainsFunc(call.Candidates, func(set *matcher.Candidates) bool { return p.isFor(call, set) })
}

// isFor reports whether the plugin is for a candidate set.
func (p pluginRequest) isFor(call *matcher.MatchCall, set *matcher.Candidates) bool {
	return p.overridden.When.refusal(set, call.Account, call.Route) == "" && p.matching.setRefusal(set, call.Type) == ""
}

// Request implements [matcher.RequestHook].
func (p pluginRequest) Request(ctx context.Context, call *matcher.MatchCall) (skipped string, err error) {
	req := p.host.NewMatchCall(ctx, call, func(set *matcher.Candidates) bool { return p.isFor(call, set) })
	defer req.End()
	err = p.matchHook(ctx, "request", func(results []any) error { return req.Commit(results[0]) }, req.Object())
	return p.orSkip(ctx, "request", err)
}

// orSkip returns the error with which a request ends after a hook has returned err. If the
// request goes on without the hook, it returns a text that says so.
func (p *plugin) orSkip(ctx context.Context, hook string, err error) (skipped string, _ error) {
	switch {
	case err == nil:
		return "", nil
	case matcher.CodeOf(err) == matcher.CodeRejected:
		return "", err
	case ctx.Err() != nil:
		return "", ctx.Err()
	case p.matching.failOnError:
		return "", matcher.Errorf(matcher.CodeUnavailable, "plugin %s: %s: %w", p.Name, hook, p.withhold(err))
	}
	return "skipped: " + p.withhold(err).Error(), nil
}
